"""Content of the result tables: means over subjects, and comparisons with each baseline."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ..metrics.measure import Column
from .evaluation import Evaluation
from .numbers import NONE, counted, number, p_value
from .rows import Row, case_name, case_of
from .statistics import LEVEL, smallest_p

STRICT = ("psnr", "ssim", "nmse", "mae", "hfen", "gms")
PAPER = "paper_"

Found = dict[tuple, Row]


@dataclass(frozen=True)
class Cell:
    """Cell of a table: a mean over subjects.

    Attributes:
        mean: the mean; a dash if there is none.
        spread: the standard deviation; empty for one subject.
        interval: interval of the mean; empty if there is none.
        is_best: whether no mean of the column is better.
        verdict: "better" or "worse" if the evaluated method is that, else empty.
        words: reasons of the verdict.
    """

    mean: str = NONE
    spread: str = ""
    interval: str = ""
    is_best: bool = False
    verdict: str = ""
    words: str = ""


def summary_content(evaluation: Evaluation) -> dict[str, Any]:
    """Return the content for every case: the strict protocol, other measures, the paper's protocol.

    Returns:
        `tested`: whether any test was done, of the measures `compared`; `reachable`: the p that the subjects allow;
        `overview`: pairs of a case and its cells of PSNR, one for each method, empty for a single case; `cases`: each
        with its `name`, number of `subjects` and `tables`; `empty`: pairs of a column and the reason why it is empty;
        `notes` on methods; `comparisons`: cells of each.
    """
    comparisons = _compared(evaluation)
    labels = {column.name: column.label for column in evaluation.columns}
    found = {(*case_of(row), row["baseline"], row["metric"]): row for row in evaluation.comparisons}
    groups = list(_groups(evaluation))
    return {
        "tested": any(not math.isnan(row["p"]) for row in comparisons),
        "compared": list(dict.fromkeys(str(labels.get(row["metric"], row["metric"])) for row in comparisons)),
        "reachable": reachable(evaluation),
        "overview": list(_overview(evaluation, found)) if len(evaluation.cases) > 1 else [],
        "cases": [
            {
                "name": case_name(case),
                "subjects": _most(_rows(evaluation, case)),
                "tables": [
                    {
                        "title": title,
                        "text": text,
                        "columns": columns,
                        "rows": _case_rows(evaluation, case, columns, found),
                    }
                    for title, text, columns in groups
                ],
            }
            for case in evaluation.cases
        ],
        "empty": _empty_columns(evaluation),
        "notes": evaluation.run.get("method_notes") or {},
        "comparisons": [_comparison(evaluation, row) for row in comparisons],
    }


def measured(evaluation: Evaluation, column: Column) -> bool:
    """Return whether any row has a number in the column."""
    return any(not math.isnan(row.get(f"{column.name}_mean", math.nan)) for row in evaluation.summary)


def reachable(evaluation: Evaluation) -> str:
    """Return a sentence on the p that the number of subjects allows, so that no verdict is not taken for equality."""
    count = _most(evaluation.summary)
    made = sum(not math.isnan(row.get("p", math.nan)) for row in evaluation.comparisons)
    if not made:
        few = "one subject allows none" if count <= 1 else "none was made"
        return f"No test: {few}, so no difference here says anything about other subjects."
    alone, together = smallest_p(count), min(1.0, made * smallest_p(count))
    text = (
        f"The smallest p that {counted(count, 'subject')} can reach is {alone:.3g}, after the correction for "
        f"{counted(made, 'comparison')} {together:.3g}"
    )
    return f"{text}: no difference, however clear, could have got a mark." if together >= LEVEL else f"{text}."


def _groups(evaluation: Evaluation) -> Iterator[tuple[str, str, list[Column]]]:
    """Yield title, explanation and columns with numbers."""
    columns = [column for column in evaluation.columns if measured(evaluation, column)]
    strict = [column for column in columns if column.name in STRICT]
    paper = [column for column in columns if column.name.startswith(PAPER)]
    other = [column for column in columns if column not in strict and column not in paper]
    groups = (
        ("Strict protocol", "Foreground of the truth, on the truth's own intensity scale: what counts.", strict),
        ("Other measures", "Perception, anatomy, and consistency through plane.", other),
        ("The paper's protocol", "To compare with published tables; lenient (see what is measured).", paper),
    )
    yield from (group for group in groups if group[2])


def _rows(evaluation: Evaluation, case: Row) -> list[Row]:
    """Return a case's rows in the order of the methods."""
    rows = [row for row in evaluation.summary if case_of(row) == case_of(case)]
    order = {name: place for place, name in enumerate(evaluation.methods)}
    return sorted(rows, key=lambda row: order.get(row["method"], len(order)))


def _case_rows(evaluation: Evaluation, case: Row, columns: Sequence[Column], found: Found) -> list[dict[str, Any]]:
    rows = _rows(evaluation, case)
    best = {column.name: _best(evaluation, rows, column) for column in columns}
    return [
        {
            "method": row["method"],
            "n": number(row["n"], 0),
            "cells": [_cell(evaluation, row, column, best=best[column.name], found=found) for column in columns],
        }
        for row in rows
    ]


def _best(evaluation: Evaluation, rows: Sequence[Row], column: Column) -> float:
    """Return the best mean of the competing rows; NaN if no direction is better."""
    means = [row.get(f"{column.name}_mean", math.nan) for row in rows if evaluation.competes(row["method"])]
    means = [mean for mean in means if not math.isnan(mean)]
    if not means or column.better == "none":
        return math.nan
    distance = {"higher": lambda x: -x, "lower": lambda x: x, "one": lambda x: abs(x - 1)}[column.better]
    return min(means, key=distance)


def _cell(evaluation: Evaluation, row: Row | None, column: Column, *, best: float, found: Found) -> Cell:
    mean, deviation, low, high = (
        math.nan if row is None else row.get(f"{column.name}_{part}", math.nan)
        for part in ("mean", "std", "low", "high")
    )
    if row is None or math.isnan(mean):
        return Cell()
    compared = found.get((*case_of(row), row["method"], column.name), {})
    verdict = compared.get("verdict", "")
    p_values = f"{p_value(compared['p'])}, after Holm {p_value(compared['p_holm'])}" if verdict else ""
    return Cell(
        mean=number(mean, column.digits),
        spread="" if row["n"] < 2 else f" ± {number(deviation, column.digits)}",
        interval="" if math.isnan(low) else f"[{number(low, column.digits)}, {number(high, column.digits)}]",
        is_best=mean == best and evaluation.competes(row["method"]),
        verdict=verdict,
        words=f"{evaluation.method} is {verdict} by {_difference(compared, column.digits)}, {p_values}"
        if verdict
        else "",
    )


def _difference(row: Row, digits: int) -> str:
    return f"{number(row['difference'], digits)} [{number(row['low'], digits)}, {number(row['high'], digits)}]"


def _most(rows: Sequence[Row]) -> int:
    return int(max((row["n"] for row in rows), default=0))


def _compared(evaluation: Evaluation) -> list[Row]:
    """Return the comparisons, without those of columns without numbers."""
    empty = {column.name for column in evaluation.columns if not measured(evaluation, column)}
    return [row for row in evaluation.comparisons if row["metric"] not in empty]


def _overview(evaluation: Evaluation, found: Found) -> Iterator[tuple[str, list[Cell]]]:
    """Yield the PSNR of every method, case by case."""
    for column in (column for column in evaluation.columns if column.name == "psnr"):
        for case in evaluation.cases:
            rows = {row["method"]: row for row in _rows(evaluation, case)}
            best = _best(evaluation, list(rows.values()), column)
            cells = [_cell(evaluation, rows.get(name), column, best=best, found=found) for name in evaluation.methods]
            yield case_name(case), cells


def _empty_columns(evaluation: Evaluation) -> list[tuple[str, str]]:
    """Return the empty columns, each with the reason."""
    empty = [column for column in evaluation.columns if not measured(evaluation, column)]
    labels = {column.name: column.label for column in evaluation.columns}
    notes = [(column.label, evaluation.notes.get(column.name, "no value was measured")) for column in empty]
    left = evaluation.notes.keys() - {column.name for column in empty}
    return notes + [(labels.get(name, name), evaluation.notes[name]) for name in sorted(left) if evaluation.notes[name]]


def _comparison(evaluation: Evaluation, row: Row) -> tuple[str, ...]:
    columns = {column.name: column for column in evaluation.columns}
    column = columns.get(row["metric"], Column(name=row["metric"], label=row["metric"]))
    difference = _difference(row, column.digits + 1)
    numbers = (number(row["n"], 0), difference, number(row["p"], 4), number(row["p_holm"], 4))
    return (case_name(row), row["baseline"], column.label, *numbers, row["verdict"] or NONE)
