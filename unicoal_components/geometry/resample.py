"""Resampling of scans to a common grid, the only interpolation of voxels before training."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from .orientation import spacing_of

ORDERS = {"nearest": 0, "linear": 1, "bspline": 3}
"""Degree of the spline of each interpolation."""

ALIASING = 1.2
"""An axis is smoothed first if the new spacing is more than 1.2 times its own."""

FWHM = 2 * np.sqrt(2 * np.log(2))
"""Full width at half maximum of a Gaussian of standard deviation 1."""


class Grid(NamedTuple):
    """Voxel grid in the world.

    Attributes:
        shape: number of voxels along x, y, z.
        affine: `(4, 4)`, voxel to NIfTI RAS+ world mm.
    """

    shape: tuple[int, int, int]
    affine: np.ndarray


def reference_grid(shape: Sequence[int], affine: np.ndarray, *, spacing: float | Sequence[float] | None = None) -> Grid:
    """Return the grid of a scan with another spacing: same axes, same field of view.

    The field of view reaches half a voxel beyond the outer voxel centers. The new one has the same center and is the
    smallest of whole voxels that covers it: the corners agree if the length is a whole number of new voxels, and
    otherwise extend by the same amount, less than half a new voxel, on both sides. So flips keep the grid.

    Args:
        shape: voxels of the scan along x, y, z.
        affine: `(4, 4)`, its voxels to world mm.
        spacing: new voxel size in mm, one number or one per voxel axis, above 0; `None` = unchanged.

    Raises:
        ValueError: a spacing is not above 0, or there are not three.

    Example:
        >>> grid = reference_grid((10, 10, 4), np.diag([1.0, 1.0, 4.0, 1.0]), spacing=1.0)
        >>> grid.shape, grid.affine[:3, 3].tolist()
        ((10, 10, 16), [0.0, 0.0, -1.5])
    """
    old = spacing_of(affine)
    new = old if spacing is None else np.asarray(spacing, dtype=np.float64) * np.ones(1)
    if new.size not in (1, 3) or not np.all(np.isfinite(new) & (new > 0)):
        raise ValueError(f"spacing is {spacing!r}; give one number of mm above 0, or three, one per voxel axis.")
    ratio = new / old
    lengths = np.maximum(np.ceil(np.array(shape) / ratio - 1e-3), 1).astype(int)
    resized = np.array(affine, dtype=np.float64)
    resized[:3, :3] *= ratio
    resized[:3, 3] += resized[:3, :3] @ ((np.array(shape) / ratio - lengths) / 2 + (1 - 1 / ratio) / 2)
    x, y, z = (int(length) for length in lengths)
    return Grid((x, y, z), resized)


def resample_to_grid(
    volume: np.ndarray,
    affine: np.ndarray,
    grid: Grid,
    *,
    world_map: np.ndarray | None = None,
    interpolation: str = "bspline",
) -> np.ndarray:
    """Interpolate a volume at the voxel centers of a grid.

    A grid voxel i reads the volume at affine⁻¹ world_map grid.affine i. If the grid is coarser than the volume along
    one of the volume's axes, by r > 1.2, the volume is first smoothed along that axis by a Gaussian of full width at
    half maximum √(r² - 1) voxels, which widens a voxel's profile of width 1 to the new spacing r (Cardoso 2015,
    doi 10.1007/978-3-319-24571-3_81). Axes that are thick already are not smoothed.

    Zero background stays exactly 0: the result is 0 where less than half of the linearly interpolated neighborhood is
    not 0. It is 0 outside the volume's field of view (half a voxel beyond its outer centers). Splines overshoot at
    edges; the result is clipped to the range of the volume.

    Args:
        volume: `(x, y, z)`.
        affine: `(4, 4)`, its voxels to RAS+ world mm.
        grid: grid to interpolate at.
        world_map: `(4, 4)`, maps world points of the grid to world points of the volume, such as `Registration.matrix`
            if the grid belongs to the fixed scan; `None` = the same world.
        interpolation: "bspline" (cubic, Unser 1999, doi 10.1109/79.799930) for scans, "linear", or "nearest" for masks
            and labels, which is never smoothed.

    Returns:
        Volume of the grid's shape, float32; of the volume's own type with "nearest".

    Raises:
        ValueError: the interpolation is unknown, or a matrix cannot be inverted.
    """
    if interpolation not in ORDERS:
        raise ValueError(f"interpolation is {interpolation!r}; it must be one of {list(ORDERS)}.")
    matrix = _voxel_map(affine, grid, np.eye(4) if world_map is None else world_map)
    if interpolation == "nearest":
        return _interpolate(volume, matrix, grid.shape, 0) * _inside(volume.shape, matrix, grid.shape)
    volume = np.asarray(volume, dtype=np.float32)
    sigmas = _sigmas(matrix)
    result = _interpolate(_smooth(volume, sigmas), matrix, grid.shape, ORDERS[interpolation])
    np.clip(result, volume.min(), volume.max(), out=result)
    result *= _inside(volume.shape, matrix, grid.shape)
    support = volume != 0
    if not support.all():
        result *= _interpolate(_smooth(support.astype(np.float32), sigmas), matrix, grid.shape, 1) >= 0.5 - 1e-4
    return result


def _voxel_map(affine: np.ndarray, grid: Grid, world_map: np.ndarray) -> np.ndarray:
    """Return `(4, 4)`: grid voxel to voxel of the volume."""
    try:
        matrix = np.linalg.inv(affine) @ world_map @ grid.affine
        np.linalg.inv(matrix)
    except np.linalg.LinAlgError as error:
        raise ValueError(
            "affine, grid.affine or world_map cannot be inverted, so voxels have no position. Correct the scan's "
            "header, or give the (4, 4) matrix that register_rigid returns."
        ) from error
    return matrix


def _sigmas(matrix: np.ndarray) -> np.ndarray:
    """Return the Gaussian's standard deviation in voxels along the volume's axes, 0 if the grid is fine enough.

    The grid's spacing along a volume axis e, in voxels of it, is 1 / |matrix⁻¹ e|, also for oblique grids.
    """
    ratio = 1 / np.linalg.norm(np.linalg.inv(matrix[:3, :3]), axis=0)
    return np.where(ratio > ALIASING, np.sqrt(np.maximum(ratio**2 - 1, 0)) / FWHM, 0.0)


def _smooth(volume: np.ndarray, sigmas: np.ndarray) -> np.ndarray:
    """Apply the Gaussian, if any; beyond the borders the outer voxels are repeated."""
    return ndimage.gaussian_filter(volume, sigmas, mode="nearest") if sigmas.any() else volume


def _interpolate(volume: np.ndarray, matrix: np.ndarray, shape: tuple[int, int, int], order: int) -> np.ndarray:
    """Evaluate a spline at the voxels of a grid; beyond the borders the volume is mirrored."""
    return ndimage.affine_transform(
        volume, matrix[:3, :3], matrix[:3, 3], output_shape=shape, order=order, mode="mirror"
    )


def _inside(volume_shape: tuple[int, ...], matrix: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """Return the mask of grid voxels `(x, y, z)` in the volume's field of view."""
    inside = np.ones(shape, dtype=bool)
    i, j, k = np.ogrid[: shape[0], : shape[1], : shape[2]]
    for row, length in zip(matrix[:3], volume_shape, strict=True):
        position = row[0] * i + row[1] * j + row[2] * k + row[3]
        inside &= (position > -0.5 - 1e-3) & (position < length - 0.5 + 1e-3)
    return inside
