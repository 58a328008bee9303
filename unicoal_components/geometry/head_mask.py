"""Mask of the head or brain in a scan."""

import numpy as np
from scipy import ndimage
from skimage.filters import threshold_otsu

CLEAN = 0.02
"""A background of zeros is real, not noise clipped at 0, if smoothing changes less than 2 % of the foreground."""

LONGEST = 128
"""Voxels along an axis that suffice to find a head."""

FLOOR = 0.02
"""Offset before the logarithm, as a fraction of the 99th percentile: darker intensities become nearly equal."""


def foreground_mask(volume: np.ndarray) -> np.ndarray:
    """Return the mask of the head or brain.

    If the scan has a clean background of zeros (skull-stripped, or masked by the scanner) the foreground is all that is
    not 0. Otherwise noisy air is separated from the head by Otsu's threshold (Otsu 1979) of the logarithm of the
    median-smoothed volume: the logarithm keeps dark tissue with the head, though fat may be many times brighter. Then
    the largest connected part is kept. In both cases holes (ventricles, sinuses) are filled.

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


def _is_clean(mask: np.ndarray) -> bool:
    """Return whether a foreground on zeros is compact, not noise: a 3x3x3 majority vote must hardly change it.

    The vote rounds edges; changes of a box's 12 edges are allowed, so that tiny volumes count as clean too.
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
    mask = logarithm > threshold_otsu(logarithm.ravel())
    for axis in range(3):  # bone is as dark as air: fill holes slice by slice, as they may be open in 3D
        for index in range(mask.shape[axis]):
            part = (slice(None),) * axis + (index,)
            mask[part] = ndimage.binary_fill_holes(mask[part])
    for axis, step in enumerate(steps):
        mask = np.repeat(mask, step, axis=axis)
    return mask[tuple(slice(length) for length in volume.shape)]


def _largest_part(mask: np.ndarray) -> np.ndarray:
    """Return the largest connected part of a mask."""
    labels, _ = ndimage.label(mask)
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    return labels == int(sizes.argmax())
