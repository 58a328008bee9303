"""Random intensities of a scan: contrast curve, bias field and noise."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.random import RandomState

from ..keys import BLANK

BIAS_TERMS = 5  # x, y, xy, x², y²
LEVELS = 256  # gray levels of a subject file
DARK = 0.1  # upper limit of air, as a fraction of the range; a drawn contrast keeps it dark
KNOTS = 6  # knots of a random contrast curve


@dataclass(frozen=True)
class IntensityDraw:
    """Intensities of one simulated scanner.

    Attributes:
        curve: new value, in [0, 1], of each of the 256 stored levels; 0, the background, stays 0.
        bias: coefficients of the logarithm of the bias field, see `bias_field`.
        noise: standard deviation of each channel of Rician noise, as a fraction of the range.
        noise_seed: seed of that noise.
    """

    curve: np.ndarray
    bias: tuple[float, ...]
    noise: float
    noise_seed: int


def draw_intensity(
    random: RandomState, *, gamma: float, gain: float, bias: float, noise: float, contrast: bool
) -> IntensityDraw:
    """Draw a scanner's intensities, always with the same number of random numbers.

    Args:
        random: source of randomness.
        gamma: half-range of the logarithm of the exponent, ≥ 0.
        gain: half-range of the logarithm of the gain, ≥ 0.
        bias: half-range of the bias field's coefficients, ≥ 0.
        noise: largest standard deviation of the noise, ≥ 0; half of the draws have none.
        contrast: replace the contrast first: invert it, or use a random curve, monotonic or not.
    """
    draws = random.uniform(-1, 1, 3 + BIAS_TERMS)
    levels = np.linspace(0, 1, LEVELS)
    knots = random.uniform(0, 1, KNOTS)
    kind = random.randint(3)
    seed = int(random.randint(2**31))
    if contrast:
        levels = _contrast(levels, knots, kind)
    curve = np.clip(math.exp(gain * draws[0]) * levels ** math.exp(gamma * draws[1]), 0, 1)
    curve[0] = 0
    return IntensityDraw(curve, tuple(bias * draws[3:]), float(noise * max(draws[2], 0)), seed)


def _contrast(levels: np.ndarray, knots: np.ndarray, kind: int) -> np.ndarray:
    """Return levels in another contrast, by kind: 0 inverts, 1 rises by random steps, 2 has random values at knots."""
    if kind == 0:
        curve = 1 - levels
    else:
        values = np.cumsum(knots) / knots.sum() if kind == 1 else knots
        curve = np.interp(levels, np.linspace(0, 1, KNOTS + 1), np.concatenate([[0], values]))
    return curve * np.minimum(levels / DARK, 1)  # air is dark in every contrast


def bias_field(coefficients: Sequence[float], height: int, width: int) -> torch.Tensor:
    """Return a smooth positive field `(height, width)`: the exponential of a quadratic polynomial.

    Args:
        coefficients: factors of x, y, xy, x² - 1/3, y² - 1/3 with (x, y) in [-1, 1]², so that the logarithm is 0 on
            average.
        height: number of rows.
        width: number of columns.

    Example:
        >>> bias_field([0] * 5, 2, 2).tolist()
        [[1.0, 1.0], [1.0, 1.0]]
    """
    y = torch.linspace(-1, 1, height)[:, None]
    x = torch.linspace(-1, 1, width)[None, :]
    terms = (x, y, x * y, x**2 - 1 / 3, y**2 - 1 / 3)
    return sum((c * term for c, term in zip(coefficients, terms, strict=True)), start=torch.zeros_like(x * y)).exp()


def shade(images: torch.Tensor, field: torch.Tensor) -> torch.Tensor:
    """Multiply images `(S, H, W)` in [-1, 1] by a field `(H, W)`, on the scale [0, 1]; the result is clipped."""
    return ((images - BLANK) * field + BLANK).clamp(-1, 1)


def add_noise(images: torch.Tensor, *, sigma: float, seed: int) -> torch.Tensor:
    """Add Rician noise to images `(S, H, W)` in [-1, 1], except where they are blank.

    M = |S + n_1 + i n_2| with n_1, n_2 ~ N(0, sigma²) on the scale of [0, 1] (Gudbjartsson and Patz 1995).

    Args:
        images: images to add noise to.
        sigma: standard deviation of each channel, ≥ 0.
        seed: seed of the noise.
    """
    draw = torch.Generator().manual_seed(seed)
    real, imaginary = sigma * torch.randn(2, *images.shape, generator=draw)
    signal = (images + 1) / 2
    noisy = torch.hypot(signal + real, imaginary).clamp(0, 1) * 2 - 1
    return torch.where(images > BLANK, noisy, images)
