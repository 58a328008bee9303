"""Positions of the slices of a derived volume relative to those of its source series."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from pydicom import Dataset

from .geometry import LPS_TO_RAS, slice_plane

OFF_GRID = 0.05
"""Largest distance in mm between a voxel and that of the source's plane; above it, the grids differ."""

SAME_PLACE = 1e-3
"""Distance in mm below which a slice gets the exact position of a source slice."""


class Placement(NamedTuple):
    """One slice of a derived volume.

    Attributes:
        position: `(3,)` in LPS mm, center of the first voxel.
        same: index of the source slice at this position; `None` if there is none.
        nearest: indices of the one or two adjacent source slices, or of all that it crosses.
    """

    position: np.ndarray
    same: int | None
    nearest: tuple[int, ...]


class Plane(NamedTuple):
    """In-plane geometry that all slices of a derived volume share.

    Attributes:
        row: `(3,)`, unit vector in LPS in direction of growing column index.
        column: `(3,)`, unit vector in direction of growing row index.
        spacing: mm between rows, and between columns, as in PixelSpacing.
        shared: whether the pixel grid is that of the source.
    """

    row: np.ndarray
    column: np.ndarray
    spacing: tuple[float, float]
    shared: bool


def plane_of(affine: np.ndarray, shape: Sequence[int], source: Sequence[Dataset]) -> Plane:
    """Return the plane of a volume, and whether it is the plane of its source.

    Args:
        affine: `(4, 4)`, voxel (x, y, z, 1) to NIfTI RAS+ world mm.
        shape: (x, y, z) of the volume.
        source: headers of the source slices, at least 2, in slice order.

    Raises:
        ValueError: the axes are not at right angles, which DICOM cannot represent.
    """
    lps = LPS_TO_RAS @ np.asarray(affine, dtype=np.float64)[:3]
    spacing = np.linalg.norm(lps[:, :3], axis=0)
    row, column, normal = (lps[:, :3] / spacing).T
    first, *_, last = (slice_plane(header, name=f"source {index}") for index, header in enumerate(source))
    size = (int(source[0].Columns), int(source[0].Rows))
    grid = np.stack([first.row * first.spacing[0], first.column * first.spacing[1]], axis=1)
    step = (last.position - first.position) / (len(source) - 1)
    offset = lps[:, 3] - first.position
    sideways = offset - step * (offset @ step) / (step @ step)
    in_plane = np.linalg.norm(lps[:, :2] - grid, axis=0) * size
    tilt = np.linalg.norm(np.cross(lps[:, 2], step)) / np.linalg.norm(step) * shape[2]
    if tuple(shape[:2]) == size and max(np.linalg.norm(sideways), *in_plane, tilt) <= OFF_GRID:
        return Plane(first.row, first.column, (float(first.spacing[1]), float(first.spacing[0])), True)
    skew = max(abs(row @ column), abs(row @ normal), abs(column @ normal)) * (spacing * shape).max()
    if skew > OFF_GRID:
        raise ValueError(
            f"the volume to write has the affine {np.round(affine, 4).tolist()}, whose axes are not at right angles "
            f"(off by {skew:.2f} mm at its end). DICOM cannot represent that; write NIfTI (--output_format nifti)."
        )
    return Plane(row, column, (float(spacing[1]), float(spacing[0])), False)


def place_slices(
    affine: np.ndarray, shape: Sequence[int], source: Sequence[Dataset], *, shared: bool
) -> list[Placement]:
    """Return the position of each slice of a volume, with the source slices near it.

    Args:
        affine: see `plane_of`.
        shape: see `plane_of`.
        source: see `plane_of`.
        shared: whether the plane is that of the source; a slice of another plane crosses all source slices.
    """
    lps = LPS_TO_RAS @ np.asarray(affine, dtype=np.float64)[:3]
    positions = [lps[:, 3] + index * lps[:, 2] for index in range(shape[2])]
    if not shared:
        return [Placement(position, None, tuple(range(len(source)))) for position in positions]
    planes = [slice_plane(header, name=f"source {index}") for index, header in enumerate(source)]
    first = planes[0].position
    step = (planes[-1].position - first) / (len(planes) - 1)
    return [_placement(position, planes, (position - first) @ step / (step @ step)) for position in positions]


def _placement(position: np.ndarray, planes: Sequence, index: float) -> Placement:
    """Return the placement of a slice with a fractional `index` in the source."""
    last = len(planes) - 1
    closest = int(np.clip(np.rint(index), 0, last))
    if np.linalg.norm(position - planes[closest].position) <= SAME_PLACE:
        return Placement(position, closest, (closest,))
    below, above = (int(np.clip(value, 0, last)) for value in (np.floor(index), np.ceil(index)))
    return Placement(position, None, tuple(sorted({below, above})))
