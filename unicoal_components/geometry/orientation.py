"""Conversion between a scan and a stack of slices by permutations and flips, without resampling.

A scan is `(x, y, z)` in any orientation, its affine maps voxel (x, y, z, 1) to NIfTI RAS+ world mm. A stack is
`(D, H, W)`, slices first; its affine maps voxel (w, h, d, 1) to the same world.
"""

from typing import NamedTuple

import numpy as np
from nibabel.orientations import (
    aff2axcodes,
    apply_orientation,
    axcodes2ornt,
    inv_ornt_aff,
    io_orientation,
    ornt_transform,
)

PLANES = {"axial": "LPS", "coronal": "LIP", "sagittal": "PIL"}
"""Directions of the stack axes W, H, D: every slice is upright as radiologists view it."""

COARSER = 1.1
"""An axis is the thick one if its spacing is more than 10 % above both others."""


class Stack(NamedTuple):
    """Stack of slices with its affine and the orientation of the original scan.

    Attributes:
        slices: `(D, H, W)`, slices first.
        affine: `(4, 4)`, voxel (w, h, d, 1) to NIfTI RAS+ world mm.
        plane: "axial", "coronal" or "sagittal".
        orientation: directions of the axes of the original scan, such as "RAS".
    """

    slices: np.ndarray
    affine: np.ndarray
    plane: str
    orientation: str


def spacing_of(affine: np.ndarray) -> np.ndarray:
    """Return the voxel size in mm along the three voxel axes.

    Example:
        >>> spacing_of(np.diag([-1.0, 2.0, 3.0, 1.0])).tolist()
        [1.0, 2.0, 3.0]
    """
    return np.linalg.norm(np.asarray(affine, dtype=np.float64)[:3, :3], axis=0)


def choose_plane(affine: np.ndarray, through_plane: str = "auto") -> str:
    """Return the plane of the slices: the given one, or the plane in which the scan was most likely acquired.

    "auto" selects the coarsest voxel axis if its spacing is more than 10 % above the others, else axial.

    Raises:
        ValueError: the name is none of "auto", "axial", "coronal", "sagittal".

    Example:
        >>> choose_plane(np.diag([1.0, 4.0, 1.0, 1.0])), choose_plane(np.eye(4))
        ('coronal', 'axial')
    """
    if through_plane in PLANES:
        return through_plane
    if through_plane != "auto":
        raise ValueError(f"through_plane is {through_plane!r}; it must be 'auto' or one of {list(PLANES)}.")
    spacing = spacing_of(affine)
    coarsest = int(np.argmax(spacing))
    if spacing[coarsest] <= COARSER * np.delete(spacing, coarsest).max():
        return "axial"
    return {"S": "axial", "I": "axial", "A": "coronal", "P": "coronal"}.get(aff2axcodes(affine)[coarsest], "sagittal")


def to_stack(volume: np.ndarray, affine: np.ndarray, through_plane: str = "auto") -> Stack:
    """Permute and flip a scan `(x, y, z)` into a stack of slices `(D, H, W)`; an oblique scan stays oblique.

    Axes are mapped to the closest anatomical direction, so the slices are the scanner's if `through_plane` is its axis.

    Raises:
        ValueError: the plane is unknown.
    """
    plane = choose_plane(affine, through_plane)
    original = io_orientation(affine)
    turn = ornt_transform(original, axcodes2ornt(PLANES[plane]))
    turned = apply_orientation(volume, turn)
    slices = np.ascontiguousarray(turned.transpose(2, 1, 0))
    return Stack(slices, affine @ inv_ornt_aff(turn, volume.shape), plane, "".join(aff2axcodes(affine)))


def from_stack(
    slices: np.ndarray, affine: np.ndarray, *, plane: str, orientation: str
) -> tuple[np.ndarray, np.ndarray]:
    """Return a stack to the axis order and directions of the original scan: the inverse of `to_stack`.

    The number of slices and their distance may have changed; the affine is converted too.

    Args:
        slices: stack `(D, H, W)`.
        affine: affine of this stack, voxel (w, h, d, 1) to world mm.
        plane: plane of this stack.
        orientation: orientation of the original scan, such as "RAS".

    Returns:
        The volume `(x, y, z)`, a view of the slices, and its affine.
    """
    turn = ornt_transform(axcodes2ornt(PLANES[plane]), axcodes2ornt(orientation))
    shape = slices.shape[::-1]
    volume = apply_orientation(slices.transpose(2, 1, 0), turn)
    return volume, affine @ inv_ornt_aff(turn, shape)


def stack_view(volume: np.ndarray, *, plane: str, orientation: str) -> np.ndarray:
    """Return a view of a volume `(x, y, z)` in a scan's axis order and directions as a stack `(D, H, W)`.

    Writing into the view changes the volume: the counterpart of `from_stack`.
    """
    turn = ornt_transform(axcodes2ornt(orientation), axcodes2ornt(PLANES[plane]))
    return apply_orientation(volume, turn).transpose(2, 1, 0)


def thin_affine(affine: np.ndarray, factor: float) -> np.ndarray:
    """Return the affine of the thin grid: slices `factor` times closer, with slice 0 at the same position.

    Thin slice b is at thick index b / k, so the third column (one step through the plane) is divided by k.

    Example:
        >>> thin_affine(np.diag([1.0, 1.0, 6.0, 1.0]), 4.0)[:3, 2].tolist()
        [0.0, 0.0, 1.5]
    """
    thin = np.array(affine, dtype=np.float64)
    thin[:3, 2] /= factor
    return thin


def thick_affine(affine: np.ndarray, factor: float, phase: float = 0.0) -> np.ndarray:
    """Return the affine of a thick grid: slices `factor` times further apart, slice 0 at the thin slice `phase`.

    Thick slice n is at thin index p + n k, so the origin moves by p steps through the plane and the step becomes k
    times as long: the inverse of `thin_affine` for p = 0.

    Example:
        >>> thick_affine(np.diag([1.0, 1.0, 1.5, 1.0]), 4.0, phase=2.0)[:3, 2:].tolist()
        [[0.0, 0.0], [0.0, 0.0], [6.0, 3.0]]
    """
    thick = np.array(affine, dtype=np.float64)
    thick[:3, 3] += phase * thick[:3, 2]
    thick[:3, 2] *= factor
    return thick
