"""Where the slices of a DICOM series lie, in which order, and whether they make one regular stack."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from pydicom import Dataset

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0])

SAME_POSITION = 0.01
"""In mm: closer slices are one and the same place; also how exactly the affine must give each slice's position."""

SPACING_TOLERANCE = (0.01, 0.02)
"""Steps between slices may differ by this share of the spacing, or by this many mm, whichever is more."""

SAME_DIRECTION = 1e-4
"""Orientations and pixel spacings that differ by more belong to different stacks; 0.025 mm over 250 mm."""

MAX_SHEAR = 0.01
"""Sideways step per step along the normal; more is a stack that leans (0.6 degrees)."""


class SlicePlane(NamedTuple):
    """The place of one slice as its header gives it, in DICOM LPS mm.

    Attributes:
        position: `(3,)`, center of the first voxel.
        row: `(3,)`, unit vector along a row, in which the column index grows.
        column: `(3,)`, unit vector down a column.
        spacing: in mm between columns and between rows (the reverse of PixelSpacing).
    """

    position: np.ndarray
    row: np.ndarray
    column: np.ndarray
    spacing: np.ndarray


class StackGeometry(NamedTuple):
    """The order of the slices along their normal and the place of the stack.

    Attributes:
        order: indices of the slices as given, from the first to the last in direction of row × column.
        affine: `(4, 4)`, voxel (column, row, slice, 1) to NIfTI RAS+ world mm.
    """

    order: list[int]
    affine: np.ndarray


def slice_plane(header: Dataset, *, name: str) -> SlicePlane:
    """Return the place of a slice from ImagePositionPatient, ImageOrientationPatient and PixelSpacing.

    Args:
        header: the slice's elements.
        name: of the file, for messages.

    Raises:
        ValueError: one of the three is missing, or is no place in the world.
    """
    position = _numbers(header, "ImagePositionPatient", 3, name)
    orientation = _numbers(header, "ImageOrientationPatient", 6, name)
    spacing = _numbers(header, "PixelSpacing", 2, name)
    row, column = orientation[:3], orientation[3:]
    if abs(np.linalg.norm(row) - 1) > 1e-3 or abs(np.linalg.norm(column) - 1) > 1e-3 or abs(row @ column) > 1e-3:
        raise ValueError(
            f"slice '{name}' has ImageOrientationPatient {orientation.tolist()}: two perpendicular unit vectors are "
            "needed. Export the series again from the scanner or the archive."
        )
    if not (spacing > 0).all():
        raise ValueError(
            f"slice '{name}' has PixelSpacing {spacing.tolist()} mm; both must be above 0. Export the series again "
            "from the scanner or the archive."
        )
    return SlicePlane(position, row, column, spacing[::-1])


def stack_geometry(planes: Sequence[SlicePlane], *, name: str, labels: Sequence[str] | None = None) -> StackGeometry:
    """Order slices along their normal and return the affine that gives each of them its place.

    DICOM is LPS, NIfTI RAS: x and y change their sign. Columns of the affine are one step along a row, one down a
    column, and the mean step from slice to slice.

    Args:
        planes: of all slices, in any order.
        name: of the series, for messages.
        labels: what messages call each slice, by default "slice 0", "slice 1", ...

    Raises:
        ValueError: there is one slice only, orientations or pixel spacings differ, a position occurs twice, slices are
            missing or unequally spaced, or the stack leans.
    """
    labels = labels or [f"slice {index}" for index in range(len(planes))]
    if len(planes) < 2:
        raise ValueError(
            f"series {name} has a single slice; a volume needs at least 2. Give the folder with all of its slices."
        )
    _check_same_grid(planes, name, labels)
    first = planes[0]
    normal = np.cross(first.row, first.column)
    distances = np.array([plane.position @ normal for plane in planes])
    order = [int(index) for index in np.argsort(distances, kind="stable")]
    _check_steps(distances[order], name, [labels[index] for index in order])
    positions = np.stack([planes[index].position for index in order])
    step = (positions[-1] - positions[0]) / (len(order) - 1)
    _check_line(positions, step, normal, name)
    affine = np.eye(4)
    columns = [first.row * first.spacing[0], first.column * first.spacing[1], step, positions[0]]
    affine[:3] = LPS_TO_RAS @ np.stack(columns, axis=1)
    return StackGeometry(order, affine)


def _numbers(header: Dataset, keyword: str, count: int, name: str) -> np.ndarray:
    """Return the numbers of an element."""
    try:
        values = np.asarray(header.get(keyword), dtype=np.float64)
    except (TypeError, ValueError):
        values = np.full(1, np.nan)
    if values.shape != (count,) or not np.isfinite(values).all():
        raise ValueError(
            f"slice '{name}' has {keyword} {header.get(keyword)!s}; {count} numbers are needed to know its place. "
            "Screen captures and reformatted images lack it: give the series as it was acquired."
        )
    return values


def _check_same_grid(planes: Sequence[SlicePlane], name: str, labels: Sequence[str]) -> None:
    """Refuse stacks of several orientations or pixel sizes."""
    first = planes[0]
    for plane, label in zip(planes, labels, strict=True):
        turned = max(np.abs(plane.row - first.row).max(), np.abs(plane.column - first.column).max())
        if turned > SAME_DIRECTION or np.abs(plane.spacing - first.spacing).max() > SAME_DIRECTION:
            what = "ImageOrientationPatient" if turned > SAME_DIRECTION else "PixelSpacing"
            raise ValueError(
                f"series {name} mixes several values of {what}: {label} differs from {labels[0]}. Put each stack "
                "into a folder of its own."
            )


def _check_steps(distances: np.ndarray, name: str, labels: Sequence[str]) -> None:
    """Refuse repeated positions, missing slices and unequal steps.

    Args:
        distances: in mm along the normal, ascending.
        name: of the series.
        labels: of the slices, in this order.
    """
    steps = np.diff(distances)
    repeated = int(np.count_nonzero(steps < SAME_POSITION))
    if repeated:
        at = int(np.argmax(steps < SAME_POSITION))
        raise ValueError(
            f"series {name} has {repeated} slices at the position of another, such as {labels[at]} and "
            f"{labels[at + 1]}: it holds several volumes or copies of files. Put one volume into a folder of its own."
        )
    spacing = float(steps.min())
    share, least = SPACING_TOLERANCE
    tolerance = max(share * spacing, least)
    if steps.max() - spacing <= tolerance:
        return
    multiples = np.rint(steps / spacing)
    if (np.abs(steps - multiples * spacing) <= tolerance * multiples).all():
        gone = [f"{a + spacing * j:.2f}" for a, n in zip(distances, multiples, strict=False) for j in range(1, int(n))]
        at = int(np.argmax(multiples > 1))
        more = f" and {len(gone) - 10} more" if len(gone) > 10 else ""
        raise ValueError(
            f"series {name} lacks {len(gone)} slices at {', '.join(gone[:10])}{more} mm along the slice normal, the "
            f"first between {labels[at]} and {labels[at + 1]}; its spacing is {spacing:.3f} mm. Export or copy the "
            "whole series again."
        )
    raise ValueError(
        f"series {name} has varying distances between its slices, {spacing:.3f} to {steps.max():.3f} mm; one spacing "
        "is needed. Give an evenly spaced series, or resample it first and give NIfTI."
    )


def _check_line(positions: np.ndarray, step: np.ndarray, normal: np.ndarray, name: str) -> None:
    """Refuse stacks that lean, and slices that the affine would put elsewhere."""
    lean = float(np.linalg.norm(step - (step @ normal) * normal) / (step @ normal))
    if lean > MAX_SHEAR:
        raise ValueError(
            f"series {name} leans: its slices shift sideways by {100 * lean:.1f} % of their distance, as with a tilted "
            "gantry; voxels must be right-angled. Resample it to a right-angled grid first, for example with dcm2niix."
        )
    there = positions[0] + np.arange(len(positions))[:, None] * step
    off = np.linalg.norm(positions - there, axis=1)
    if off.max() > SAME_POSITION:
        raise ValueError(
            f"series {name} has slices that are not on one line: slice {int(off.argmax())} is {off.max():.3f} mm off. "
            "Give the series as it was acquired, or resample it first and give NIfTI."
        )
