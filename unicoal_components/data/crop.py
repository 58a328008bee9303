"""Where the head or brain is in a scan, and the scan cut to it."""

import numpy as np
from scipy import ndimage

from .geometry import spacing_of

CLEAN = 0.02
"""A background of zeros is real, not noise cut off at 0, when smoothing moves less than 2 % of the foreground."""

LONGEST = 128
"""Voxels along an axis that are enough to find a head."""

FLOOR = 0.02
"""Added before the logarithm, in parts of the 99th percentile: what is darker is all alike."""


def foreground_mask(volume: np.ndarray) -> np.ndarray:
    """Tell head or brain from the background.

    Where the scan has a clean surround of zeros (brain-stripped, or masked by the scanner) the foreground is what is
    not 0. Else noisy air is told from the head by Otsu's threshold (Otsu 1979) of the logarithm of the median-smoothed
    volume: the logarithm keeps dark tissue with the head, though fat may be many times brighter. Of that the largest
    connected part is taken. In both cases holes (ventricles, sinuses) are filled.

    Args:
        volume: `(x, y, z)`; intensities of any scale, brighter in tissue than in air.

    Returns:
        Boolean mask `(x, y, z)`, accurate to a few voxels in a scan with air.

    Raises:
        ValueError: there is no foreground: the volume is constant.

    Example:
        >>> volume = np.zeros((64, 64, 64))
        >>> volume[4:60, 4:60, 4:60] = 5.0
        >>> int(foreground_mask(volume).sum()) == 56**3
        True
    """
    if volume.min() == volume.max():
        raise ValueError(
            f"the volume has no foreground: every voxel is {volume.flat[0]:g}. Check that the right file is given, and "
            "that no mask or crop removed the head."
        )
    mask = volume != 0
    if not _is_clean(mask):
        mask = _largest_part(_brighter_than_air(volume))
    return ndimage.binary_fill_holes(mask)


def crop_box(mask: np.ndarray, affine: np.ndarray, margin: float = 5.0) -> tuple[slice, slice, slice]:
    """Return the smallest box around a mask and a margin, within the volume.

    Args:
        mask: `(x, y, z)`, true or non-zero inside.
        affine: `(4, 4)`, voxel to world mm; gives the voxel sizes.
        margin: at least this many mm are kept around the mask on every side, where the volume has them; 0 or more.

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
    """Cut a volume `(x, y, z)` to a box; the affine's origin moves along, so every voxel keeps its place in the world.

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


def _is_clean(mask: np.ndarray) -> bool:
    """Tell a compact foreground on zeros from noise: a 3x3x3 majority vote must leave nearly all of it as it is.

    The vote rounds edges off; a box's 12 edges may go, so that tiny volumes count as clean too.
    """
    majority = ndimage.uniform_filter(mask.astype(np.float32), 3, mode="nearest") > 0.5
    changed = np.count_nonzero(majority != mask)
    return not mask.all() and changed < CLEAN * np.count_nonzero(mask) + 12 * mask.size ** (1 / 3)


def _brighter_than_air(volume: np.ndarray) -> np.ndarray:
    """Return the voxels above Otsu's threshold of the smoothed log intensities, found on a coarse grid."""
    steps = tuple(max(1, length // LONGEST) for length in volume.shape)
    coarse = ndimage.median_filter(volume[tuple(slice(None, None, step) for step in steps)].astype(np.float32), 3)
    low, high = np.percentile(coarse, [0.0, 99.0])
    logarithm = np.log(FLOOR + np.clip((coarse - low) / max(high - low, 1e-12), 0, 1))
    mask = logarithm > _otsu_threshold(logarithm)
    for axis in range(3):  # bone is as dark as air: a hole of one slice, though open to the outside in three axes
        for index in range(mask.shape[axis]):
            part = (slice(None),) * axis + (index,)
            mask[part] = ndimage.binary_fill_holes(mask[part])
    for axis, step in enumerate(steps):
        mask = np.repeat(mask, step, axis=axis)
    return mask[tuple(slice(length) for length in volume.shape)]


def _otsu_threshold(values: np.ndarray) -> float:
    """Return the value that parts a histogram into its two most separate classes, by maximal between-class variance.

    Of equally good values, as in an empty gap, the middle one. (ITK has this too, but takes seconds to load for it.)
    """
    counts, edges = np.histogram(values, 256)
    weight = counts / counts.sum()
    below = np.cumsum(weight)[:-1]
    moment = np.cumsum(weight * (edges[:-1] + edges[1:]) / 2)
    between = (moment[-1] * below - moment[:-1]) ** 2 / np.maximum(below * (1 - below), 1e-12)
    return float(edges[1:-1][between >= between.max() * (1 - 1e-9)].mean())


def _largest_part(mask: np.ndarray) -> np.ndarray:
    """Return the largest connected part of a mask."""
    labels, _ = ndimage.label(mask)
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    return labels == int(sizes.argmax())
