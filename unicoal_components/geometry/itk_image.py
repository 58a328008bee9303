"""Conversion between volumes (RAS+ world) and ITK images (LPS world)."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import itk
import numpy as np

LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
"""Matrix from RAS+ world points to ITK's LPS world and back: x and y change sign."""

SHEAR = 1e-3
"""Largest cosine between voxel axes, 0.06 degrees off a right angle; rounding in headers causes less."""


def to_itk(volume: np.ndarray, affine: np.ndarray) -> Any:
    """Return a volume as an ITK image with origin, spacing and directions; the voxels are copied.

    Args:
        volume: `(x, y, z)`, converted to float32.
        affine: `(4, 4)`, voxel to RAS+ world mm. Left-handed axes are allowed.

    Returns:
        `itk.Image[itk.F, 3]` whose index (i, j, k) is the voxel (i, j, k) of the volume.

    Raises:
        ValueError: the volume is not 3D, or the voxel axes are not at right angles.

    Example:
        >>> image = to_itk(np.zeros((2, 3, 4)), np.diag([1.0, 2.0, 3.0, 1.0]))
        >>> list(image.GetSpacing()), np.diag(itk.array_from_matrix(image.GetDirection())).tolist()
        ([1.0, 2.0, 3.0], [-1.0, -1.0, 1.0])
    """
    if volume.ndim != 3:
        raise ValueError(f"volume has shape {volume.shape}; ITK needs one 3D volume (x, y, z). Drop the other axes.")
    spacing, direction = _spacing_and_direction(affine)
    image = itk.image_from_array(np.ascontiguousarray(volume.T, dtype=np.float32))
    image.SetSpacing(spacing.tolist())
    image.SetOrigin((LPS @ affine)[:3, 3].tolist())
    image.SetDirection(itk.matrix_from_array(np.ascontiguousarray(LPS[:3, :3] @ direction)))
    return image


def from_itk(image: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the voxels of an ITK image, copied, as `(x, y, z)`, and its affine: the inverse of `to_itk`.

    Images with more or fewer axes keep them; several components per voxel, such as colors, become a last axis.
    """
    axes = image.GetImageDimension()
    matrix = itk.array_from_matrix(image.GetDirection()) * np.array(image.GetSpacing())
    spatial = min(axes, 3)
    affine = np.eye(4)
    affine[:spatial, :spatial] = matrix[:spatial, :spatial]
    affine[:spatial, 3] = list(image.GetOrigin())[:spatial]
    array = itk.array_from_image(image)
    return array.transpose(*reversed(range(axes)), *range(axes, array.ndim)), LPS @ affine


@contextmanager
def one_thread() -> Iterator[None]:
    """Run the ITK filters that are created within this context in one thread; restore the setting afterwards.

    Sums over threads depend on how the work is divided, so one thread makes results reproducible. Subjects run in
    parallel processes anyway.
    """
    threads = itk.MultiThreaderBase.GetGlobalDefaultNumberOfThreads()
    itk.MultiThreaderBase.SetGlobalDefaultNumberOfThreads(1)
    try:
        yield
    finally:
        itk.MultiThreaderBase.SetGlobalDefaultNumberOfThreads(threads)


def _spacing_and_direction(affine: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Split an affine into voxel sizes in mm and the unit vectors of its axes, as columns."""
    columns = np.asarray(affine, dtype=np.float64)[:3, :3]
    spacing = np.linalg.norm(columns, axis=0)
    direction = columns / spacing
    skew = np.abs(direction.T @ direction - np.eye(3)).max()
    if not skew <= SHEAR:
        raise ValueError(
            f"affine is sheared: two voxel axes of spacing {np.round(spacing, 4).tolist()} mm have a cosine of "
            f"{skew:.4f} (at most {SHEAR} is allowed), as a tilted gantry gives. Resample the scan onto axes at right "
            "angles first, for example with `dcm2niix` (it writes a '_Tilt' file) or MONAI's `Spacing`."
        )
    return spacing, direction
