"""Local structural similarity of two volumes, voxel by voxel."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter

from .volume_pair import Volume, volume_pair

SIGMA = 1.5
"""Standard deviation of the Gaussian window, in voxels (Wang et al. 2004)."""

RADIUS = 5
"""The window has 11 taps along every axis."""

C1, C2 = 0.01**2, 0.03**2
"""Constants that keep the quotients finite where a volume is dark or flat, at data range 1."""


def ssim_map(*, prediction: Volume, target: Volume) -> np.ndarray:
    """Return the SSIM of the neighborhood of every voxel (Wang et al., IEEE TIP 2004), with a window in 3D.

    With means m, variances v and covariance c of prediction p and target t under a Gaussian window::

        SSIM = (2 m_p m_t + C1) (2 c + C2) / ((m_p^2 + m_t^2 + C1) (v_p + v_t + C2))

    It equals scikit-image's with `gaussian_weights=True, sigma=1.5, use_sample_covariance=False, full=True,
    data_range=1`, which rejects a side below 11. Here borders are mirrored at any size, so that a volume of few
    slices can be measured: a single slice has its SSIM in 2D.

    Args:
        prediction: `(D, H, W)`, data range 1.
        target: the truth, same shape and scale.

    Returns:
        `(D, H, W)` in [-1, 1]; 1 where the neighborhoods are equal.

    Raises:
        ValueError: shapes differ, or a value is not finite.

    Example:
        >>> float(ssim_map(prediction=np.zeros((1, 4, 4)), target=np.ones((1, 4, 4))).max().round(6))
        0.0001
    """
    p, t = volume_pair(prediction, target)
    mean_p, mean_t = _mean(p), _mean(t)
    variances = _mean(p * p) - mean_p**2 + _mean(t * t) - mean_t**2
    covariance = _mean(p * t) - mean_p * mean_t
    similarity = (2 * mean_p * mean_t + C1) * (2 * covariance + C2)
    return similarity / ((mean_p**2 + mean_t**2 + C1) * (variances + C2))


def _mean(volume: np.ndarray) -> np.ndarray:
    return gaussian_filter(volume, SIGMA, mode="reflect", radius=RADIUS)
