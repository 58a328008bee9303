"""Tables of what not every evaluation has: Dice of each class, and alias-freeness."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ..metrics.rows import Row, case_name
from .evaluation import Evaluation, case_key
from .html import Html, element, section, table
from .numbers import NONE, number


def segmentation_section(evaluation: Evaluation) -> Html | None:
    """Show the Dice of each class, mean ± standard deviation over subjects, with the mean volumes."""
    rows = evaluation.segmentation
    if not rows:
        return None
    cases = list(dict.fromkeys(map(case_key, rows)))
    tables = [_dice_table(evaluation, [row for row in rows if case_key(row) == case]) for case in cases]
    text = (
        "Dice of what a segmentation finds in the prediction against the reference, mean ± standard deviation over "
        "subjects; below it the mean volume in the prediction / in the reference."
    )
    return section("Anatomy", "anatomy", element("p", text), tables)


def equivariance_section(evaluation: Evaluation) -> Html | None:
    """Show `equivariance.json`: rows of a table, or values by name."""
    content = evaluation.equivariance
    if not content:
        return None
    rows = content.get("rows") if isinstance(content, dict) else content
    if isinstance(rows, list) and all(isinstance(row, dict) for row in rows):
        names = list(dict.fromkeys(name for row in rows for name in row))
        shown = table(names, [[_value(row.get(name)) for name in names] for row in rows], class_="numbers")
    else:
        shown = table(
            ("measure", "value"), [(name, _value(value)) for name, value in content.items()], class_="numbers"
        )
    text = (
        "Does moving the input move the output by the same amount? The PSNR between the two orders, higher is better; "
        "a network with aliasing ties detail to the pixel grid."
    )
    note = content.get("note") if isinstance(content, dict) else None
    return section("Alias-freeness", "alias", element("p", text), element("p", note) if note else None, shown)


def _dice_table(evaluation: Evaluation, rows: Sequence[Row]) -> Html:
    classes = list(dict.fromkeys(row["class"] for row in rows))
    methods = [name for name in evaluation.methods if any(row["method"] == name for row in rows)]
    body = []
    for method in methods:
        own = [row for row in rows if row["method"] == method]
        cells = [_dice_cell([row for row in own if row["class"] == name]) for name in classes]
        count = len({row["subject"] for row in own})
        style = "ours" if method == evaluation.method else None
        body.append(element("tr", element("th", method, scope="row"), element("td", count), cells, class_=style))
    shown = table(["method", "n", *classes], body, class_="numbers")
    return element("div", element("h4", case_name(rows[0])), shown)


def _dice_cell(rows: Sequence[Row]) -> Html:
    dice = np.array([row["dice"] for row in rows])
    dice = dice[np.isfinite(dice)]
    if not len(dice):
        return element("td", NONE, class_="none")
    spread = f" ± {number(float(dice.std()))}" if len(dice) > 1 else None
    volumes = [_mean(rows, f"volume_{name}_ml") for name in ("prediction", "truth")]
    small = element("small", f"{number(volumes[0], 1)} / {number(volumes[1], 1)} ml", class_="interval")
    return element("td", number(float(dice.mean())), spread, small)


def _mean(rows: Sequence[Row], field: str) -> float:
    values = [row[field] for row in rows if field in row and not math.isnan(row[field])]
    return float(np.mean(values)) if values else math.nan


def _value(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float | None):
        return str(value)
    return number(value, 0 if isinstance(value, int) else 2)
