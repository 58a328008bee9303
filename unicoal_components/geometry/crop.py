"""Crop of a scan to a box around the head or brain."""

import numpy as np

from .orientation import spacing_of


def crop_box(mask: np.ndarray, affine: np.ndarray, margin: float = 5.0) -> tuple[slice, slice, slice]:
    """Return the smallest box around a mask with a margin, within the volume.

    Args:
        mask: `(x, y, z)`, true or non-zero inside.
        affine: `(4, 4)`, voxel to world mm; gives the voxel sizes.
        margin: distance in mm to keep around the mask on every side, within the volume; 0 or more.

    Raises:
        ValueError: the mask is empty, or the margin negative.

    Example:
        >>> mask = np.zeros((9, 9, 9), dtype=bool)
        >>> mask[4, 4, 4:] = True
        >>> crop_box(mask, np.diag([1.0, 1.0, 4.0, 1.0]), margin=2.0)
        (slice(2, 7, None), slice(2, 7, None), slice(3, 9, None))
    """
    if not margin >= 0:
        raise ValueError(f"margin is {margin} mm; it must be 0 or more. Use 0 to cut closely around the mask.")
    if not mask.any():
        raise ValueError(
            f"the mask of shape {mask.shape} has no foreground voxel, so there is nothing to crop to. Check that the "
            "mask belongs to this scan and is not empty."
        )
    pads = np.ceil(margin / spacing_of(affine) - 1e-6).astype(int)
    bounds = [np.flatnonzero(mask.any(axis=tuple({0, 1, 2} - {axis})))[[0, -1]] for axis in range(3)]
    x, y, z = (
        slice(max(int(first - pad), 0), min(int(last + pad) + 1, length))
        for (first, last), pad, length in zip(bounds, pads, mask.shape, strict=True)
    )
    return x, y, z


def crop(volume: np.ndarray, affine: np.ndarray, box: tuple[slice, slice, slice]) -> tuple[np.ndarray, np.ndarray]:
    """Crop a volume `(x, y, z)` to a box and adapt the affine, so that every voxel keeps its world position.

    Returns:
        The voxels, a view, and their affine `(4, 4)`.

    Example:
        >>> volume, affine = crop(np.zeros((9, 9, 9)), np.diag([1.0, 1.0, 4.0, 1.0]), np.s_[2:7, 2:7, 3:9])
        >>> volume.shape, affine[:3, 3].tolist()
        ((5, 5, 6), [2.0, 2.0, 12.0])
    """
    starts = [part.indices(length)[0] for part, length in zip(box, volume.shape, strict=True)]
    moved = np.array(affine, dtype=np.float64)
    moved[:3, 3] += moved[:3, :3] @ np.array(starts, dtype=np.float64)
    return volume[box], moved
