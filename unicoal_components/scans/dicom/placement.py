"""Where the slices of a derived volume lie among those of its source series."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from pydicom import Dataset

from .geometry import LPS_TO_RAS, slice_plane

OFF_GRID = 0.05
"""In mm: how far a voxel may be from its place in the source's plane; more is another grid."""

SAME_PLACE = 1e-3
"""In mm: a slice so close to one of the source has its very position."""


class Placement(NamedTuple):
    """One slice of a derived volume.

    Attributes:
        position: `(3,)` in LPS mm, center of the first voxel.
        same: index of the source slice at this place, `None` where there is none.
        nearest: indices of the one or two source slices next to it, or of all that it crosses.
    """

    position: np.ndarray
    same: int | None
    nearest: tuple[int, ...]


class Plane(NamedTuple):
    """What the slices of a derived volume have in common.

    Attributes:
        row: `(3,)`, unit vector in LPS along which columns are counted.
        column: `(3,)`, unit vector along which rows are counted.
        spacing: mm between rows, and between columns, as in PixelSpacing.
        shared: whether this is the plane of the source, pixel by pixel.
    """

    row: np.ndarray
    column: np.ndarray
    spacing: tuple[float, float]
    shared: bool


def plane_of(affine: np.ndarray, shape: Sequence[int], source: Sequence[Dataset]) -> Plane:
    """Return the plane of a volume, and whether it is that of its source.

    Args:
        affine: `(4, 4)`, voxel (x, y, z, 1) to NIfTI RAS+ world mm.
        shape: (x, y, z) of the volume.
        source: headers of the source slices, at least 2, in their order.

    Raises:
        ValueError: the axes are not at right angles, which DICOM cannot say.
    """
    lps = LPS_TO_RAS @ np.asarray(affine, dtype=np.float64)[:3]
    spacing = np.linalg.norm(lps[:, :3], axis=0)
    row, column, normal = (lps[:, :3] / spacing).T
    first, *_, last = (slice_plane(header, name=f"source {index}") for index, header in enumerate(source))
    size = (int(source[0].Columns), int(source[0].Rows))
    grid = np.stack([first.row * first.spacing[0], first.column * first.spacing[1]], axis=1)
    step = (last.position - first.position) / (len(source) - 1)
    offset = lps[:, 3] - first.position
    aside = offset - step * (offset @ step) / (step @ step)
    reach = np.linalg.norm(lps[:, :2] - grid, axis=0) * size
    lean = np.linalg.norm(np.cross(lps[:, 2], step)) / np.linalg.norm(step) * shape[2]
    if tuple(shape[:2]) == size and max(np.linalg.norm(aside), *reach, lean) <= OFF_GRID:
        return Plane(first.row, first.column, (float(first.spacing[1]), float(first.spacing[0])), True)
    skew = max(abs(row @ column), abs(row @ normal), abs(column @ normal)) * (spacing * shape).max()
    if skew > OFF_GRID:
        raise ValueError(
            f"the volume to write has the affine {np.round(affine, 4).tolist()}, whose axes are not at right angles: "
            f"by {skew:.2f} mm at its end. DICOM has no way to say so; write it as NIfTI (--output_format nifti)."
        )
    return Plane(row, column, (float(spacing[1]), float(spacing[0])), False)


def place_slices(
    affine: np.ndarray, shape: Sequence[int], source: Sequence[Dataset], *, shared: bool
) -> list[Placement]:
    """Place each slice of a volume among the slices of its source.

    Args:
        affine: see `plane_of`, as the next two.
        shape: see `plane_of`.
        source: see `plane_of`.
        shared: whether the plane is that of the source; a slice of another plane crosses all of its slices.
    """
    lps = LPS_TO_RAS @ np.asarray(affine, dtype=np.float64)[:3]
    at = [lps[:, 3] + index * lps[:, 2] for index in range(shape[2])]
    if not shared:
        return [Placement(position, None, tuple(range(len(source)))) for position in at]
    planes = [slice_plane(header, name=f"source {index}") for index, header in enumerate(source)]
    first = planes[0].position
    step = (planes[-1].position - first) / (len(planes) - 1)
    return [_placement(position, planes, (position - first) @ step / (step @ step)) for position in at]


def _placement(position: np.ndarray, planes: Sequence, index: float) -> Placement:
    """Place a slice whose index in the source is a real number."""
    last = len(planes) - 1
    closest = int(np.clip(np.rint(index), 0, last))
    if np.linalg.norm(position - planes[closest].position) <= SAME_PLACE:
        return Placement(position, closest, (closest,))
    below, above = (int(np.clip(value, 0, last)) for value in (np.floor(index), np.ceil(index)))
    return Placement(position, None, tuple(sorted({below, above})))
