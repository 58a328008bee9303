"""Rows of a report: one for each subject, case and method, with a number for each column."""

from __future__ import annotations

import csv
import hashlib
import os
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..data.atomic import atomic_path
from .measure import Column

CASE_FIELDS = ("source", "target", "factor")
ROW_FIELDS = ("subject", *CASE_FIELDS, "method")

Row = dict[str, Any]


def row_fields(columns: Sequence[Column]) -> list[str]:
    """Name the columns of `per_subject.csv`."""
    return [*ROW_FIELDS, *(column.name for column in columns)]


def write_csv(path: str | os.PathLike, *, rows: Sequence[Row], fields: Sequence[str]) -> None:
    """Write the rows under a header, all or nothing; a number that is NaN is an empty cell."""
    with atomic_path(path) as partial, open(partial, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(fields))
        writer.writeheader()
        writer.writerows({key: _short(value) for key, value in row.items()} for row in rows)


def _short(value: Any) -> Any:
    if not isinstance(value, float):
        return value
    return "" if np.isnan(value) else f"{value:.6g}"


def case_name(row: Row) -> str:
    """Name a case for people.

    >>> case_name({"source": "t1", "target": "t2", "factor": 4.0})
    't1 → t2 ×4'
    """
    return f"{row['source']} → {row['target']} ×{float(row['factor']):g}"


def case_stem(row: Row) -> str:
    """Name the files of a subject's case; what a file system may not like is replaced, and a checksum keeps it unique.

    >>> case_stem({"subject": "p1", "source": "t1", "target": "t2", "factor": 4.0})
    'p1_t1_to_t2_x4'
    >>> case_stem({"subject": "site/p1", "source": "t1", "target": "t2", "factor": 4.0})
    'site_p1-f93927_t1_to_t2_x4'
    """
    subject = str(row["subject"])
    safe = re.sub(r"[^A-Za-z0-9._-]", "_", subject)
    if safe != subject:
        safe += "-" + hashlib.sha256(subject.encode()).hexdigest()[:6]
    return f"{safe}_{row['source']}_to_{row['target']}_x{float(row['factor']):g}"
