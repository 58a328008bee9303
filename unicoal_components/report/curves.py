"""Curves of a training, from the files that TensorBoard reads."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from .chart import Line, line_chart
from .evaluation import Evaluation
from .html import Html, element, section

Curve = tuple[list[int], list[float]]

LOSS = {"loss": ("whole objective", "main")}
DISTANCE = {"generator_l1": ("mean absolute error of the training slices", "second")}
QUALITY = {"val_psnr": ("validation volumes", "main"), "train_psnr": ("training slices", "second")}
KEPT = 5000
"""Points of a curve that are read; TensorBoard draws as many from a longer one."""


def training_curves(folder: str | os.PathLike) -> dict[str, Curve]:
    """Read every scalar of a TensorBoard folder.

    Files are read in the order of their names, which begin with the time. Of a training that was resumed, a step that
    was made again replaces the earlier one.

    Returns:
        Steps and values by name; nothing where the folder has no event files.
    """
    curves: dict[str, dict[int, float]] = {}
    for path in sorted(Path(folder).glob("*tfevents*")):
        events = EventAccumulator(os.fspath(path), size_guidance={"scalars": KEPT, "images": 1, "tensors": 1})
        events.Reload()
        for name in events.Tags()["scalars"]:
            curves.setdefault(name, {}).update((point.step, point.value) for point in events.Scalars(name))
    return {name: (sorted(points), [points[step] for step in sorted(points)]) for name, points in curves.items()}


def training_section(evaluation: Evaluation) -> Html:
    """Draw loss and PSNR over the training, or say that there is no record of it.

    The folder is that of the run, whatever weights are evaluated: both are named, so that foreign weights are noticed.
    """
    place = evaluation.run.get("training_log")
    if not place:
        return section("Training", "training", element("p", "No record of the training was given (training_log)."))
    curves = training_curves(place)
    if not curves:
        text = ["No record of a training was found in ", element("code", place), ": no TensorBoard event file."]
        return section("Training", "training", element("p", text))
    charts = [
        _chart(curves, LOSS, x_label="step", y_label="loss"),
        _chart(curves, DISTANCE, x_label="step", y_label="L1"),
        _chart(curves, QUALITY, x_label="epoch", y_label="PSNR [dB]"),
    ]
    absent = "This training was not validated, or not yet: it has no val_psnr."
    missing = None if "val_psnr" in curves else element("p", absent)
    return section("Training", "training", element("p", _whose(evaluation, place)), _side_by_side(charts), missing)


def _whose(evaluation: Evaluation, place: str) -> list[object]:
    path = (evaluation.run.get("weights") or {}).get("path")
    weights = "no file" if path is None else element("code", path)
    return [
        *("Curves of the training logged in ", element("code", place), ". The evaluated weights are ", weights),
        "; if they come from another training, these are not its curves.",
    ]


def _chart(curves: dict[str, Curve], names: dict[str, tuple[str, str]], *, x_label: str, y_label: str) -> Html | None:
    lines = [
        Line(label, *curves[name], style)
        for name, (label, style) in names.items()
        if name in curves and np.isfinite(curves[name][1]).any()
    ]
    return line_chart(lines, x_label=x_label, y_label=y_label) if lines else None


def _side_by_side(parts: list[Html | None]) -> Html:
    return element("div", parts, class_="charts")
