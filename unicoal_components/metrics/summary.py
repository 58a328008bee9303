"""Rows of a report: written per subject, summarized per case and method."""

from __future__ import annotations

import csv
import json
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..data.atomic import atomic_path

CASE_FIELDS = ("source", "target", "factor")
METRICS = ("psnr", "ssim", "mae")
ROW_FIELDS = ("subject", *CASE_FIELDS, "method", *METRICS)
SUMMARY_FIELDS = (*CASE_FIELDS, "method", "n", *(f"{m}_{s}" for m in METRICS for s in ("mean", "std")))
UNITS = "psnr in dB, ssim and mae on [0, 1] (data range 1), over the whole field of view"

Row = dict[str, Any]


def summarize(rows: Sequence[Row]) -> list[Row]:
    """Average over subjects, case by case, cases and methods in the order of their first row.

    The standard deviation is the population's (division by n), as in the published tables; 0 for one subject. A PSNR
    that is infinite (prediction equal to truth) makes its mean infinite and its deviation undefined (NaN).
    """
    cases: dict[tuple, dict[str, list[Row]]] = {}
    for row in rows:
        methods = cases.setdefault(tuple(row[field] for field in CASE_FIELDS), {})
        methods.setdefault(row["method"], []).append(row)
    return [
        dict(zip(SUMMARY_FIELDS, (*case, method, len(group), *_moments(group)), strict=True))
        for case, methods in cases.items()
        for method, group in methods.items()
    ]


def _moments(group: Sequence[Row]) -> list[float]:
    values = np.array([[row[metric] for metric in METRICS] for row in group])
    with np.errstate(invalid="ignore"):
        return [float(x) for pair in zip(values.mean(axis=0), values.std(axis=0), strict=True) for x in pair]


def write_csv(path: str | os.PathLike, *, rows: Sequence[Row], fields: Sequence[str]) -> None:
    """Write the rows under a header, all or nothing."""
    with atomic_path(path) as partial, open(partial, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(fields))
        writer.writeheader()
        writer.writerows({key: _short(value) for key, value in row.items()} for row in rows)


def _short(value: Any) -> Any:
    return f"{value:.6g}" if isinstance(value, float) else value


def write_json(path: str | os.PathLike, *, summary: Sequence[Row]) -> None:
    """Write the summary with its units, all or nothing; JSON has no infinity, so such values become null."""
    clean = [
        {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in row.items()} for row in summary
    ]
    with atomic_path(path) as partial:
        partial.write_text(json.dumps({"units": UNITS, "rows": clean}, indent=4) + "\n", encoding="utf-8")


def read_rows(path: str | os.PathLike) -> list[Row]:
    """Read per-subject rows that :func:`write_csv` wrote; no rows where there is no file.

    Raises:
        ValueError: the file has other columns.
    """
    if not Path(path).is_file():
        return []
    with open(path, newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        if tuple(reader.fieldnames or ()) != ROW_FIELDS:
            raise ValueError(f"{path} has the columns {reader.fieldnames}; expected {list(ROW_FIELDS)}. Delete it.")
        numbers = ("factor", *METRICS)
        return [{key: float(value) if key in numbers else value for key, value in row.items()} for row in reader]


def table(summary: Sequence[Row]) -> str:
    """Lay the summary out as text, mean ± standard deviation over subjects.

    >>> row = {"subject": "p", "source": "t1", "target": "t2", "factor": 4.0, "method": "ours"}
    >>> print(table(summarize([row | {"psnr": 20.0, "ssim": 0.5, "mae": 0.1}])))
    case               method    n     PSNR [dB]           SSIM              MAE
    t1 → t2 ×4         ours      1  20.00 ± 0.00  0.500 ± 0.000  0.1000 ± 0.0000
    """
    lines = [f"{'case':<18} {'method':<8}{'n':>3}  {'PSNR [dB]':>12}  {'SSIM':>13}  {'MAE':>15}"]
    for row in summary:
        case = case_name(row)
        cells = (
            f"{row['psnr_mean']:.2f} ± {row['psnr_std']:.2f}",
            f"{row['ssim_mean']:.3f} ± {row['ssim_std']:.3f}",
            f"{row['mae_mean']:.4f} ± {row['mae_std']:.4f}",
        )
        lines.append(f"{case:<18} {row['method']:<8}{row['n']:>3}  {cells[0]:>12}  {cells[1]:>13}  {cells[2]:>15}")
    return "\n".join(lines)


def case_name(row: Row) -> str:
    """Name a case for people.

    >>> case_name({"source": "t1", "target": "t2", "factor": 4.0})
    't1 → t2 ×4'
    """
    return f"{row['source']} → {row['target']} ×{row['factor']:g}"
