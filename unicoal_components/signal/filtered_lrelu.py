"""Leaky ReLU between an up- and a downsampling, so that its harmonics do not alias."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from .precision import without_autocast
from .resampling import downsample, pad, upsample

CPU_BLOCK_VALUES = 2**21
"""Values at the activation's rate that a CPU works on at once, so that they stay in its cache from pass to pass."""
BLOCK_VALUES = 2**27
"""The same on other devices, where it bounds the memory for what lives only between two filters."""
BLOCK_CHANNELS = 32
"""Smaller blocks would leave vector units idle."""


def filtered_lrelu(
    x: Tensor,
    *,
    scale: Tensor | None = None,
    bias: Tensor | None = None,
    up_filter: Tensor | None = None,
    down_filter: Tensor | None = None,
    up: int = 1,
    down: int = 1,
    padding: tuple[int, int] = (0, 0),
    slope: float = 0.2,
    gain: float = 2**0.5,
    clamp: float = 256.0,
    keep: bool = True,
) -> Tensor:
    """Scale, add a bias, upsample, apply leaky ReLU × gain, clamp, downsample (Karras et al. 2021, §3.2 and figure 4).

    In the definition each axis is filled to n · up samples with zeros, padded, convolved with the up filter (gain
    `up`), bent, clamped, convolved with the down filter, and every `down`-th sample is kept. The gain is multiplied
    into scale and bias, which the leaky ReLU, positively homogeneous, allows.

    Works block by block, in float32 or better whatever autocast says (only the dense convolutions gain by less).
    Differentiable once.

    Args:
        x: images `(B, C, H, W)`.
        scale: factors `(B, C)` or `(1, C)`; None for 1.
        bias: `(C,)`; None for 0.
        up_filter: taps `(T,)` or None when `up` is 1.
        down_filter: taps `(T,)` or None when `down` is 1.
        up: upsampling factor.
        down: downsampling factor.
        padding: samples added at the low and the high end of each axis after the zero filling; negative crops.
        slope: of the negative side.
        gain: of the activation.
        clamp: bound of the activation's magnitude.
        keep: keep the activations, about four times the size of `x`, for the gradient; else compute them again.

    Returns:
        `(B, C, H', W')`, of the dtype of `x`, with H' = (H · up + sum(padding) - up_taps + 1 - down_taps) // down + 1.
    """
    dtype = torch.promote_types(x.dtype, torch.float32)
    channels = x.shape[1]
    scale = x.new_full((1, channels), gain, dtype=dtype) if scale is None else scale.to(dtype) * gain
    bias = x.new_zeros(channels, dtype=dtype) if bias is None else bias.to(dtype) * gain
    between = _Between(up_filter, down_filter, up, down, padding, slope, clamp)
    scale = scale.expand(x.shape[0], channels)
    with without_autocast(x):
        if torch.compiler.is_compiling() or not torch.is_grad_enabled():  # a compiler chooses itself what to keep
            return between.forward(x, scale, bias)
        return _FilteredLeakyReLU.apply(x, scale, bias, between, keep)


@dataclass(frozen=True)
class _Between:
    """The steps from a convolution's result to the layer's, and their gradient."""

    up_filter: Tensor | None
    down_filter: Tensor | None
    up: int
    down: int
    padding: tuple[int, int]
    slope: float
    clamp: float

    @property
    def late_padding(self) -> int:
        """Zeros to add in front of the down filter instead of the activation, under which they stay zeros."""
        low, high = self.padding
        return low if self.up_filter is None and self.down_filter is not None and low == high > 0 else 0

    @property
    def crop(self) -> tuple[int, int]:
        """Samples to cut off before the activation at both ends of an axis; negative adds."""
        low, high = self.padding
        if self.up_filter is None:
            return (0, 0) if self.late_padding else (-low, -high)
        last = len(self.up_filter) - 1
        # the part of the full convolution that the definition keeps; upsample omits the trailing up - 1 zeros
        return last - low, last - high - self.up + 1

    def rise(self, x: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
        """Compute what the activation sees."""
        x = torch.addcmul(bias[:, :, None, None], x.to(scale.dtype), scale[:, :, None, None])
        if self.up_filter is None:
            return pad(x, -self.crop[0], -self.crop[1])
        return upsample(x, self.up_filter * self.up, factor=self.up, crop=self.crop)

    def rise_adjoint(self, grad: Tensor) -> Tensor:
        """Map the gradient by the result of `rise` to that by the scaled and shifted `x`."""
        inside = max(min(self.crop), 0)
        grad = pad(grad, self.crop[0] - inside, self.crop[1] - inside)
        if self.up_filter is None:
            return pad(grad, inside, inside)
        return downsample(grad, self.up_filter.flip(0) * self.up, factor=self.up, padding=inside)

    def bend(self, x: Tensor) -> Tensor:
        """Apply leaky ReLU and clamp, in place where no compiler is at work."""
        if torch.compiler.is_compiling():
            return _Bend.apply(x, self.slope, self.clamp)
        return F.leaky_relu_(x, self.slope).clamp_(-self.clamp, self.clamp)

    def bend_adjoint(self, grad: Tensor, bent: Tensor) -> Tensor:
        """Map the gradient by the result `bent` of `bend` to that by its input, in place."""
        aten = torch.ops.aten
        aten.hardtanh_backward.grad_input(grad, bent, -self.clamp, self.clamp, grad_input=grad)
        return aten.leaky_relu_backward.grad_input(grad, bent, self.slope, True, grad_input=grad)

    def fall(self, x: Tensor) -> Tensor:
        """Filter and throw away samples."""
        if self.down_filter is None:
            return x
        return downsample(x, self.down_filter, factor=self.down, padding=self.late_padding)

    def fall_adjoint(self, grad: Tensor, bent: Tensor) -> Tensor:
        """Map the gradient by the result of `fall` to that by its input `bent`, in a tensor of its own."""
        if self.down_filter is None:
            return grad.clone()
        low, taps = self.late_padding, self.down_filter.flip(0)
        height, width = bent.shape[2:]
        # samples at the end that were too few for one more of the result
        rest = max(bent.shape[i] + 2 * low - (grad.shape[i] - 1) * self.down - len(taps) for i in (2, 3))
        return upsample(grad, taps, factor=self.down, crop=(low, low - rest))[:, :, :height, :width]

    def forward(self, x: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
        """Compute the layer's result."""

        def block(x: Tensor, scale: Tensor, bias: Tensor) -> tuple[Tensor]:
            return (self.fall(self.bend(self.rise(x, scale, bias))).to(x.dtype),)

        return _in_blocks(block, x, scale, bias.expand_as(scale), values=self._values(x))[0]

    def forward_and_keep(self, x: Tensor, scale: Tensor, bias: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Compute the layer's result and return the activations too, block by block."""
        kept = []

        def block(x: Tensor, scale: Tensor, bias: Tensor) -> tuple[Tensor]:
            kept.append(self.bend(self.rise(x, scale, bias)))
            return (self.fall(kept[-1]).to(x.dtype),)

        return _in_blocks(block, x, scale, bias.expand_as(scale), values=self._values(x))[0], kept

    def backward(
        self, grad: Tensor, x: Tensor, scale: Tensor, bias: Tensor, kept: Sequence[Tensor]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Compute the gradients by `x`, `scale` and `bias` from that by the result.

        Up- and downsampling with the reversed filter are each other's adjoints.
        """
        activations = iter(kept)

        def block(x: Tensor, scale: Tensor, bias: Tensor, grad: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            bent = next(activations) if kept else self.bend(self.rise(x, scale, bias))
            grad = self.rise_adjoint(self.bend_adjoint(self.fall_adjoint(grad.to(scale.dtype), bent), bent))
            return (
                (grad * scale[:, :, None, None]).to(x.dtype),
                (grad * x).sum(dim=(2, 3)),
                grad.sum(dim=(2, 3)),
            )

        tensors = (x, scale, bias.expand_as(scale), grad)
        by_x, by_scale, by_bias = _in_blocks(block, *tensors, values=self._values(x))
        return by_x, by_scale, by_bias.sum(dim=0)

    def _values(self, x: Tensor) -> int:
        return x.shape[2] * x.shape[3] * self.up**2


def _in_blocks(function: Callable[..., tuple[Tensor, ...]], *tensors: Tensor, values: int) -> tuple[Tensor, ...]:
    """Apply a function of tensors `(B, C, …)` to blocks of few samples and channels and join each of its results.

    Args:
        function: treats samples and channels apart.
        tensors: those it takes.
        values: that it works on at once, per sample and channel.
    """
    if torch.compiler.is_compiling():  # a compiler divides the work itself, and an exported batch is of any size
        return function(*tensors)
    channels = tensors[0].shape[1]
    budget = CPU_BLOCK_VALUES if tensors[0].device.type == "cpu" else BLOCK_VALUES
    samples = max(1, budget // (channels * values))
    block = channels if samples > 1 else max(BLOCK_CHANNELS, budget // values)
    rows = []
    for part in zip(*(tensor.split(samples) for tensor in tensors), strict=True):
        pieces = zip(*(tensor.split(block, dim=1) for tensor in part), strict=True)
        rows.append(_join([function(*piece) for piece in pieces], dim=1))
    return _join(rows, dim=0)


def _join(results: list[tuple[Tensor, ...]], dim: int) -> tuple[Tensor, ...]:
    if len(results) == 1:
        return results[0]
    return tuple(torch.cat(pieces, dim=dim) for pieces in zip(*results, strict=True))


class _Bend(torch.autograd.Function):
    """Leaky ReLU and clamp with a gradient free of comparisons, whose boolean results Inductor would store one by one.

    With them a compiled training step took longer than an eager one.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, slope: float, clamp: float) -> Tensor:
        bent = F.leaky_relu(x, slope).clamp(-clamp, clamp)
        ctx.save_for_backward(bent)
        ctx.slope, ctx.clamp = slope, clamp
        return bent

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        (bent,) = ctx.saved_tensors
        steepness = ctx.slope + (1 - ctx.slope) * bent.sign().relu()
        return grad * steepness * (ctx.clamp - bent.abs()).sign(), None, None


class _FilteredLeakyReLU(torch.autograd.Function):
    """`_Between` with its gradient."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: Tensor, bias: Tensor, between: _Between, keep: bool) -> Tensor:
        result, kept = between.forward_and_keep(x, scale, bias) if keep else (between.forward(x, scale, bias), [])
        ctx.save_for_backward(x, scale, bias, *kept)
        ctx.between = between
        return result

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:
        x, scale, bias, *kept = ctx.saved_tensors
        with without_autocast(grad):
            return *ctx.between.backward(grad, x, scale, bias, kept), None, None
