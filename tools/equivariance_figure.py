"""Figure of `measure_equivariance.py`."""

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch import Tensor

from unicoal_components.files.atomic import atomic_path

DIFFERENCE_LIMIT = 0.25
TITLES = {
    "output": "output g(x)",
    "of moved": "of the moved input, g(t(x))",
    "moved": "moved output, t(g(x))",
    "difference": f"difference, ±{DIFFERENCE_LIMIT:g}",
}


def draw_figure(
    path: str | os.PathLike, *, result: Mapping[str, Any], pictures: Mapping[str, Mapping[str, Tensor]]
) -> None:
    """Draw a row of images for each network, and below them spectra and the steps along the position.

    Args:
        path: PNG file, written atomically.
        result: content of equivariance.json.
        pictures: for each network the images "output", "of moved" and "moved", `(R, R)` in [-1, 1].
    """
    figure = Figure(figsize=(8.4, 2.1 * len(pictures) + 2.6), layout="constrained")
    FigureCanvasAgg(figure)
    parts = np.asarray(figure.subfigures(2, 1, height_ratios=[2.1 * len(pictures), 2.6]))
    images, curves = parts
    axes = images.subplots(len(pictures), len(TITLES), squeeze=False)
    for row, (name, shown) in zip(axes, pictures.items(), strict=True):
        _draw_row(row, name, {key: np.asarray(image) for key, image in shown.items()})
    for ax, title in zip(axes[0], TITLES.values(), strict=True):
        ax.set_title(title, fontsize=8)
    left, right = curves.subplots(1, 2)
    _draw_spectra(left, result)
    _draw_steps(right, result)
    with atomic_path(path) as partial:
        figure.savefig(partial, format="png", dpi=100)


def _draw_row(axes: np.ndarray, name: str, shown: Mapping[str, np.ndarray]) -> None:
    difference = shown["of moved"] - shown["moved"]
    for ax, image in zip(axes, (shown["output"], shown["of moved"], shown["moved"], difference), strict=True):
        limit = DIFFERENCE_LIMIT if image is difference else 1
        ax.imshow(image, cmap="RdBu_r" if image is difference else "gray", vmin=-limit, vmax=limit)
        ax.set_xticks([])
        ax.set_yticks([])
    axes[0].set_ylabel(name.replace("_", " "), fontsize=8)


def _draw_spectra(ax: Axes, result: Mapping[str, Any]) -> None:
    curves = {"truth": result["truth"]} | {name: one["spectrum"] for name, one in result["networks"].items()}
    for name, curve in curves.items():
        color = "black" if name == "truth" else None
        ax.semilogy(curve["frequencies"], curve["power"], label=name.replace("_", " "), linewidth=1, color=color)
    ax.set_xlabel("cycles per pixel", fontsize=8)
    ax.set_title("power of the outputs", fontsize=8)
    ax.legend(fontsize=7)
    ax.tick_params(labelsize=7)


def _draw_steps(ax: Axes, result: Mapping[str, Any]) -> None:
    for name, one in result["networks"].items():
        steps = one["sweep"]["steps"]
        ax.plot(np.arange(1, len(steps) + 1) / len(steps) * 2, steps, label=name.replace("_", " "), linewidth=1)
    ax.axvline(1, color="gray", linewidth=0.5)
    ax.set_ylim(bottom=0)
    ax.set_xlabel("position; the next group from 1 on", fontsize=8)
    ax.set_title("mean step of the output along the position", fontsize=8)
    ax.tick_params(labelsize=7)
