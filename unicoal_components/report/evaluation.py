"""Reading of an evaluation's folder."""

from __future__ import annotations

import csv
import json
import math
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ..metrics.measure import BETTER, Column
from .rows import CASE_FIELDS, Row, case_of

SCHEMA = 1
TEXTS = ("subject", "source", "target", "axis", "method", "baseline", "metric", "class", "verdict")
"""Fields of the tables that are text."""

NEEDED = tuple(field for field in CASE_FIELDS if field != "axis")
"""Default axis: tables of earlier versions have none, as all cases were axial."""


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Tables and facts of an evaluation, from `read_evaluation`.

    Numbers in rows are floats, NaN if the table has none.

    Attributes:
        folder: folder of the evaluation.
        run: content of `run.json`.
        columns: measured columns, in order.
        per_subject: a row for each subject, case and method.
        summary: a row for each case and method.
        comparisons: the method against each baseline; empty if nothing was compared.
        segmentation: Dice of each class; empty if nothing was segmented.
        calibration: calibration of the uncertainty maps; `None` if there are none.
        equivariance: shift and rotation tests of the network; `None` if there are none.
    """

    folder: Path
    run: dict[str, Any]
    columns: tuple[Column, ...]
    per_subject: list[Row]
    summary: list[Row]
    comparisons: list[Row]
    segmentation: list[Row]
    calibration: dict[str, Any] | None
    equivariance: Any

    @property
    def method(self) -> str:
        """Name of the evaluated method's rows."""
        return str(self.run["method"])

    @property
    def methods(self) -> list[str]:
        """All methods, in the order of their rows."""
        return list(self.run.get("methods") or dict.fromkeys(row["method"] for row in self.summary))

    @property
    def notes(self) -> dict[str, str]:
        """Reasons why columns are empty."""
        return dict(self.run.get("notes") or {})

    @cached_property
    def cases(self) -> list[Row]:
        """Source, target, factor and axis of each case, in order."""
        return [dict(zip(CASE_FIELDS, case, strict=True)) for case in dict.fromkeys(map(case_of, self.summary))]

    @cached_property
    def ranked(self) -> list[Row]:
        """Return the method's rows from the worst PSNR (strict protocol) to the best; those without one are last."""
        rows = [row for row in self.per_subject if row["method"] == self.method]
        return sorted(rows, key=lambda row: (math.isnan(row["psnr"]), row["psnr"]))

    def competes(self, method: str) -> bool:
        """Return whether a method is no oracle, by its note."""
        return "oracle" not in str((self.run.get("method_notes") or {}).get(method, "")).lower()


def read_evaluation(folder: str | os.PathLike) -> Evaluation:
    """Read the folder of an evaluation.

    Raises:
        FileNotFoundError: the folder contains no evaluation.
        ValueError: a file in it has another format.
    """
    place = Path(folder)
    run = _run(place)
    per_subject = _rows(place / "per_subject.csv", fields=("subject", *NEEDED, "method", "psnr"))
    return Evaluation(
        folder=place,
        run=run,
        columns=tuple(_column(column, path=place / "run.json") for column in run["columns"]),
        per_subject=per_subject,
        summary=_rows(place / "summary.csv", fields=(*NEEDED, "method", "n")),
        comparisons=_optional_rows(place / "comparisons.csv", fields=(*NEEDED, "baseline", "metric", "verdict")),
        segmentation=_optional_rows(place / "segmentation.csv", fields=(*NEEDED, "method", "class", "dice")),
        calibration=_optional_json(place / "calibration.json"),
        equivariance=_optional_json(place / "equivariance.json"),
    )


def _run(folder: Path) -> dict[str, Any]:
    path = folder / "run.json"
    if not path.is_file():
        raise FileNotFoundError(
            f"'{folder}' is no evaluation: it has no run.json. One is made by 'unicoal evaluate'; give the "
            "folder named in its log."
        )
    run = _json(path)
    missing = [key for key in ("method", "columns") if key not in run] if isinstance(run, dict) else ["everything"]
    if missing or run.get("schema") != SCHEMA:
        what = f"lacks {', '.join(missing)}" if missing else f"has schema {run.get('schema')!r}, not {SCHEMA}"
        raise ValueError(f"'{path}' {what}. Evaluate again with this version.")
    return run


def _column(values: Any, *, path: Path) -> Column:
    try:
        column = Column(**values)
    except TypeError as error:
        raise ValueError(f"columns in '{path}' hold {values!r}: {error}. Evaluate again with this version.") from error
    if column.better not in BETTER:
        raise ValueError(
            f"column '{column.name}' in '{path}' has better {column.better!r}; it must be one of {', '.join(BETTER)}."
        )
    return column


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"'{path}' is no JSON: {error}. Evaluate again.") from error


def _optional_json(path: Path) -> Any:
    return _json(path) if path.is_file() else None


def _optional_rows(path: Path, *, fields: tuple[str, ...]) -> list[Row]:
    return _rows(path, fields=fields) if path.is_file() and path.stat().st_size else []


def _rows(path: Path, *, fields: tuple[str, ...]) -> list[Row]:
    with open(path, newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        missing = [field for field in fields if field not in (reader.fieldnames or ())]
        if missing:
            raise ValueError(f"'{path}' lacks the columns {', '.join(missing)}. Evaluate again with this version.")
        return [
            {
                key: value if key in TEXTS else _number(value, key, f"{path}, line {number}")
                for key, value in row.items()
            }
            for number, row in enumerate(reader, 2)
        ]


def _number(text: str | None, field: str, where: str) -> float:
    try:
        return float(text) if text else math.nan
    except ValueError as error:
        raise ValueError(f"{field} in {where} is {text!r}; it must be a number. Evaluate again.") from error
