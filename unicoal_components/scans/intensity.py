"""Scaling of intensities from scanner units to the range of the networks, and back."""

import numpy as np

PERCENTILES = (0.5, 99.5)
"""Percentiles of the non-zero voxels that become black and white, as in the official preparation."""


def percentile_range(volume: np.ndarray) -> tuple[float, float]:
    """Return the intensities that become black and white: the 0.5 and 99.5 percentiles of the non-zero voxels.

    Zeros are background (most of a brain-stripped scan) and are ignored; the percentiles ignore a few bright vessels.

    Args:
        volume: intensities, any shape.

    Raises:
        ValueError: the two percentiles are equal, or every voxel is 0.

    Example:
        >>> percentile_range(np.arange(1002.0))
        (6.0, 996.0)
    """
    foreground = volume[volume != 0]
    if foreground.size == 0:
        raise ValueError("every voxel is 0; the volume has no foreground to compute the intensity range from.")
    low, high = (float(value) for value in np.percentile(foreground, PERCENTILES))
    if not high > low:
        raise ValueError(
            f"the volume is nearly constant: the percentiles {PERCENTILES} of its non-zero voxels are both {low:g}. It "
            "may be a mask, or its background may not be 0; give the scan itself with background 0."
        )
    return low, high


def scale_to_unit(volume: np.ndarray, low: float, high: float) -> np.ndarray:
    """Map [low, high] to [-1, 1] and clip, in float32. Background (exactly 0) becomes -1 for every range.

    Example:
        >>> scale_to_unit(np.array([0.0, 10.0, 15.0, 90.0]), 10.0, 20.0).tolist()
        [-1.0, -1.0, 0.0, 1.0]
    """
    return (2 * _fraction(volume, low, high) - 1).astype(np.float32, copy=False)


def scale_to_uint8(volume: np.ndarray, low: float, high: float) -> np.ndarray:
    """Map [low, high] to 0..255, clip and round, as stored in subject files; v / 127.5 - 1 is `scale_to_unit`.

    Example:
        >>> scale_to_uint8(np.array([0.0, 10.0, 15.0, 90.0]), 10.0, 20.0).tolist()
        [0, 0, 128, 255]
    """
    return np.rint(255 * _fraction(volume, low, high)).astype(np.uint8)


def _fraction(volume: np.ndarray, low: float, high: float) -> np.ndarray:
    """Map [low, high] to [0, 1] and clip; exact zeros stay 0, so that a stripped scan keeps a clean background."""
    fraction = np.clip((volume.astype(np.float32, copy=False) - low) / (high - low), 0, 1)
    fraction[volume == 0] = 0
    return fraction


def scale_from_unit(image: np.ndarray, low: float, high: float) -> np.ndarray:
    """Map [-1, 1] back to [low, high]: the inverse of `scale_to_unit`, except for clipped values.

    Example:
        >>> scale_from_unit(np.array([-1.0, 0.0, 1.0]), 10.0, 20.0).tolist()
        [10.0, 15.0, 20.0]
    """
    return (image.astype(np.float32) + 1) * ((high - low) / 2) + low
