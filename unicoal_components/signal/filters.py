"""Design of the finite impulse response filters of the alias-free layers."""

import math

import torch
import torch.nn.functional as F  # noqa: N812
from scipy.signal import firwin
from torch import Tensor


def design_lowpass(*, taps: int, cutoff: float, half_width: float, sampling_rate: float) -> Tensor | None:
    """Design a Kaiser low-pass filter.

    Alias-free layers limit the spectrum of every activation by it (Karras et al. 2021, appendix C).

    Args:
        taps: length of the filter; 1 means that no filter is needed.
        cutoff: frequency of half amplitude, in cycles per field of view.
        half_width: half width of the transition band, in the same unit.
        sampling_rate: samples per field of view at which the filter runs.

    Returns:
        Taps `(taps,)` that sum to 1, float32, or `None` for a single tap.

    Raises:
        ValueError: `taps` is below 1.

    Example:
        >>> design_lowpass(taps=12, cutoff=2.0, half_width=6.0, sampling_rate=32).shape
        torch.Size([12])
    """
    if taps < 1:
        raise ValueError(f"taps must be at least 1, got {taps}")
    if taps == 1:
        return None
    return torch.as_tensor(
        firwin(numtaps=taps, cutoff=cutoff, width=2 * half_width, fs=sampling_rate), dtype=torch.float32
    )


def flat_lowpass(*, order: int) -> Tensor:
    """Design the filter of amplitude 1 - (1 - cos²(ω/2))^n at ω radians per sample.

    It is 0 at the Nyquist frequency and maximally flat at 0, so that it removes a grid of every other pixel and little
    else; 1/4 1/2 1/4 for n = 1.

    Args:
        order: n, ≥ 1.

    Returns:
        Taps `(2 n + 1,)` that sum to 1, float32.

    Raises:
        ValueError: `order` is below 1.
    """
    if order < 1:
        raise ValueError(f"order must be at least 1, got {order}")
    removed = torch.ones(1, dtype=torch.float64)
    for _ in range(order):  # convolve with the taps of 1 - cos²(ω/2) = sin²(ω/2)
        removed = 0.5 * F.pad(removed, (1, 1)) - 0.25 * (F.pad(removed, (0, 2)) + F.pad(removed, (2, 0)))
    taps = -removed
    taps[order] += 1
    return taps.float()


def gaussian_taps(sigma: float) -> Tensor:
    """Sample exp2(-(t / sigma)²) at t = -⌊3 sigma⌋..⌊3 sigma⌋, normalized to sum 1 (method of the blur curriculum).

    Args:
        sigma: width in pixels, ≥ 0; note the base 2: the full width at half maximum is 2 sigma.

    Returns:
        Taps `(2⌊3 sigma⌋ + 1,)`, float32.

    Raises:
        ValueError: `sigma` is negative or not finite.
    """
    if not (math.isfinite(sigma) and sigma >= 0):
        raise ValueError(f"sigma must be finite and not negative, got {sigma}")
    radius = math.floor(3 * sigma)
    if radius == 0:
        return torch.ones(1)
    t = torch.arange(-radius, radius + 1, dtype=torch.float32)
    taps = torch.exp2(-((t / sigma) ** 2))
    return taps / taps.sum()
