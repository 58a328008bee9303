"""Which volumes go into the page, so that it stays small enough to send."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .evaluation import Evaluation
from .rows import Row, case_stem

INPUT, TRUTH = "input", "truth"
SUFFIX = ".nii.gz"
BUDGET = 10_000_000
"""Bytes of all volumes; in base64 a third more. The first case is always taken."""


@dataclass
class ViewedCase:
    """A case within the page.

    Attributes:
        row: of the evaluated method.
        rank: "worst", "best", or the place between, such as "4th of 9".
        files: volume by name: input, methods, truth.
        left_out: methods whose volumes are stored, but were too many bytes.
    """

    row: Row
    rank: str
    files: dict[str, Path]
    left_out: list[str] = field(default_factory=list)


def viewed_cases(evaluation: Evaluation, *, count: int, budget: int = BUDGET) -> list[ViewedCase]:
    """Choose the worst, the median and the best case (or as many, evenly spread in rank) and their volumes.

    Input, prediction and truth of all cases are taken first, then the other methods, those that were learned before
    those that were computed, as long as the budget lasts.

    Args:
        evaluation: with NIfTI files in its folder cases.
        count: of cases.
        budget: in bytes.
    """
    method = evaluation.method
    stored = [row for row in evaluation.ranked if _is_whole(evaluation, row)]
    cases: list[ViewedCase] = []
    left = budget
    for place in spread(len(stored), count):
        files = {name: _path(evaluation, stored[place], name) for name in (INPUT, method, TRUTH)}
        size = sum(path.stat().st_size for path in files.values())
        if size <= left or not cases:
            cases.append(ViewedCase(stored[place], _rank(place, len(stored)), files))
            left -= size
    for name in reversed([name for name in evaluation.methods if name != method]):
        for case in cases:
            left -= _add(evaluation, case, name, left)
    for case in cases:  # in the order of the tables, the method first
        order = [INPUT, method, *evaluation.methods, TRUTH]
        case.files = {name: case.files[name] for name in dict.fromkeys(order) if name in case.files}
    return sorted(cases, key=lambda case: evaluation.ranked.index(case.row))


def spread(total: int, count: int) -> list[int]:
    """Choose ranks: the ends first, then what lies between.

    >>> spread(9, 3), spread(2, 3), spread(9, 1)
    ([0, 8, 4], [0, 1], [0])
    """
    between = [round(index * (total - 1) / max(count - 1, 1)) for index in range(count)]
    return list(dict.fromkeys((between[:1] + between[-1:] + between[1:-1]) if total else []))


def _add(evaluation: Evaluation, case: ViewedCase, name: str, left: int) -> int:
    """Add a method's volume if it is stored and not too large; return the bytes that it takes."""
    path = _path(evaluation, case.row, name)
    if not path.is_file():
        return 0
    size = path.stat().st_size
    if size > left:
        case.left_out.append(name)
        return 0
    case.files[name] = path
    return size


def _rank(place: int, total: int) -> str:
    if place in (0, total - 1):
        return "worst" if place == 0 else "best"
    return "median" if place == (total - 1) // 2 or place == total // 2 else f"rank {place + 1} of {total}"


def _is_whole(evaluation: Evaluation, row: Row) -> bool:
    names: Sequence[str] = (INPUT, evaluation.method, TRUTH)
    return all(_path(evaluation, row, name).is_file() for name in names)


def _path(evaluation: Evaluation, row: Row, name: str) -> Path:
    return evaluation.folder / "cases" / case_stem(row) / f"{name}{SUFFIX}"
