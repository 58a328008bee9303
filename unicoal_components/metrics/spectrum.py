"""Spectra of slices, and the power of a prediction in the band that only the finest layers can produce.

A frequency f is in cycles per pixel. The layers of the alias-free network have cutoffs that rise geometrically up to
half the resolution in cycles per field of view, f = 0.5, which the last two layers and the image have. These are
critically sampled: frequencies of their nonlinearity beyond 0.5 fold back below it. The layer before them has, at
resolution 256 and 14 layers, the cutoff 0.5 / sqrt(2) = 0.354 and stops at 0.5, as its samples allow. Below 0.354 is
therefore the band that every layer up to there carries without aliasing (Karras et al. 2021, §3.2); beyond it, power
comes from the last layers, and folded power lands there first. (For resolution 128 the cutoff is 0.375, for 512 0.334.)
Measured real axial slices have 0.5 to 2.5 % of their power beyond 0.35, a noisy one 8 %.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import torch
from monai.utils import convert_to_numpy

from .measure import CaseVolumes, Column

Images = torch.Tensor | np.ndarray

SAFE_CUTOFF = 0.35
"""End of the band of the last layer before the critically sampled ones, in cycles per pixel, see above."""

MAX_FREQUENCY = math.sqrt(0.5)
"""Frequency of the corner, 0.5 along both axes."""

MIN_SIZE = 8


def radial_spectrum(images: Images) -> tuple[np.ndarray, np.ndarray]:
    """Average the power of images over all directions.

    Each image x loses its mean under the window w, is windowed, and transformed::

        P(fy, fx) = |FFT(w (x - sum(w x) / sum(w)))|^2 / sum(w^2)

    and the power is averaged over images and over rings of the width 1 / min(H, W) around the multiples of it. With
    this scale, a white image of variance v has the flat power v. The window, Hann's in both directions, keeps the jump
    between opposite borders from spreading over all frequencies; it blurs the spectrum by about two rings, so that the
    lost mean lowers the first. The rings beyond 0.5 lie in the corners of the square and have fewer samples. Frequency
    0 is left out.

    Args:
        images: `(N, H, W)`, H and W at least 8.

    Returns:
        Frequencies in cycles per pixel, rising, in (0, 0.707], each the mean of its ring; and their power, in squared
        units of the images. Both `(R,)`.

    Raises:
        ValueError: the images have another shape, or a value is not finite.

    Example:
        >>> frequencies, power = radial_spectrum(np.random.default_rng(0).normal(0, 3, (50, 32, 32)))
        >>> len(frequencies), round(power.mean())
        (23, 9)
    """
    power = _power(_checked(images, name="images"))
    radius = _radius(*power.shape)
    ring = np.round(radius * min(power.shape)).astype(int)
    ring[0, 0] = ring.max() + 1
    count, radii, sums = (np.bincount(ring.ravel(), weights=x)[:-1] for x in (None, radius.ravel(), power.ravel()))
    held = count > 0
    return radii[held] / count[held], sums[held] / count[held]


def power_above(images: Images, *, cutoff: float = SAFE_CUTOFF) -> float:
    """Return the fraction of the power beyond a frequency, of all images together, with their means removed.

    Window and power are those of `radial_spectrum`; the corners count, up to 0.707. White noise has the fraction of
    the area, 1 - pi cutoff^2 for a cutoff up to 0.5.

    Args:
        images: `(N, H, W)`, H and W at least 8.
        cutoff: in cycles per pixel, in (0, 0.707).

    Returns:
        In [0, 1]; NaN without any power, as in constant images.

    Raises:
        ValueError: the images have another shape, a value is not finite, or the cutoff is outside its range.

    Example:
        >>> wave = np.sin(2 * np.pi * 0.45 * np.arange(64)) * np.ones((1, 64, 1))
        >>> round(power_above(wave), 3)
        1.0
    """
    below, above = _split(images, cutoff=cutoff, name="images")
    return above / (below + above) if below + above > 0 else float("nan")


def excess_power(*, prediction: Images, target: Images, cutoff: float = SAFE_CUTOFF) -> float:
    """Compare the power beyond a frequency of predictions with that of the truth, in dB.

    10 log10(above(prediction) / above(target)), both over all images together. Above 0 dB, the prediction has noise or
    aliasing that the truth has not; below, it is blurred. Noise of the truth counts as truth: a prediction without it
    is below 0 dB, which is no flaw. Predictions scaled by a have 20 log10(a) more.

    Args:
        prediction: `(N, H, W)`, H and W at least 8.
        target: the truth, same shape.
        cutoff: in cycles per pixel, in (0, 0.707).

    Returns:
        In dB; minus infinity if the prediction has no such power, NaN if the truth has none.

    Raises:
        ValueError: shapes differ or are not `(N, H, W)`, a value is not finite, or the cutoff is outside its range.

    Example:
        >>> noise = np.random.default_rng(0).normal(size=(4, 32, 32))
        >>> round(excess_power(prediction=10 * noise, target=noise), 6)
        20.0
    """
    if prediction.shape != target.shape:
        raise ValueError(
            f"prediction has shape {tuple(prediction.shape)}, target {tuple(target.shape)}; they must be the same grid."
        )
    _, ours = _split(prediction, cutoff=cutoff, name="prediction")
    _, true = _split(target, cutoff=cutoff, name="target")
    if true == 0:
        return float("nan")
    return 10 * math.log10(ours / true) if ours > 0 else -math.inf


class HighFrequencies:
    """Measure `excess_power` over the axial slices of a case that contain foreground.

    Whole slices count, background included: a mask would add its own edge to the spectrum. Of `evaluated_slices` only
    those with foreground are used; NaN if there are none.

    Args:
        cutoff: in cycles per pixel, in (0, 0.707).
    """

    columns = (Column(name="high_frequencies", label="high frequencies", unit="dB", better="none", digits=2),)
    note = ""

    def __init__(self, *, cutoff: float = SAFE_CUTOFF) -> None:
        self.cutoff = _checked_cutoff(cutoff)

    def __call__(self, case: CaseVolumes) -> dict[str, float]:
        """Return `high_frequencies` in dB."""
        every = np.arange(len(case.target))
        wanted = every if case.evaluated_slices is None else every[case.evaluated_slices]
        wanted = wanted[case.foreground[wanted].any(axis=(1, 2))]
        if not len(wanted):
            return {"high_frequencies": float("nan")}
        excess = excess_power(prediction=case.prediction[wanted], target=case.target[wanted], cutoff=self.cutoff)
        return {"high_frequencies": excess}


def _split(images: Images, *, cutoff: float, name: str) -> tuple[float, float]:
    """Return the power up to and beyond the cutoff."""
    _checked_cutoff(cutoff)
    power = _power(_checked(images, name=name))
    beyond = _radius(*power.shape) > cutoff
    return float(power[~beyond].sum()), float(power[beyond].sum())


def _power(images: np.ndarray) -> np.ndarray:
    """Average the windowed power over images, `(H, W)`, one image at a time to limit memory."""
    window = _window(*images.shape[1:])
    total = np.zeros(window.shape)
    for image in images:
        shifted = image - image[0, 0].astype(np.float64)  # constant images become exactly 0
        centered = shifted - np.average(shifted, weights=window)
        total += np.square(np.abs(np.fft.fft2(window * centered)))
    return total / (len(images) * np.square(window).sum())


@lru_cache(maxsize=4)
def _window(height: int, width: int) -> np.ndarray:
    """Return Hann's window with the period of the image, in both directions."""
    one, other = (np.square(np.sin(np.pi * (np.arange(n) + 0.5) / n)) for n in (height, width))
    return np.outer(one, other)


@lru_cache(maxsize=4)
def _radius(height: int, width: int) -> np.ndarray:
    return np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width))


def _checked(images: Images, *, name: str) -> np.ndarray:
    array = np.asarray(convert_to_numpy(images))
    if array.ndim != 3 or not len(array) or min(array.shape[1:]) < MIN_SIZE:
        raise ValueError(f"{name} have shape {array.shape}; it must be (N, H, W), N >= 1, H and W >= {MIN_SIZE}.")
    bad = int((~np.isfinite(array)).sum())
    if bad:
        raise ValueError(f"{name}: {bad} of {array.size} values are NaN or infinite; a spectrum needs finite ones.")
    return array


def _checked_cutoff(cutoff: float) -> float:
    if not 0 < cutoff < MAX_FREQUENCY:
        raise ValueError(f"cutoff is {cutoff}; it must be between 0 and 0.707 (the corner) cycles per pixel.")
    return cutoff
