"""High-frequency error norm: relative error of the fine structure."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_laplace

from .volume_pair import Volume, checked_mask, volume_pair

SIGMA = 1.5
"""Standard deviation of the Laplacian of Gaussian, in voxels."""

RADIUS = 7
"""The filter has 15 taps along every axis."""


def hfen(*, prediction: Volume, target: Volume, mask: Volume | None = None) -> float:
    """Measure the error of edges and fine detail (Ravishankar & Bresler, IEEE TMI 2011).

    With LoG the Laplacian of Gaussian (sigma 1.5, 15 taps) and the norm over the voxels of the mask::

        HFEN = ||LoG(p) - LoG(t)|| / ||LoG(t)||

    The source filters slices in 2D; here the filter is in 3D, in voxels, so that steps between slices count
    too. Borders are mirrored; a single slice is filtered in 2D. Neither an offset nor a scale common to both volumes
    changes the result. 0 is perfect; a prediction without any detail has 1.

    Args:
        prediction: `(D, H, W)`.
        target: the truth, same shape and scale.
        mask: bool `(D, H, W)`, the evaluated voxels; `None` for all. The filter includes their neighborhood.

    Returns:
        0 or more; NaN if the target has no detail inside the mask.

    Raises:
        ValueError: shapes differ, a value is not finite, or the mask is not bool or empty.

    Example:
        >>> target = np.eye(16)[None]
        >>> round(hfen(prediction=0.75 * target, target=target), 6)
        0.25
    """
    predicted, true = volume_pair(prediction, target)
    inside = checked_mask(np.ones(true.shape, dtype=bool) if mask is None else mask, shape=true.shape)
    if np.ptp(true) == 0:
        return float("nan")
    detail = np.linalg.norm(edges(true)[inside])
    return float(np.linalg.norm(edges(predicted - true)[inside]) / detail) if detail > 0 else float("nan")


def edges(volume: np.ndarray) -> np.ndarray:
    """Filter a volume with the Laplacian of Gaussian: the sum of its second derivatives, smoothed.

    Args:
        volume: `(D, H, W)`.

    Example:
        >>> edges(np.zeros((1, 3, 3))).any()
        np.False_
    """
    return gaussian_laplace(volume, SIGMA, mode="reflect", radius=RADIUS)
