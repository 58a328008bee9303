"""Smooth random fields on a grid: cubic B-splines and blurred Gaussian noise."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import BSpline
from scipy.ndimage import gaussian_filter
from scipy.sparse import csr_array


def spline_basis(size: int, spans: int) -> csr_array:
    """Return the cubic B-splines of `spans` equal intervals at the centers of `size` samples.

    Returns:
        Sparse `(size, spans + 3)`; each row sums to 1.

    Example:
        >>> bool(np.allclose(spline_basis(7, 2).sum(axis=1), 1))
        True
    """
    knots = np.arange(-3, spans + 4, dtype=np.float64)
    points = (np.arange(size) + 0.5) / size * spans
    return BSpline.design_matrix(points, knots, 3).astype(np.float32)


def spline_field(coefficients: NDArray[np.floating], shape: Sequence[int]) -> NDArray[np.float32]:
    """Evaluate a tensor-product cubic B-spline on a grid.

    The products are sparse: four weights per sample, and the same result bit for bit for any number of BLAS threads.

    Args:
        coefficients: `(a + 3, b + 3, c + 3)` for a, b, c spans along the three axes.
        shape: samples per axis, `(D, H, W)`.

    Returns:
        `(D, H, W)`, within the range of `coefficients`.
    """
    field = coefficients.astype(np.float32)
    for size in shape:
        first, *others = field.shape
        field = (spline_basis(size, first - 3) @ field.reshape(first, -1)).reshape(size, *others)
        field = np.moveaxis(field, 0, -1)  # each axis moves to the end in turn
    return np.ascontiguousarray(field)


def random_spline_field(
    shape: Sequence[int], spans: Sequence[int], rng: np.random.Generator, *, amplitude: float
) -> NDArray[np.float32]:
    """Draw a smooth field with B-spline coefficients uniform in [-amplitude, amplitude].

    Returns:
        `(D, H, W)`, within [-amplitude, amplitude].
    """
    coefficients = rng.uniform(-amplitude, amplitude, [count + 3 for count in spans])
    return spline_field(coefficients, shape)


def smooth_noise(shape: Sequence[int], rng: np.random.Generator, *, sigma: Sequence[float]) -> NDArray[np.float32]:
    """Draw Gaussian noise of unit variance, blurred by a Gaussian of `sigma` voxels per axis.

    Returns:
        `(D, H, W)`, mean about 0, standard deviation 1.
    """
    noise = gaussian_filter(rng.standard_normal(shape, dtype=np.float32), sigma, mode="wrap", truncate=3.0)
    return noise / noise.std()
