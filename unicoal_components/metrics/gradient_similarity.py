"""Gradient magnitude similarity of two volumes, voxel by voxel."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import prewitt

from .volume_pair import Volume, volume_pair

RADIUS = 1
"""The filter has 3 taps along every axis."""

C = 170 / 255**2
"""Constant that keeps the quotient finite in flat regions, at data range 1 (Xue et al.: 170 at range 255)."""


def gradient_similarity_map(*, prediction: Volume, target: Volume) -> np.ndarray:
    """Compare the strength of edges at every voxel (GMS; Xue et al., IEEE TIP 2014).

    With g the gradient magnitudes of prediction p and target t and c = 170 / 255^2::

        GMS = (2 g_p g_t + c) / (g_p^2 + g_t^2 + c)

    The source first halves a 2D image by averaging and uses 3x3 Prewitt filters; here nothing is halved and the
    filters are 3x3x3, so that steps between slices count too. If all slices are equal both have the same scale. The
    mean is the GMS here; the source's final score, GMSD, is the standard deviation instead. Where both volumes are
    flat the map is 1, so the averaged region matters. It depends neither on an offset nor on an edge's direction.

    Args:
        prediction: `(D, H, W)`, data range 1.
        target: the truth, same shape and scale.

    Returns:
        `(D, H, W)` in (0, 1]; 1 where the edges are equally strong.

    Raises:
        ValueError: shapes differ, or a value is not finite.

    Example:
        >>> ramp = np.broadcast_to(0.1 * np.arange(5), (5, 5, 5))
        >>> similarity = gradient_similarity_map(prediction=0 * ramp, target=ramp)
        >>> bool(np.isclose(similarity[2, 2, 2], C / (0.2**2 + C)))
        True
    """
    predicted, true = volume_pair(prediction, target)
    p, t = gradient_magnitude(predicted), gradient_magnitude(true)
    return (2 * p * t + C) / (p * p + t * t + C)


def gradient_magnitude(volume: np.ndarray) -> np.ndarray:
    """Return the length of the gradient by Prewitt's filters.

    Along each axis the difference of the next and the previous voxel, [-1, 0, 1], is averaged over the 3x3 neighbors
    across; borders are mirrored, so that a single slice has its gradient in 2D.

    Args:
        volume: `(D, H, W)`.

    Returns:
        `(D, H, W)`; a ramp of slope s per voxel has 2 s.
    """
    return np.sqrt(sum((prewitt(volume, axis, mode="reflect") / 9) ** 2 for axis in range(3)))
