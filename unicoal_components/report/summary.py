"""Summary of a report's rows per case and method."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..metrics.measure import Column
from .rows import CASE_FIELDS, Row, case_name, case_of
from .statistics import bootstrap_interval

STATISTICS = ("mean", "std", "low", "high")


def summary_fields(columns: Sequence[Column]) -> list[str]:
    """Return the names of the columns of `summary.csv`."""
    return [*CASE_FIELDS, "method", "n", *(f"{column.name}_{s}" for column in columns for s in STATISTICS)]


def summarize(rows: Sequence[Row], *, columns: Sequence[Column]) -> list[Row]:
    """Average over subjects, case by case, cases and methods in the order of their first row.

    The standard deviation is the population's (division by n), as in the published tables; 0 for one subject. `low`
    and `high` are the 95 % bootstrap interval of the mean (`bootstrap_interval`). An infinite PSNR (prediction equal to
    truth) makes the mean infinite and its deviation undefined (NaN); with a subject without a value (NaN) the mean is
    NaN, instead of a mean over fewer subjects.
    """
    cases: dict[tuple, dict[str, list[Row]]] = {}
    for row in rows:
        methods = cases.setdefault(case_of(row), {})
        methods.setdefault(row["method"], []).append(row)
    return [
        dict(zip(CASE_FIELDS, case, strict=True)) | {"method": method, "n": len(group)} | _moments(group, columns)
        for case, methods in cases.items()
        for method, group in methods.items()
    ]


def _moments(group: Sequence[Row], columns: Sequence[Column]) -> dict[str, float]:
    moments: dict[str, float] = {}
    for column in columns:
        values = np.array([row[column.name] for row in group], dtype=float)
        with np.errstate(invalid="ignore"):
            numbers = (float(values.mean()), float(values.std()), *bootstrap_interval(values))
        moments |= {f"{column.name}_{name}": value for name, value in zip(STATISTICS, numbers, strict=True)}
    return moments


def table(summary: Sequence[Row], *, columns: Sequence[Column]) -> str:
    """Return the means and standard deviations over subjects of a few columns as a text table.

    Example:
        >>> columns = [Column("psnr", "PSNR", "dB", digits=2), Column("mae", "MAE", better="lower")]
        >>> row = {"subject": "p", "source": "t1", "target": "t2", "factor": 4.0, "method": "unicoal"}
        >>> row |= {"psnr": 20.0, "mae": 0.1}
        >>> print(table(summarize([row], columns=columns), columns=columns))
        case               method    n        PSNR [dB]              MAE
        t1 → t2 ×4         unicoal   1     20.00 ± 0.00    0.100 ± 0.000
    """
    titles = [f"{column.label} [{column.unit}]" if column.unit else column.label for column in columns]
    width = max([18, *(len(case_name(row)) for row in summary)])
    lines = [f"{'case':<{width}} {'method':<8}{'n':>3}" + "".join(f"{title:>17}" for title in titles)]
    for row in summary:
        cells = [
            f"{row[f'{column.name}_mean']:.{column.digits}f} ± {row[f'{column.name}_std']:.{column.digits}f}"
            for column in columns
        ]
        lines.append(
            f"{case_name(row):<{width}} {row['method']:<8}{row['n']:>3}" + "".join(f"{cell:>17}" for cell in cells)
        )
    return "\n".join(lines)
