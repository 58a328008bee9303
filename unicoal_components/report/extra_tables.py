"""Tables of what not every evaluation has: Dice of each class, and alias-freeness."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .evaluation import Evaluation
from .html import Html, element, section, table
from .numbers import NONE, number
from .rows import Row, case_name, case_of
from .summary_tables import method_heading

KINDS = {"translation": "EQ-T", "fractional": "EQ-T_frac", "rotation": "EQ-R"}


def segmentation_section(evaluation: Evaluation) -> Html | None:
    """Show the Dice of each class, mean ± standard deviation over subjects, with the mean volumes."""
    rows = evaluation.segmentation
    if not rows:
        return None
    cases = list(dict.fromkeys(map(case_of, rows)))
    tables = [_dice_table(evaluation, [row for row in rows if case_of(row) == case]) for case in cases]
    text = (
        "Dice of what a segmentation finds in the prediction against the reference, mean ± standard deviation over "
        "subjects; below it the mean volume in the prediction / in the reference."
    )
    return section("Anatomy", "anatomy", element("p", text), tables)


def equivariance_section(evaluation: Evaluation) -> Html | None:
    """Show what `tools/measure_equivariance.py` left in the folder: a row for each network and way to move it."""
    content = evaluation.equivariance
    if not content:
        return None
    task = f"{', '.join(map(str, content['subjects']))}, {content['images']} slices"
    body = [cells for name, network in content["networks"].items() for cells in _equivariance_rows(name, network)]
    ceiling = [f"{number(content['ceiling'][kind], 1)} dB" for kind in ("fractional", "rotation")]
    text = (
        f"{case_name(content)}, {task}. Does the output move as the input does? PSNR in dB between the output of the "
        "moved input and the moved output, ± standard error over slices; EQ-T by whole pixels, EQ-T_frac by fractions, "
        f"EQ-R by rotation, in the manner of StyleGAN3. The resampling itself allows {ceiling[0]} and {ceiling[1]} in "
        "the last two. Still, moved: whether the Fourier input of the network moves along. Beyond 0.35: part of the "
        "output's power at more than 0.35 cycles per pixel. Bend and seam: how crooked the way is on which the output "
        "goes as the slice position moves (0 is straight), and its step between two groups over the median step."
    )
    head = ("network", "Fourier input", *KINDS.values(), "beyond 0.35", "bend", "seam")
    other = content.get("weights_sha256") != (evaluation.run.get("weights") or {}).get("sha256")
    warning = element("p", "Measured with other weights than this evaluation.") if other else None
    return section("Alias-freeness", "alias", element("p", text), warning, table(head, body, class_="numbers"))


def _equivariance_rows(name: str, network: dict[str, Any]) -> list[list[str]]:
    """Return the cells of a network: a row for each part of it and way to move."""
    found = {(row["part"], row["mode"], row["kind"]): row for row in network["equivariance"]}
    sweep = network["sweep"]
    others = [number(network["spectrum"]["above"], 4), number(sweep["within"]["bend"]), number(sweep["seam"], 1)]
    rows = []
    for part, mode in dict.fromkeys((part, mode) for part, mode, _ in found):
        label = name.replace("_", " ") + ("" if part == "whole" else f", {part} alone")
        decibels = [_decibels(found.get((part, mode, kind))) for kind in KINDS]
        rows.append([label, mode.replace("_", " "), *decibels, *others])
    return rows


def _decibels(row: dict[str, Any] | None) -> str:
    return NONE if row is None else f"{number(row['decibels'], 1)} ± {number(row['standard_error'], 1)}"


def _dice_table(evaluation: Evaluation, rows: Sequence[Row]) -> Html:
    classes = list(dict.fromkeys(row["class"] for row in rows))
    methods = [name for name in evaluation.methods if any(row["method"] == name for row in rows)]
    body = []
    for method in methods:
        own = [row for row in rows if row["method"] == method]
        count = len({row["subject"] for row in own})
        cells = [_dice_cell([row for row in own if row["class"] == name], count=count) for name in classes]
        style = "ours" if method == evaluation.method else None
        body.append(element("tr", method_heading(evaluation, method), element("td", count), cells, class_=style))
    shown = table(["method", "n", *classes], body, class_="numbers")
    return element("div", element("h4", case_name(rows[0])), shown)


def _dice_cell(rows: Sequence[Row], *, count: int) -> Html:
    """Say how many subjects have the class where that is not all."""
    dice = np.array([row["dice"] for row in rows])
    dice = dice[np.isfinite(dice)]
    if not len(dice):
        return element("td", NONE, class_="none")
    spread = f" ± {number(float(dice.std()))}" if len(dice) > 1 else None
    few = f" (n {len(dice)})" if len(dice) < count else None
    volumes = [_mean(rows, f"volume_{name}_ml") for name in ("prediction", "truth")]
    small = element("small", f"{number(volumes[0], 1)} / {number(volumes[1], 1)} ml", class_="interval")
    return element("td", number(float(dice.mean())), spread, few, small)


def _mean(rows: Sequence[Row], field: str) -> float:
    values = [row[field] for row in rows if field in row and not math.isnan(row[field])]
    return float(np.mean(values)) if values else math.nan
