"""Rows of a report: one for each subject, case and method, with a number for each column."""

from __future__ import annotations

import csv
import hashlib
import os
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..files.atomic import atomic_path
from ..metrics.measure import Column

CASE_FIELDS = ("source", "target", "factor", "axis")
ROW_FIELDS = ("subject", *CASE_FIELDS, "method")

Row = dict[str, Any]
Case = tuple[str, str, float, str]


def case_of(row: Row) -> Case:
    """Return source, target, factor and axis, which identify the case of a row; without an axis it is axial.

    Example:
        >>> case_of({"source": "t1", "target": "t2", "factor": 4.0})
        ('t1', 't2', 4.0, 'axial')
    """
    return row["source"], row["target"], row["factor"], row.get("axis") or "axial"


def row_fields(columns: Sequence[Column]) -> list[str]:
    """Return the names of the columns of `per_subject.csv`."""
    return [*ROW_FIELDS, *(column.name for column in columns)]


def write_csv(path: str | os.PathLike, *, rows: Sequence[Row], fields: Sequence[str]) -> None:
    """Write the rows under a header, atomically; NaN is an empty cell."""
    with atomic_path(path) as partial, open(partial, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(fields))
        writer.writeheader()
        writer.writerows({key: _short(value) for key, value in row.items()} for row in rows)


def _short(value: Any) -> Any:
    if not isinstance(value, float):
        return value
    return "" if np.isnan(value) else f"{value:.6g}"


def case_name(row: Row) -> str:
    """Return the name of a case for display, with the axis if slices are not axial.

    Example:
        >>> case_name({"source": "t1", "target": "t2", "factor": 4.0})
        't1 → t2 ×4'
        >>> case_name({"source": "t1", "target": "t1", "factor": 4.0, "axis": "sagittal"})
        't1 → t1 ×4 sagittal'
    """
    source, target, factor, axis = case_of(row)
    return f"{source} → {target} ×{float(factor):g}" + ("" if axis == "axial" else f" {axis}")


def case_stem(row: Row) -> str:
    """Return the stem of a case's files; special characters are replaced, and a checksum then keeps it unique.

    Example:
        >>> case_stem({"subject": "p1", "source": "t1", "target": "t2", "factor": 4.0})
        'p1_t1_to_t2_x4'
        >>> case_stem({"subject": "site/p1", "source": "t1", "target": "t2", "factor": 4.0})
        'site_p1-f93927_t1_to_t2_x4'
        >>> case_stem({"subject": "p1", "source": "t1", "target": "t1", "factor": 4.0, "axis": "sagittal"})
        'p1_t1_to_t1_x4_sagittal'
    """
    subject = str(row["subject"])
    safe = re.sub(r"[^A-Za-z0-9._-]", "_", subject)
    if safe != subject:
        safe += "-" + hashlib.sha256(subject.encode()).hexdigest()[:6]
    source, target, factor, axis = case_of(row)
    return f"{safe}_{source}_to_{target}_x{float(factor):g}" + ("" if axis == "axial" else f"_{axis}")
