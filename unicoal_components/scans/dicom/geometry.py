"""Geometry of a DICOM series: positions, order and regularity of its slices."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from pydicom import Dataset

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0])

SAME_POSITION = 0.01
"""Distance in mm below which two slices have the same position; also the tolerance of the affine at each slice."""

SPACING_TOLERANCE = (0.01, 0.02)
"""Allowed variation of the slice spacing: a fraction of it, or a length in mm, whichever is larger."""

SAME_DIRECTION = 1e-4
"""Orientations and pixel spacings that differ by less are equal; 0.025 mm over 250 mm."""

JITTER = 2e-3
"""Orientations whose numbers differ by less belong to one stack, with a warning: scanners and archives round them."""

ROUNDING = 0.1
"""Distance in mm of positions from a regular stack up to which they belong to it, with a warning: they were rounded."""

MAX_SHEAR = 0.01
"""Largest sideways step per step along the normal (0.6 degrees); above it, the stack is sheared."""


class SlicePlane(NamedTuple):
    """Position and orientation of one slice according to its header, in DICOM LPS mm.

    Attributes:
        position: `(3,)`, center of the first voxel.
        row: `(3,)`, unit vector along a row, in direction of growing column index.
        column: `(3,)`, unit vector down a column.
        spacing: `(2,)`, in mm between columns and between rows (the reverse of PixelSpacing).
    """

    position: np.ndarray
    row: np.ndarray
    column: np.ndarray
    spacing: np.ndarray


class StackGeometry(NamedTuple):
    """Order of the slices along their normal, and affine of the stack.

    Attributes:
        order: indices of the given slices, sorted in direction of row × column.
        affine: `(4, 4)`, voxel (column, row, slice, 1) to NIfTI RAS+ world mm.
        warnings: clauses about the series.
    """

    order: list[int]
    affine: np.ndarray
    warnings: tuple[str, ...] = ()


def slice_plane(header: Dataset, *, name: str) -> SlicePlane:
    """Return position, orientation and spacing of a slice from its header.

    They come from ImagePositionPatient, ImageOrientationPatient and PixelSpacing.

    Args:
        header: header of the slice.
        name: name of the file, used in error messages.

    Raises:
        ValueError: one of the three elements is missing or invalid.
    """
    position = _numbers(header, "ImagePositionPatient", 3, name)
    orientation = _numbers(header, "ImageOrientationPatient", 6, name)
    spacing = _numbers(header, "PixelSpacing", 2, name)
    row, column = orientation[:3], orientation[3:]
    off = max(abs(np.linalg.norm(row) - 1), abs(np.linalg.norm(column) - 1), abs(row @ column))
    if off > 2 * JITTER:
        raise ValueError(
            f"slice '{name}' has ImageOrientationPatient {orientation.tolist()}; it must be two perpendicular unit "
            "vectors. Export the series again from the scanner or the archive."
        )
    if not (spacing > 0).all():
        raise ValueError(
            f"slice '{name}' has PixelSpacing {spacing.tolist()} mm; both must be above 0. Export the series again "
            "from the scanner or the archive."
        )
    if off > SAME_DIRECTION:  # rounded to three digits, for example
        row = row / np.linalg.norm(row)
        column = column - (column @ row) * row
        column = column / np.linalg.norm(column)
    return SlicePlane(position, row, column, spacing[::-1])


def stack_geometry(planes: Sequence[SlicePlane], *, name: str, labels: Sequence[str] | None = None) -> StackGeometry:
    """Sort slices along their normal and return their order with the affine of the stack.

    DICOM is LPS and NIfTI is RAS, so the signs of x and y change. The columns of the affine are one step along a row,
    one step down a column, and the mean step between slices.

    Args:
        planes: planes of all slices, in any order.
        name: name of the series, used in error messages.
        labels: names of the slices in error messages, by default "slice 0", "slice 1", ...

    Raises:
        ValueError: there is only one slice, orientations or pixel spacings differ, a position occurs twice, slices are
            missing or unequally spaced, or the stack is sheared.
    """
    labels = labels or [f"slice {index}" for index in range(len(planes))]
    if len(planes) < 2:
        raise ValueError(
            f"series {name} has a single slice; a volume needs at least 2. Give the folder with all its slices."
        )
    warnings = _check_same_grid(planes, name, labels)
    first = planes[0]
    normal = np.cross(first.row, first.column)
    distances = np.array([plane.position @ normal for plane in planes])
    order = [int(index) for index in np.argsort(distances, kind="stable")]
    _check_steps(distances[order], name, [labels[index] for index in order])
    positions = np.stack([planes[index].position for index in order])
    regular = np.linspace(positions[0], positions[-1], len(positions))
    if np.linalg.norm(positions - regular, axis=1).max() > SAME_POSITION:
        regular = _regular(positions)
    step = regular[1] - regular[0]
    warnings += _check_line(positions, regular, step, normal, name)
    affine = np.eye(4)
    columns = [first.row * first.spacing[0], first.column * first.spacing[1], step, regular[0]]
    affine[:3] = LPS_TO_RAS @ np.stack(columns, axis=1)
    return StackGeometry(order, affine, tuple(warnings))


def _numbers(header: Dataset, keyword: str, count: int, name: str) -> np.ndarray:
    """Return the `count` numbers of an element."""
    try:
        values = np.asarray(header.get(keyword), dtype=np.float64)
    except (TypeError, ValueError):
        values = np.full(1, np.nan)
    if values.shape != (count,) or not np.isfinite(values).all():
        raise ValueError(
            f"slice '{name}' has {keyword} {header.get(keyword)!s}; its position needs {count} numbers. "
            "Screen captures and reformatted images lack it: give the acquired series."
        )
    return values


def _check_same_grid(planes: Sequence[SlicePlane], name: str, labels: Sequence[str]) -> list[str]:
    """Raise an error if orientations or pixel sizes differ; return warnings if orientations nearly agree."""
    first, largest = planes[0], 0.0
    for plane, label in zip(planes, labels, strict=True):
        turned = float(max(np.abs(plane.row - first.row).max(), np.abs(plane.column - first.column).max()))
        largest = max(largest, turned)
        if turned > JITTER or np.abs(plane.spacing - first.spacing).max() > SAME_DIRECTION:
            element = "ImageOrientationPatient" if turned > JITTER else "PixelSpacing"
            raise ValueError(
                f"series {name} mixes several values of {element}: {label} differs from {labels[0]}. Put each stack "
                "into its own folder."
            )
    if largest <= SAME_DIRECTION:
        return []
    return [f"its orientations differ by up to {largest:.1e} between slices; that of {labels[0]} was used for all"]


def _regular(values: np.ndarray) -> np.ndarray:
    """Return the equally spaced values `(N, ...)` with the least squared distance from the given ones."""
    index = np.arange(len(values)) - (len(values) - 1) / 2
    step = np.tensordot(index, values, axes=1) / (index @ index)
    return values.mean(axis=0) + np.multiply.outer(index, step)


def _check_steps(distances: np.ndarray, name: str, labels: Sequence[str]) -> None:
    """Raise an error if positions repeat, slices are missing, or steps are unequal.

    Args:
        distances: positions in mm along the normal, ascending.
        name: name of the series.
        labels: names of the slices, in this order.
    """
    steps = np.diff(distances)
    repeated = int(np.count_nonzero(steps < SAME_POSITION))
    if repeated:
        at = int(np.argmax(steps < SAME_POSITION))
        raise ValueError(
            f"series {name} has {repeated} slices at the position of another, such as {labels[at]} and "
            f"{labels[at + 1]}: it holds several volumes or copies of files. Put each volume into its own folder."
        )
    spacing = float(steps.min())
    fraction, smallest = SPACING_TOLERANCE
    tolerance = max(fraction * spacing, smallest)
    if steps.max() - spacing <= tolerance:
        return
    multiples = np.rint(steps / spacing)
    if multiples.max() > 1 and (np.abs(steps - multiples * spacing) <= tolerance * multiples).all():
        missing = [
            f"{a + spacing * j:.2f}" for a, n in zip(distances, multiples, strict=False) for j in range(1, int(n))
        ]
        at = int(np.argmax(multiples > 1))
        more = f" and {len(missing) - 10} more" if len(missing) > 10 else ""
        raise ValueError(
            f"series {name} lacks {len(missing)} slices at {', '.join(missing[:10])}{more} mm along the slice normal, "
            f"the first between {labels[at]} and {labels[at + 1]}; its spacing is {spacing:.3f} mm. Export or copy the "
            "whole series again."
        )
    if np.abs(distances - _regular(distances)).max() <= ROUNDING:
        return
    raise ValueError(
        f"series {name} has varying distances between its slices, {spacing:.3f} to {steps.max():.3f} mm; they "
        "must be equal. Give an evenly spaced series, or resample it and give NIfTI."
    )


def _check_line(
    positions: np.ndarray, regular: np.ndarray, step: np.ndarray, normal: np.ndarray, name: str
) -> list[str]:
    """Raise an error if the stack is sheared, or slices are far from their place in it; return warnings if near."""
    shear = float(np.linalg.norm(step - (step @ normal) * normal) / (step @ normal))
    if shear > MAX_SHEAR:
        raise ValueError(
            f"series {name} is sheared: its slices shift sideways by {100 * shear:.1f} % of their distance, as with "
            "gantry tilt; axes must be at right angles. Resample it first, for example with dcm2niix."
        )
    off = np.linalg.norm(positions - regular, axis=1)
    if off.max() > ROUNDING:
        raise ValueError(
            f"series {name} has slices that are not on one line: slice {int(off.argmax())} is {off.max():.3f} mm off. "
            "Give the acquired series, or resample it and give NIfTI."
        )
    if off.max() <= SAME_POSITION:
        return []
    spacing = np.linalg.norm(step)
    return [f"its slices are up to {off.max():.2f} mm off an even spacing of {spacing:.3f} mm, which was used"]
