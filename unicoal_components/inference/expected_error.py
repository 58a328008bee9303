"""Mean expected error of a whole volume, from the error map of the network."""

import numpy as np
from skimage.filters import threshold_otsu

LEVELS = 256


def expected_error(image: np.ndarray, error: np.ndarray) -> float | None:
    """Return the mean of the predicted error inside the head, as a fraction of the intensity range.

    The head is every voxel above a quarter of the way from the mean of the dark class to the mean of the bright class
    of Otsu's threshold (1979), as in `metrics/foreground.py` without an exact background; holes are excluded. Both
    volumes are read slice by slice, so they may be on disk.

    Args:
        image: `(K, H, W)` in [-1, 1].
        error: `(K, H, W)`, the mean absolute error that the network predicts, on the scale of the image, ≥ 0.

    Returns:
        In [0, 1] for errors up to the whole range; `None` if the image is constant.

    Example:
        >>> image = np.full((2, 8, 8), -1.0)
        >>> image[:, 2:6, 2:6] = 0.5
        >>> expected_error(image, np.where(image > -1, 0.2, 0.01))
        0.1
    """
    counts = sum(np.bincount(_levels(one).ravel(), minlength=LEVELS) for one in image)
    limit = head_limit(np.asarray(counts))
    if limit is None:
        return None
    total, number = 0.0, 0
    for one, errors in zip(image, error, strict=True):
        inside = errors[_levels(one) > limit]
        total, number = total + float(inside.sum(dtype=np.float64)), number + inside.size
    return total / number / 2  # the range of [-1, 1] is 2


def head_limit(counts: np.ndarray) -> float | None:
    """Return the level above which a voxel belongs to the head.

    Args:
        counts: histogram `(levels,)`.

    Returns:
        The level; `None` if the histogram has only one level.
    """
    if np.count_nonzero(counts) < 2:
        return None
    levels = np.arange(len(counts))
    bright = levels > threshold_otsu(hist=(counts, levels))
    air, tissue = (np.average(levels[part], weights=counts[part]) for part in (~bright, bright))
    return float(air + (tissue - air) / 4)


def _levels(image: np.ndarray) -> np.ndarray:
    """Map [-1, 1] to 0..255."""
    return np.rint((image + 1) * ((LEVELS - 1) / 2)).astype(np.uint8)
