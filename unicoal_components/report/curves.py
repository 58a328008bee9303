"""Training curves from TensorBoard event files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from .chart import Chart, Line, line_chart

Curve = tuple[list[int], list[float]]

LOSS = {"loss": ("whole objective", "main")}
DISTANCE = {"generator_l1": ("mean absolute error of the training slices", "second")}
QUALITY = {"val_psnr": ("validation volumes", "main"), "train_psnr": ("training slices", "second")}
KEPT = 5000
"""Largest number of points read of a curve; TensorBoard samples as many from a longer one."""


def training_curves(folder: str | os.PathLike) -> dict[str, Curve]:
    """Read every scalar of a TensorBoard folder.

    Files are read in the order of their names, which begin with the time. In a resumed training, a repeated step
    replaces the earlier one.

    Returns:
        Steps and values by name; empty if the folder has no event files.
    """
    curves: dict[str, dict[int, float]] = {}
    for path in sorted(Path(folder).glob("*tfevents*")):
        events = EventAccumulator(os.fspath(path), size_guidance={"scalars": KEPT, "images": 1, "tensors": 1})
        events.Reload()
        for name in events.Tags()["scalars"]:
            curves.setdefault(name, {}).update((point.step, point.value) for point in events.Scalars(name))
    return {name: (sorted(points), [points[step] for step in sorted(points)]) for name, points in curves.items()}


def training_charts(folder: str | os.PathLike | None) -> dict[str, Any]:
    """Draw loss, distance and PSNR over the training.

    Returns:
        `found`: whether there is any record; `charts`; and `validated`: whether they show validation volumes.
    """
    curves = training_curves(folder) if folder else {}
    charts = (
        _chart(curves, LOSS, x_label="step", y_label="loss"),
        _chart(curves, DISTANCE, x_label="step", y_label="L1"),
        _chart(curves, QUALITY, x_label="epoch", y_label="PSNR [dB]"),
    )
    return {"found": bool(curves), "charts": list(filter(None, charts)), "validated": "val_psnr" in curves}


def _chart(curves: dict[str, Curve], names: dict[str, tuple[str, str]], *, x_label: str, y_label: str) -> Chart | None:
    lines = [
        Line(label, *curves[name], style)
        for name, (label, style) in names.items()
        if name in curves and np.isfinite(curves[name][1]).any()
    ]
    return line_chart(lines, x_label=x_label, y_label=y_label) if lines else None
