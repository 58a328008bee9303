"""Leaky ReLU between an up- and a downsampling, so that its harmonics do not alias."""

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from .resampling import downsample, pad, upsample


class _ClampedLeakyReLU(torch.autograd.Function):
    """Leaky ReLU and clamp in place; the result alone is kept for the gradient."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, slope: float, clamp: float) -> Tensor:
        y = F.leaky_relu_(x, slope).clamp_(-clamp, clamp)
        ctx.mark_dirty(x)
        ctx.save_for_backward(y)
        ctx.slope, ctx.clamp = slope, clamp
        return y

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        (y,) = ctx.saved_tensors
        grad = torch.ops.aten.hardtanh_backward(grad, y, -ctx.clamp, ctx.clamp)
        return torch.ops.aten.leaky_relu_backward(grad, y, ctx.slope, True), None, None


def clamped_leaky_relu_(x: Tensor, slope: float, clamp: float) -> Tensor:
    """Apply leaky ReLU, then clamp to [-clamp, clamp], overwriting `x` `(…)` (which must not be a leaf)."""
    if torch.is_grad_enabled() and x.requires_grad:
        return _ClampedLeakyReLU.apply(x, slope, clamp)
    return F.leaky_relu_(x, slope).clamp_(-clamp, clamp)


def filtered_lrelu(
    x: Tensor,
    *,
    up_filter: Tensor | None = None,
    down_filter: Tensor | None = None,
    up: int = 1,
    down: int = 1,
    padding: tuple[int, int] = (0, 0),
    slope: float = 0.2,
    gain: float = 2**0.5,
    clamp: float = 256.0,
) -> Tensor:
    """Upsample, apply leaky ReLU × gain, clamp, downsample (Karras et al. 2021, §3.2 and figure 4).

    In the definition each axis is filled to n · up samples with zeros, padded, convolved with the up filter (gain
    `up`), bent, clamped, convolved with the down filter, and every `down`-th sample is kept. The gain is put before the
    leaky ReLU, which is positively homogeneous, where it costs nothing.

    Args:
        x: images `(B, C, H, W)`; may be overwritten.
        up_filter: taps `(T,)` or None when `up` is 1.
        down_filter: taps `(T,)` or None when `down` is 1.
        up: upsampling factor.
        down: downsampling factor.
        padding: samples added at the low and the high end of each axis after the zero filling; negative crops.
        slope: of the negative side.
        gain: of the activation.
        clamp: bound of the activation's magnitude.

    Returns:
        `(B, C, H', W')` with H' = (H · up + sum(padding) - up_taps + 1 - down_taps) // down + 1.
    """
    low, high = padding
    down_padding = 0
    if up_filter is not None:
        last = len(up_filter) - 1
        # the part of the full convolution that the definition keeps; upsample omits the trailing up - 1 zeros
        x = upsample(x, up_filter * (up * gain**0.5), factor=up, crop=(last - low, last - high - up + 1))
    else:
        if down_filter is not None and low == high > 0:
            down_padding = low  # zeros stay zeros under the activation
        else:
            x = pad(x, low, high)
        x = x * gain if gain != 1 else x
    x = clamped_leaky_relu_(x, slope, clamp)
    return x if down_filter is None else downsample(x, down_filter, factor=down, padding=down_padding)
