"""Volumes of selected cases, shown in the page by the viewer."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..viewer.packed import read_viewed
from ..viewer.page import viewer_part
from ..viewer.scene import Layer, Scene
from .evaluation import Evaluation
from .panels import title_of
from .rows import Row, case_stem

INPUT, TRUTH = "input", "truth"
BUDGET = 10_000_000
"""Bytes of all volumes, so that the page stays small enough to send; a third more in base64. The first case is always
included."""


@dataclass
class ViewedCase:
    """A case in the page.

    Attributes:
        row: row of the evaluated method.
        rank: "worst", "median", "best", or a rank between, such as "rank 4 of 9".
        files: volume by name: input, methods, truth.
        left_out: methods whose volumes are stored, but exceed the budget.
    """

    row: Row
    rank: str
    files: dict[str, Path]
    left_out: list[str] = field(default_factory=list)


def viewer_content(evaluation: Evaluation, *, count: int) -> dict[str, Any]:
    """Return the volumes of some cases in the viewer.

    Args:
        evaluation: evaluation with NIfTI files in its folder cases.
        count: number of cases in the page.

    Returns:
        `asked`: whether any case was requested; `ranks` of the cases; `left_out`: methods whose volumes are missing;
        `part`: part of the page with the viewer.

    Raises:
        OSError: a file cannot be read.
        ValueError: a file is not one volume.
    """
    cases = viewed_cases(evaluation, count=count)
    titles = [f"{case.rank} · {title_of(case.row)}" for case in cases]
    scenes = [_scene(case) for case in cases]
    wipe = "Input over the prediction, from the left"
    return {
        "asked": count > 0,
        "ranks": [case.rank for case in cases],
        "left_out": dict.fromkeys(name for case in cases for name in case.left_out),
        "part": viewer_part(titles, scenes, label="Case", wipe=wipe, grid="truth") if cases else None,
    }


def _scene(case: ViewedCase) -> Scene:
    """Return input, prediction (a choice of methods) and truth, on one gray scale."""
    layers = {
        name: Layer(name, read_viewed(path), (0.0, 1.0), "black to white", linked="all")
        for name, path in case.files.items()
    }
    methods = [layer for name, layer in layers.items() if name not in (INPUT, TRUTH)]
    return Scene([[layers[INPUT]], methods, [layers[TRUTH]]], base=layers[TRUTH].volume)


def viewed_cases(evaluation: Evaluation, *, count: int, budget: int = BUDGET) -> list[ViewedCase]:
    """Select the worst, the median and the best case (or as many, evenly spread in rank) and their volumes.

    Input, prediction and truth of all cases are added first, then other methods, networks before interpolation,
    within the budget.

    Args:
        evaluation: evaluation with NIfTI files in its folder cases.
        count: number of cases.
        budget: largest total size in bytes.
    """
    method = evaluation.method
    needed = (INPUT, method, TRUTH)
    stored = [row for row in evaluation.ranked if all(_path(evaluation, row, name).is_file() for name in needed)]
    cases: list[ViewedCase] = []
    left = budget
    for place in spread(len(stored), count):
        files = {name: _path(evaluation, stored[place], name) for name in needed}
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
    """Return evenly spread ranks: the ends first, then those between.

    Example:
        >>> spread(9, 3), spread(2, 3), spread(9, 1)
        ([0, 8, 4], [0, 1], [0])
    """
    between = [round(index * (total - 1) / max(count - 1, 1)) for index in range(count)]
    return list(dict.fromkeys((between[:1] + between[-1:] + between[1:-1]) if total else []))


def _add(evaluation: Evaluation, case: ViewedCase, name: str, left: int) -> int:
    """Add a method's volume if it is stored and within the budget; return its size in bytes."""
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


def _path(evaluation: Evaluation, row: Row, name: str) -> Path:
    return evaluation.folder / "cases" / case_stem(row) / f"{name}.nii.gz"
