"""Effects of the scanner on the signal: bias field and Rician noise."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .random_field import random_spline_field


def bias_field(shape: tuple[int, int, int], rng: np.random.Generator, *, strength: float = 0.2) -> NDArray[np.float32]:
    """Draw a receive-coil bias field, a positive smooth gain within [exp(-strength), exp(strength)].

    The logarithm is a cubic B-spline with four spans per axis, which gives about three maxima over the head.

    Returns:
        `(D, H, W)`.
    """
    spans = (4, 4, 4)
    return np.exp(random_spline_field(shape, spans, rng, amplitude=strength))


def rician_noise(
    signal: NDArray[np.float32], rng: np.random.Generator, *, sigma: float | NDArray[np.floating]
) -> NDArray[np.float32]:
    """Return the magnitude of `signal` plus complex Gaussian noise, as in magnitude MR images.

    M = |S + n_1 + i n_2| with n_1, n_2 ~ N(0, sigma²), so that E[M²] = S² + 2 sigma² (Gudbjartsson and Patz, MRM
    34:910, 1995).

    Args:
        signal: `(...)`, noise-free magnitude.
        rng: source of randomness.
        sigma: standard deviation of each channel in units of `signal`, at least 0.
    """
    real = signal + sigma * rng.standard_normal(signal.shape, dtype=np.float32)
    imaginary = sigma * rng.standard_normal(signal.shape, dtype=np.float32)
    return np.hypot(real, imaginary).astype(np.float32, copy=False)
