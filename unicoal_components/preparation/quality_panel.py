"""Quality-control figure of a prepared subject: slices, agreement with the reference and histogram."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.ndimage import gaussian_filter

from ..datasets.hdf5 import read_header, read_history
from ..datasets.open_subject import open_subject
from ..files.atomic import atomic_path

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS = ("axial", "coronal", "sagittal", "checkerboard", "checkerboard", "contours", "contours", "histogram")
CELL_INCHES = 2.0
SQUARE_MM = 24.0
CONTOUR_PERCENTILES = (20, 60)
BLUR_MM = 1.5
PAPER, INK, MARK = "black", "#dddddd", "#ffb000"


def save_quality_panel(path: str | os.PathLike, subject_file: str | os.PathLike, *, title: str) -> Path:
    """Draw one row per modality of a subject file, as a PNG.

    From left to right: the middle axial, coronal and sagittal slice; an axial and a coronal checkerboard, whose squares
    (24 mm) alternate between the modality and the reference, so that edges should continue across squares; contours of
    the reference on the modality, which should follow its edges; and the histogram of the non-zero voxels, in the
    scan's own units before scaling, with the two percentiles that became black and white. The left side of axial and
    coronal slices is the patient's right, that of sagittal slices is anterior.

    Args:
        path: path of the PNG file; written atomically.
        subject_file: file written by `prepare_subject`.
        title: title of the panel.

    Returns:
        The path of the PNG file.

    Raises:
        OSError: the subject file cannot be read, or the panel cannot be written.
    """
    header = read_header(subject_file)
    history = read_history(subject_file) or {"modalities": {}, "recipe": {}}
    with open_subject(subject_file) as file:
        volumes = {name: np.asarray(file[name]) for name in ordered_modalities(history, header.modalities)}
    figure = _figure(volumes, spacing=header.spacing or (1.0, 1.0, 1.0), history=history, title=title)
    with atomic_path(path) as partial:
        figure.savefig(partial, format="png", dpi=100, metadata={"Software": None})
    return Path(path)


def ordered_modalities(history: Mapping[str, Any], modalities: Sequence[str]) -> list[str]:
    """Return the reference first, then the others in the order of their preparation."""
    recipe = history["recipe"]
    names = [source["modality"] for source in recipe.get("sources", ())]
    first = recipe.get("options", {}).get("register_to")
    order = [first, *names, *modalities] if first else [*names, *modalities]
    return [name for name in dict.fromkeys(order) if name in modalities]


def checkerboard(image: np.ndarray, reference: np.ndarray, *, spacing: Sequence[float]) -> np.ndarray:
    """Return squares of 24 mm that alternate between `image` and `reference`, all `(rows, columns)`.

    Args:
        image: `(rows, columns)`, shown in the first square.
        reference: image of the same shape.
        spacing: pixel spacing in mm along rows and columns.

    Example:
        >>> checkerboard(np.zeros((2, 2)), np.ones((2, 2)), spacing=(24.0, 24.0)).tolist()
        [[0.0, 1.0], [1.0, 0.0]]
    """
    rows, columns = (np.arange(n) * mm // SQUARE_MM for n, mm in zip(image.shape, spacing, strict=True))
    return np.where((rows[:, None] + columns[None, :]) % 2 == 0, image, reference)


def _figure(
    volumes: Mapping[str, np.ndarray], *, spacing: Sequence[float], history: Mapping[str, Any], title: str
) -> Figure:
    """Lay out the rows, without pyplot, whose state is global."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # imported here, because most workers never draw
    from matplotlib.figure import Figure

    reference = next(iter(volumes))
    middle = _middle(volumes[reference])
    width, height = CELL_INCHES * (len(COLUMNS) + 0.2), (CELL_INCHES + 0.25) * len(volumes) + 0.55
    figure = Figure(figsize=(width, height), facecolor=PAPER)
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(volumes), len(COLUMNS), squeeze=False, width_ratios=[1] * 7 + [1.1])
    figure.subplots_adjust(left=0.004, right=0.992, bottom=0.3 / height, top=1 - 0.75 / height, wspace=0.02, hspace=0.2)
    figure.suptitle(f"{title}, reference {reference}", color=INK, fontsize=11, x=0.004, ha="left", y=1 - 0.1 / height)
    for row, (name, volume) in zip(axes, volumes.items(), strict=True):
        known = history["modalities"].get(name, {})
        _draw_row(row, volume, volumes[reference], middle, spacing)
        row[0].set_title(_caption(name, known), color=MARK, fontsize=8, loc="left", pad=3)
        _draw_histogram(row[-1], known)
    for ax, column in zip(axes[0], COLUMNS, strict=True):
        box = ax.get_position()
        figure.text((box.x0 + box.x1) / 2, 1 - 0.45 / height, column, color=INK, fontsize=9, ha="center")
    return figure


def _middle(volume: np.ndarray) -> tuple[int, int, int]:
    """Return the indices of the middle of the foreground along D, H, W."""
    indices = []
    for axis in range(3):
        others = tuple(other for other in range(3) if other != axis)
        filled = np.flatnonzero((volume > 20).any(axis=others))
        indices.append(int(filled[0] + filled[-1]) // 2 if len(filled) else volume.shape[axis] // 2)
    return indices[0], indices[1], indices[2]


def _draw_row(
    row: Sequence[Axes],
    volume: np.ndarray,
    reference: np.ndarray,
    middle: tuple[int, int, int],
    spacing: Sequence[float],
) -> None:
    """Draw all columns of a modality except the histogram."""
    d, h, w = middle
    deep, high, wide = spacing
    cuts: Sequence[tuple[Any, tuple[float, float], str]] = (
        ((d, slice(None), slice(None)), (high, wide), "upper"),
        ((slice(None), h, slice(None)), (deep, wide), "lower"),
        ((slice(None), slice(None), w), (deep, high), "lower"),
    )
    for ax, (cut, pixel, origin) in zip(row[:3], cuts, strict=True):
        _show(ax, volume[cut], pixel, origin)
    for index, (cut, pixel, origin) in enumerate(cuts[:2]):
        _show(row[3 + index], checkerboard(volume[cut], reference[cut], spacing=pixel), pixel, origin)
        _show(row[5 + index], volume[cut], pixel, origin)
        smooth = gaussian_filter(reference[cut].astype(np.float32), [BLUR_MM / mm for mm in pixel])
        if (smooth > 20).any():
            levels = np.unique(np.percentile(smooth[smooth > 20], CONTOUR_PERCENTILES))
            row[5 + index].contour(smooth, levels=levels, colors=MARK, linewidths=0.5)


def _show(ax: Axes, image: np.ndarray, pixel: Sequence[float], origin: Any) -> None:
    ax.imshow(image, cmap="gray", vmin=0, vmax=255, aspect=pixel[0] / pixel[1], origin=origin, interpolation="nearest")
    ax.set_axis_off()


def _draw_histogram(ax: Axes, known: Mapping[str, Any]) -> None:
    """Draw the histogram that the history holds, and the two percentiles."""
    ax.set_facecolor(PAPER)
    ax.tick_params(colors=INK, labelsize=6, length=2, pad=1)
    ax.set_yticks([])
    for side in ("top", "left", "right"):
        ax.spines[side].set_visible(False)
    ax.spines["bottom"].set_color(INK)
    if "histogram" not in known:
        return
    counts, bounds = known["histogram"]["counts"], known["histogram"]
    edges = np.linspace(bounds["start"], bounds["stop"], len(counts) + 1)
    ax.stairs(counts, edges, fill=True, color="#888888")
    ax.locator_params(axis="x", nbins=4)
    ax.set_ylim(0, 1.05 * sorted(counts)[-3])  # two bins may be far above the others: clipped values, a stripped rim
    scaling = known["steps"][-1]
    for value in (scaling["low"], scaling["high"]):
        ax.axvline(value, color=MARK, linewidth=0.9)


def _caption(name: str, known: Mapping[str, Any]) -> str:
    """Return the source of a modality, its motion by registration, and its warnings."""
    if not known:
        return name
    size, spacing = ("x".join(f"{value:g}" for value in known[key]) for key in ("shape", "spacing"))
    words = [f"{name}: {known['source']}, {size} of {spacing} mm, {known['orientation']}"]
    for record in known["steps"]:
        if record["step"] == "register":
            words.append(f"moved {record['translation_mm']:.1f} mm, turned {record['rotation_deg']:.1f} degrees")
    return "; ".join([*words, *known["warnings"]])
