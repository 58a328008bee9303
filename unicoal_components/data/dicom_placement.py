"""Where the slices of a derived volume lie among those of its source series."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from pydicom import Dataset

from .dicom_geometry import LPS_TO_RAS, slice_plane

OFF_GRID = 0.05
"""In mm: how far a voxel may be from its place in the source's plane; more is another grid."""

SAME_PLACE = 1e-3
"""In mm: a slice so close to one of the source has its very position."""


class Placement(NamedTuple):
    """One slice of a derived volume.

    Attributes:
        position: `(3,)` in LPS mm, center of the first voxel.
        same: index of the source slice at this place, `None` where there is none.
        nearest: indices of the one or two source slices next to it.
    """

    position: np.ndarray
    same: int | None
    nearest: tuple[int, ...]


def place_slices(affine: np.ndarray, shape: Sequence[int], source: Sequence[Dataset]) -> list[Placement]:
    """Place each slice of a volume that shares the in-plane grid of its source; number and distance are free.

    Args:
        affine: `(4, 4)`, voxel (x, y, z, 1) to NIfTI RAS+ world mm.
        shape: (x, y, z) of the volume.
        source: headers of the source slices, at least 2, in their order.

    Raises:
        ValueError: the volume has another matrix, orientation, pixel spacing or place in the plane than the source.
    """
    planes = [slice_plane(header, name=f"source {index}") for index, header in enumerate(source)]
    first, size = planes[0], (int(source[0].Columns), int(source[0].Rows))
    lps = LPS_TO_RAS @ np.asarray(affine, dtype=np.float64)[:3]
    grid = np.stack([first.row * first.spacing[0], first.column * first.spacing[1]], axis=1)
    line = planes[-1].position - first.position
    step = line / (len(planes) - 1)
    offset = lps[:, 3] - first.position
    aside = offset - step * (offset @ step) / (step @ step)
    reach = np.linalg.norm(lps[:, :2] - grid, axis=0) * size
    lean = np.linalg.norm(np.cross(lps[:, 2], step)) / np.linalg.norm(step) * shape[2]
    if tuple(shape[:2]) != size or max(np.linalg.norm(aside), *reach, lean) > OFF_GRID:
        raise ValueError(
            f"the volume to write has matrix {tuple(shape[:2])} and affine {np.round(affine, 4).tolist()}, which is "
            f"not the in-plane grid of its source series (matrix {size}). Write it on the source's grid, or as NIfTI."
        )
    at = [lps[:, 3] + index * lps[:, 2] for index in range(shape[2])]
    return [_placement(position, planes, (position - first.position) @ step / (step @ step)) for position in at]


def _placement(position: np.ndarray, planes: Sequence, index: float) -> Placement:
    """Place a slice whose index in the source is a real number."""
    last = len(planes) - 1
    closest = int(np.clip(np.rint(index), 0, last))
    if np.linalg.norm(position - planes[closest].position) <= SAME_PLACE:
        return Placement(position, closest, (closest,))
    below, above = (int(np.clip(value, 0, last)) for value in (np.floor(index), np.ceil(index)))
    return Placement(position, None, tuple(sorted({below, above})))
