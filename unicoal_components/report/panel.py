"""Panels: the volumes of one case side by side in three views, with the error on its own scale."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ..files.atomic import atomic_path
from ..metrics.measure import ERROR_LIMIT

COLUMN_INCHES = 2.2
HEADER_INCHES = 0.75
VIEWS = ("axial", "coronal", "sagittal")
"""Rows of a panel, slices across the axes D, H, W."""


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
    sagittal: int | None = None,
    error_limit: float = ERROR_LIMIT,
    expected: np.ndarray | None = None,
) -> Path:
    """Draw an axial, a coronal and a sagittal slice of every volume, and the absolute error of one, as a PNG.

    The coronal and sagittal rows, across the slices, show steps and flicker between slices, which slice-wise measures
    hide. Left in the image is the patient's right, in the sagittal row the front. All volumes share one gray scale,
    [-1, 1] as black to white. If both `prediction` and `truth` are among the images, a last column shows
    |prediction - truth| / 2, the error on a scale where the data range is 1, with a color bar from 0 to `error_limit`
    that is the same in every panel.

    Args:
        path: PNG file; written atomically.
        images: title of the column → `(D, H, W)` in [-1, 1], axes to superior, posterior, left, all of the same shape,
            drawn in this order. An input with thick slices is given as its nearest slices on the thin grid.
        title: heading of the panel.
        spacing: distance in mm between voxels along D, H, W.
        prediction: name of the image whose error is shown.
        truth: name of the image to compare it with.
        axial: slice index along D; `None` is the middle of the foreground.
        coronal: slice index along H; `None` is the middle of the foreground.
        sagittal: slice index along W; `None` is a quarter of the foreground's width off its middle, as the
            midline shows more fluid than tissue.
        error_limit: error shown as the brightest color, on [0, 1].
        expected: error predicted by the network, `(D, H, W)`, for intensities in [-1, 1]; shown in another column on
            the error's scale.

    Returns:
        The path of the file.

    Raises:
        ValueError: there are no images, or they are not `(D, H, W)` of one shape, or an index is outside.
        OSError: the file cannot be written.
    """
    volumes = {name: np.asarray(volume, dtype=np.float32) for name, volume in images.items()}
    shapes = {name: volume.shape for name, volume in volumes.items()}
    if not volumes or len(set(shapes.values())) > 1 or any(len(shape) != 3 for shape in shapes.values()):
        raise ValueError(f"images have the shapes {shapes}; give one or more volumes (D, H, W) of the same shape.")
    places = foreground_places(volumes.get(truth, next(iter(volumes.values()))))
    chosen = (axial, coronal, sagittal)
    rows = [_checked(axis, chosen[axis], places[axis], shapes=shapes) for axis in range(3)]
    errors: dict[str, np.ndarray] = {}
    if {prediction, truth} <= set(volumes):
        errors[f"|{prediction} - truth|"] = np.abs(volumes[prediction] - volumes[truth]) / 2
    if expected is not None:
        if expected.shape not in shapes.values():
            raise ValueError(
                f"expected has the shape {expected.shape}, the images have {shapes}; give it on their grid."
            )
        errors["expected error"] = np.asarray(expected, dtype=np.float32) / 2
    figure = _figure(volumes, errors, rows=rows, spacing=spacing, title=title, limit=error_limit)
    with atomic_path(path) as partial:
        figure.savefig(partial, format="png", dpi=120)
    return Path(path)


def foreground_places(volume: np.ndarray) -> tuple[int, int, int]:
    """Return slice indices along D, H and W in the foreground (above -1), or in the whole volume if it is empty.

    D and H: the middle. W: a quarter of the width from the first side, inside the right half of the head.

    Example:
        >>> volume = np.full((9, 8, 16), -1.0); volume[2:5, 4:7, 3:12] = 0
        >>> foreground_places(volume)
        (3, 5, 5)
    """
    places = []
    for axis, part in enumerate((0.5, 0.5, 0.25)):
        other = tuple(a for a in range(3) if a != axis)
        inside = np.flatnonzero((volume > -0.99).any(axis=other))
        first, last = (inside[0], inside[-1]) if len(inside) else (0, volume.shape[axis] - 1)
        places.append(int(first + part * (last - first)))
    return places[0], places[1], places[2]


def _checked(axis: int, index: int | None, place: int, *, shapes: Mapping[str, tuple]) -> int:
    size = next(iter(shapes.values()))[axis]
    if index is not None and not 0 <= index < size:
        raise ValueError(f"{VIEWS[axis]} slice is {index}; it must be 0 to {size - 1}.")
    return place if index is None else index


def _figure(
    volumes: Mapping[str, np.ndarray],
    errors: Mapping[str, np.ndarray],
    *,
    rows: Sequence[int],
    spacing: Sequence[float],
    title: str,
    limit: float,
) -> Figure:
    """Create the figure with three rows in the volume's proportions, without global state of matplotlib."""
    depth, height, width = (n * mm for n, mm in zip(next(iter(volumes.values())).shape, spacing, strict=True))
    columns = len(volumes) + len(errors)
    heights = [height, depth, depth * width / height]  # for a column as wide as the volume; the sagittal one is H wide
    inches = COLUMN_INCHES / width * sum(heights) + HEADER_INCHES
    figure = Figure(figsize=(COLUMN_INCHES * columns + 0.8, inches), facecolor="black")
    FigureCanvasAgg(figure)
    axes = figure.subplots(3, columns, squeeze=False, height_ratios=heights)
    right, top = 1 - 0.75 / figure.get_figwidth(), 1 - (HEADER_INCHES - 0.1) / figure.get_figheight()
    figure.subplots_adjust(left=0.005, right=right, bottom=0.01, top=top, wspace=0.02, hspace=0.02)
    figure.suptitle(title, color="white", fontsize=11)
    for column, (label, volume) in zip(axes.T, volumes.items(), strict=False):
        _column(column, volume, label, rows=rows, spacing=spacing, cmap="gray", low=-1.0, high=1.0)
    for column, (label, volume) in zip(axes.T[len(volumes) :], errors.items(), strict=True):
        _column(column, volume, label, rows=rows, spacing=spacing, cmap="inferno", low=0.0, high=limit)
    if errors:
        bar = figure.colorbar(axes[0, -1].images[0], cax=figure.add_axes((right + 0.006, 0.03, 0.009, top - 0.04)))
        bar.ax.tick_params(colors="white", labelsize=8)
    return figure


def _column(
    axes: np.ndarray,
    volume: np.ndarray,
    label: str,
    *,
    rows: Sequence[int],
    spacing: Sequence[float],
    cmap: str,
    low: float,
    high: float,
) -> None:
    """Draw one volume: axial with anterior up, coronal and sagittal with superior up, sagittal with anterior left."""
    d, h, w = spacing
    axial, coronal, sagittal = rows
    views = (
        (volume[axial], h / w, "upper"),
        (volume[:, coronal], d / w, "lower"),
        (volume[:, :, sagittal], d / h, "lower"),
    )
    for ax, (image, aspect, origin) in zip(axes, views, strict=True):
        ax.imshow(image, cmap=cmap, vmin=low, vmax=high, aspect=aspect, origin=origin, interpolation="nearest")  # type: ignore[arg-type]
        ax.set_axis_off()
    axes[0].set_title(label, color="white", fontsize=10, pad=4)
