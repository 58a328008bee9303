"""Panels: the volumes of one case side by side, in plane and through plane, with the error on its own scale."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ..data.atomic import atomic_path

COLUMN_INCHES = 2.2
HEADER_INCHES = 0.75
ERROR_LIMIT = 0.25


def save_panel(
    path: str | os.PathLike,
    *,
    images: Mapping[str, np.ndarray],
    title: str,
    spacing: Sequence[float] = (1.0, 1.0, 1.0),
    prediction: str = "ours",
    truth: str = "truth",
    axial: int | None = None,
    coronal: int | None = None,
    error_limit: float = ERROR_LIMIT,
) -> Path:
    """Draw an axial and a reformatted coronal slice of every volume, and the absolute error of one, as a PNG.

    The coronal row shows what slice-wise numbers hide: steps and flicker from slice to slice. Left in the picture is
    the patient's right. All volumes share one gray scale, [-1, 1] as black to white. Where both ``prediction`` and
    ``truth`` are among the images, a last column shows |prediction - truth| / 2, the error on a scale where the
    data range is 1, with a color bar from 0 to ``error_limit`` that is the same in every panel.

    Args:
        path: PNG file; written as a whole or not at all.
        images: title of the column → ``(D, H, W)`` in [-1, 1], axes to superior, posterior, left, all of one shape,
            drawn in this order. An input with thick slices comes as its nearest slices on the thin grid.
        title: heading of the panel.
        spacing: distance in mm between voxels along D, H, W.
        prediction: which image the error is of.
        truth: which image the error is against.
        axial: slice index along D; ``None`` is the middle of the foreground.
        coronal: slice index along H; ``None`` is the middle of the foreground.
        error_limit: error shown as the brightest color, on [0, 1].

    Returns:
        The path written.

    Raises:
        ValueError: there are no images, or they are not ``(D, H, W)`` of one shape, or an index is outside.
        OSError: the file cannot be written.
    """
    volumes = {name: np.asarray(volume, dtype=np.float32) for name, volume in images.items()}
    shapes = {name: volume.shape for name, volume in volumes.items()}
    if not volumes or len(set(shapes.values())) > 1 or any(len(shape) != 3 for shape in shapes.values()):
        raise ValueError(f"images have the shapes {shapes}; allowed are one or more volumes (D, H, W) of one shape.")
    middle = foreground_middle(volumes.get(truth, next(iter(volumes.values()))))
    rows = {
        "axial": _checked(axial, axis=0, middle=middle, shapes=shapes),
        "coronal": _checked(coronal, axis=1, middle=middle, shapes=shapes),
    }
    error = np.abs(volumes[prediction] - volumes[truth]) / 2 if {prediction, truth} <= set(volumes) else None
    figure = _figure(volumes, error, rows=rows, spacing=spacing, title=title, limit=error_limit, name=prediction)
    with atomic_path(path) as partial:
        figure.savefig(partial, format="png", dpi=120)
    return Path(path)


def foreground_middle(volume: np.ndarray) -> tuple[int, int]:
    """Find the middle of the foreground (above -1) along D and H; of the whole volume where it is empty.

    >>> volume = np.full((9, 8, 7), -1.0); volume[2:5, 4:7] = 0
    >>> foreground_middle(volume)
    (3, 5)
    """
    middle = []
    for axis in (0, 1):
        other = tuple(a for a in range(3) if a != axis)
        inside = np.flatnonzero((volume > -0.99).any(axis=other))
        first, last = (inside[0], inside[-1]) if len(inside) else (0, volume.shape[axis] - 1)
        middle.append(int(first + last) // 2)
    return middle[0], middle[1]


def _checked(index: int | None, *, axis: int, middle: Sequence[int], shapes: Mapping[str, tuple]) -> int:
    size = next(iter(shapes.values()))[axis]
    if index is not None and not 0 <= index < size:
        raise ValueError(f"{('axial', 'coronal')[axis]} slice is {index}; allowed is 0 to {size - 1}.")
    return middle[axis] if index is None else index


def _figure(
    volumes: Mapping[str, np.ndarray],
    error: np.ndarray | None,
    *,
    rows: Mapping[str, int],
    spacing: Sequence[float],
    title: str,
    limit: float,
    name: str,
) -> Figure:
    """Lay out the two rows in the volume's true proportions; the object interface leaves no global state."""
    depth, height, width = (n * mm for n, mm in zip(next(iter(volumes.values())).shape, spacing, strict=True))
    columns = len(volumes) + (error is not None)
    scale = COLUMN_INCHES / width
    figure = Figure(
        figsize=(COLUMN_INCHES * columns + 0.8, scale * (height + depth) + HEADER_INCHES), facecolor="black"
    )
    FigureCanvasAgg(figure)
    axes = figure.subplots(2, columns, squeeze=False, height_ratios=[height, depth])
    right, top = 1 - 0.75 / figure.get_figwidth(), 1 - (HEADER_INCHES - 0.1) / figure.get_figheight()
    figure.subplots_adjust(left=0.005, right=right, bottom=0.01, top=top, wspace=0.02, hspace=0.02)
    figure.suptitle(title, color="white", fontsize=11)
    for column, (label, volume) in zip(axes.T, volumes.items(), strict=False):
        _column(column, volume, label, rows=rows, spacing=spacing, cmap="gray", low=-1.0, high=1.0)
    if error is not None:
        _column(
            axes[:, -1], error, f"|{name} - truth|", rows=rows, spacing=spacing, cmap="inferno", low=0.0, high=limit
        )
        bar = figure.colorbar(axes[0, -1].images[0], cax=figure.add_axes((right + 0.006, 0.03, 0.009, top - 0.04)))
        bar.ax.tick_params(colors="white", labelsize=8)
    return figure


def _column(
    axes: np.ndarray,
    volume: np.ndarray,
    label: str,
    *,
    rows: Mapping[str, int],
    spacing: Sequence[float],
    cmap: str,
    low: float,
    high: float,
) -> None:
    """Draw one volume: axial with anterior up, coronal with superior up."""
    d, h, w = spacing
    views = ((volume[rows["axial"]], h / w, "upper"), (volume[:, rows["coronal"]], d / w, "lower"))
    for ax, (image, aspect, origin) in zip(axes, views, strict=True):
        ax.imshow(image, cmap=cmap, vmin=low, vmax=high, aspect=aspect, origin=origin, interpolation="nearest")  # type: ignore[arg-type]
        ax.set_axis_off()
    axes[0].set_title(label, color="white", fontsize=10, pad=4)
