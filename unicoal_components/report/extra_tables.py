"""Optional tables of a report: Dice of each class, alias-freeness, and calibration of the uncertainty."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .chart import Chart, Line, line_chart
from .evaluation import Evaluation
from .numbers import NONE, number
from .rows import Row, case_name, case_of

KINDS = {"translation": "EQ-T", "fractional": "EQ-T_frac", "rotation": "EQ-R"}
"""Motions of an input, in the manner of StyleGAN3."""


def dice_tables(evaluation: Evaluation) -> list[dict[str, Any]]:
    """Return the Dice of each class, averaged over subjects: for each case its `name`, `classes` and `rows`.

    A row has its `method`, the number `n` of its subjects, and for each class a cell of `dice` and `volumes`.
    """
    cases: dict[tuple, list[Row]] = {}
    for row in evaluation.segmentation:
        cases.setdefault(case_of(row), []).append(row)
    return [_dice_table(evaluation, rows) for rows in cases.values()]


def _dice_table(evaluation: Evaluation, rows: Sequence[Row]) -> dict[str, Any]:
    classes = list(dict.fromkeys(row["class"] for row in rows))
    body = []
    for method in evaluation.methods:
        own = [row for row in rows if row["method"] == method]
        count = len({row["subject"] for row in own})
        cells = [_dice_cell([row for row in own if row["class"] == name], count=count) for name in classes]
        body += [{"method": method, "n": count, "cells": cells}] if own else []
    return {"name": case_name(rows[0]), "classes": classes, "rows": body}


def _dice_cell(rows: Sequence[Row], *, count: int) -> dict[str, str] | None:
    """Return the cell of a class, with the number of subjects that have it if these are not all."""
    dice = np.array([row["dice"] for row in rows])
    dice = dice[np.isfinite(dice)]
    if not len(dice):
        return None
    spread = f" ± {number(float(dice.std()))}" if len(dice) > 1 else ""
    few = f" (n {len(dice)})" if len(dice) < count else ""
    prediction, truth = (_mean(rows, f"volume_{name}_ml") for name in ("prediction", "truth"))
    return {
        "dice": f"{number(float(dice.mean()))}{spread}{few}",
        "volumes": f"{number(prediction, 1)} / {number(truth, 1)} ml",
    }


def _mean(rows: Sequence[Row], field: str) -> float:
    values = [row[field] for row in rows if field in row and not math.isnan(row[field])]
    return float(np.mean(values)) if values else math.nan


def alias_freeness(evaluation: Evaluation) -> dict[str, Any] | None:
    """Return the table of `tools/measure_equivariance.py`'s results: a row for each network and motion."""
    content = evaluation.equivariance
    if not content:
        return None
    return {
        "case": case_name(content),
        "subjects": content["subjects"],
        "images": content["images"],
        "ceiling": [number(content["ceiling"][kind], 1) for kind in ("fractional", "rotation")],
        "kinds": list(KINDS.values()),
        "rows": [cells for name, network in content["networks"].items() for cells in _equivariance_rows(name, network)],
        "same_weights": content.get("weights_sha256") == (evaluation.run.get("weights") or {}).get("sha256"),
    }


def _equivariance_rows(name: str, network: dict[str, Any]) -> list[list[str]]:
    """Return the cells of a network: a row for each part of it and motion."""
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


def uncertainty(evaluation: Evaluation) -> dict[str, Any] | None:
    """Return the `curve` of coverage, and the mean rank correlation, scale and gap over the subjects of each case."""
    content = evaluation.calibration
    if not content:
        return None
    groups: dict[str, list[dict[str, Any]]] = {}
    for case in content.get("cases", []):
        if isinstance(case, dict):
            groups.setdefault(case_name(case), []).append(case)
    rows = [
        (name, len(group), *(_mean_and_deviation(group, field) for field in ("spearman", "scale", "gap")))
        for name, group in groups.items()
    ]
    return {"curve": _coverage(content), "rows": rows}


def _coverage(content: dict[str, Any]) -> Chart | None:
    nominal, observed = ([_number(x) for x in content.get(name) or []] for name in ("nominal", "observed"))
    if not nominal or len(nominal) != len(observed) or not np.isfinite(observed).any():
        return None
    lines = [
        Line("observed, mean over cases", nominal, observed),
        Line("as it should be", (0.0, 1.0), (0.0, 1.0), "ideal"),
    ]
    return line_chart(
        lines, x_label="nominal coverage", y_label="observed coverage", x_range=(0.0, 1.0), y_range=(0.0, 1.0)
    )


def _mean_and_deviation(group: Sequence[dict[str, Any]], field: str) -> str:
    values = np.array([_number(case.get(field)) for case in group])
    values = values[~np.isnan(values)]
    if not len(values):
        return NONE
    with np.errstate(invalid="ignore"):
        mean, deviation = float(values.mean()), float(values.std())
    few = f" (n {len(values)})" if len(values) < len(group) else ""
    return (number(mean) if len(values) == 1 else f"{number(mean)} ± {number(deviation)}") + few


def _number(value: Any) -> float:
    """Return a float; NaN for `null`, infinity for its text."""
    return math.nan if value is None else float(value)
