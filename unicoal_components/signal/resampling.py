"""Separable resampling and blur of images, by one depthwise convolution per axis.

Upsampling is a transposed convolution and downsampling a strided one, so that neither inserted zeros nor discarded
samples are computed (the polyphase form). Both run fastest in the channels-last layout and are differentiable any
number of times.
"""

import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from .filters import gaussian_taps


def _depthwise(taps: Tensor, x: Tensor, axis: int) -> Tensor:
    """Return `taps` as a depthwise weight `(C, 1, taps, 1)` for axis 2 or `(C, 1, 1, taps)` for axis 3."""
    shape = (1, 1, -1, 1) if axis == 2 else (1, 1, 1, -1)
    return taps.to(x.dtype).view(shape).expand(x.shape[1], -1, -1, -1)


def upsample(x: Tensor, taps: Tensor, *, factor: int, crop: tuple[int, int] = (0, 0)) -> Tensor:
    """Insert `factor` - 1 zeros between samples and convolve fully, on both axes.

    Args:
        x: images `(B, C, H, W)`.
        taps: filter `(T,)`; the caller sets its gain (sum = `factor` keeps the amplitude).
        factor: samples out per sample in, ≥ 1.
        crop: samples to cut off the full result at the low and the high end of each axis; negative adds zeros.

    Returns:
        `(B, C, (H - 1) factor + T - sum(crop), (W - 1) factor + T - sum(crop))`.
    """
    inside = max(min(crop), 0)
    x = F.conv_transpose2d(x, _depthwise(taps, x, 3), stride=(1, factor), padding=(0, inside), groups=x.shape[1])
    x = F.conv_transpose2d(x, _depthwise(taps, x, 2), stride=(factor, 1), padding=(inside, 0), groups=x.shape[1])
    return pad(x, inside - crop[0], inside - crop[1])


def downsample(x: Tensor, taps: Tensor, *, factor: int, padding: int = 0) -> Tensor:
    """Convolve with `taps` and keep every `factor`-th sample, on both axes.

    Args:
        x: images `(B, C, H, W)`.
        taps: filter `(T,)`.
        factor: samples in per sample out, ≥ 1.
        padding: zeros added on every side beforehand.

    Returns:
        `(B, C, (H + 2 padding - T) // factor + 1, …)`.
    """
    flipped = taps.flip(0)  # conv2d correlates; the definition convolves
    x = F.conv2d(x, _depthwise(flipped, x, 3), stride=(1, factor), padding=(0, padding), groups=x.shape[1])
    return F.conv2d(x, _depthwise(flipped, x, 2), stride=(factor, 1), padding=(padding, 0), groups=x.shape[1])


def pad(x: Tensor, low: int, high: int) -> Tensor:
    """Add zeros (or, where negative, remove samples) at the low and the high end of both image axes."""
    return x if low == high == 0 else F.pad(x, [low, high, low, high])


def gaussian_blur(x: Tensor, sigma: float) -> Tensor:
    """Blur images with exp2(-(t / sigma)²), zeros outside (the blur curriculum of the training).

    Args:
        x: images `(B, C, H, W)`.
        sigma: width in pixels, ≥ 0; 0 returns `x` itself.

    Returns:
        Images of the same shape.
    """
    taps = gaussian_taps(sigma).to(x.device)
    return x if len(taps) == 1 else downsample(x, taps, factor=1, padding=len(taps) // 2)
