"""Leaky ReLU between upsampling and downsampling, so that its harmonics do not alias."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from .precision import without_autocast
from .resampling import downsample, pad, upsample

CPU_BLOCK_VALUES = 2**21
"""Values at the activation's rate that a CPU processes at once, so that they stay in its cache between passes."""
BLOCK_VALUES = 2**27
"""The same on other devices, where it limits the memory for intermediate values."""
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
    `up`), activated, clamped, convolved with the down filter, and every `down`-th sample is kept. The gain is a factor
    of scale and bias, as the leaky ReLU is positively homogeneous.

    It works block by block, in float32 or better even under autocast (only dense convolutions gain from less).
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
        slope: slope of the negative side.
        gain: gain of the activation.
        clamp: bound of the activation's magnitude.
        keep: keep the activations, about four times the size of `x`, for the gradient; else recompute them.

    Returns:
        `(B, C, H', W')`, of the dtype of `x`, with H' = (H · up + sum(padding) - up_taps + 1 - down_taps) // down + 1.
    """
    dtype = torch.promote_types(x.dtype, torch.float32)
    channels = x.shape[1]
    scale = x.new_full((1, channels), gain, dtype=dtype) if scale is None else scale.to(dtype) * gain
    bias = x.new_zeros(channels, dtype=dtype) if bias is None else bias.to(dtype) * gain
    activation = _FilteredActivation(up_filter, down_filter, up, down, padding, slope, clamp)
    scale = scale.expand(x.shape[0], channels)
    with without_autocast(x):
        if torch.compiler.is_compiling() or not torch.is_grad_enabled():  # a compiler decides itself what to keep
            return activation.forward(x, scale, bias)
        return _FilteredLeakyReLU.apply(x, scale, bias, activation, keep)


@dataclass(frozen=True)
class _FilteredActivation:
    """Filtered activation, the steps after a layer's convolution, and their gradient."""

    up_filter: Tensor | None
    down_filter: Tensor | None
    up: int
    down: int
    padding: tuple[int, int]
    slope: float
    clamp: float

    @property
    def late_padding(self) -> int:
        """Zeros to add before the down filter instead of before the activation, under which they stay zeros."""
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

    def upsample_and_bias(self, x: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
        """Scale, add the bias and upsample: return the input of the activation."""
        x = torch.addcmul(bias[:, :, None, None], x.to(scale.dtype), scale[:, :, None, None])
        if self.up_filter is None:
            return pad(x, -self.crop[0], -self.crop[1])
        return upsample(x, self.up_filter * self.up, factor=self.up, crop=self.crop)

    def upsample_and_bias_adjoint(self, grad: Tensor) -> Tensor:
        """Map the gradient by the result of `upsample_and_bias` to that by the scaled and shifted `x`."""
        inside = max(min(self.crop), 0)
        grad = pad(grad, self.crop[0] - inside, self.crop[1] - inside)
        if self.up_filter is None:
            return pad(grad, inside, inside)
        return downsample(grad, self.up_filter.flip(0) * self.up, factor=self.up, padding=inside)

    def activate(self, x: Tensor) -> Tensor:
        """Apply leaky ReLU and clamp, in place unless compiling."""
        if torch.compiler.is_compiling():
            return _Activation.apply(x, self.slope, self.clamp)
        return F.leaky_relu_(x, self.slope).clamp_(-self.clamp, self.clamp)

    def activate_adjoint(self, grad: Tensor, activated: Tensor) -> Tensor:
        """Map the gradient by the result `activated` of `activate` to that by its input, in place."""
        aten = torch.ops.aten
        aten.hardtanh_backward.grad_input(grad, activated, -self.clamp, self.clamp, grad_input=grad)
        return aten.leaky_relu_backward.grad_input(grad, activated, self.slope, True, grad_input=grad)

    def downsample(self, x: Tensor) -> Tensor:
        """Apply the down filter and keep every `down`-th sample."""
        if self.down_filter is None:
            return x
        return downsample(x, self.down_filter, factor=self.down, padding=self.late_padding)

    def downsample_adjoint(self, grad: Tensor, activated: Tensor) -> Tensor:
        """Map the gradient by the result of `downsample` to that by its input `activated`, in a new tensor."""
        if self.down_filter is None:
            return grad.clone()
        low, taps = self.late_padding, self.down_filter.flip(0)
        height, width = activated.shape[2:]
        # samples at the end that were too few for another sample of the result
        rest = max(activated.shape[i] + 2 * low - (grad.shape[i] - 1) * self.down - len(taps) for i in (2, 3))
        return upsample(grad, taps, factor=self.down, crop=(low, low - rest))[:, :, :height, :width]

    def forward(self, x: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
        """Compute the layer's result."""

        def block(x: Tensor, scale: Tensor, bias: Tensor) -> tuple[Tensor]:
            return (self.downsample(self.activate(self.upsample_and_bias(x, scale, bias))).to(x.dtype),)

        return _in_blocks(block, x, scale, bias.expand_as(scale), values=self._values(x))[0]

    def forward_and_keep(self, x: Tensor, scale: Tensor, bias: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Compute the layer's result and return the activations too, block by block."""
        kept = []

        def block(x: Tensor, scale: Tensor, bias: Tensor) -> tuple[Tensor]:
            kept.append(self.activate(self.upsample_and_bias(x, scale, bias)))
            return (self.downsample(kept[-1]).to(x.dtype),)

        return _in_blocks(block, x, scale, bias.expand_as(scale), values=self._values(x))[0], kept

    def backward(
        self, grad: Tensor, x: Tensor, scale: Tensor, bias: Tensor, kept: Sequence[Tensor]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Compute the gradients by `x`, `scale` and `bias` from that by the result.

        Up- and downsampling with the reversed filter are each other's adjoints.
        """
        activations = iter(kept)

        def block(x: Tensor, scale: Tensor, bias: Tensor, grad: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            activated = next(activations) if kept else self.activate(self.upsample_and_bias(x, scale, bias))
            grad = self.upsample_and_bias_adjoint(
                self.activate_adjoint(self.downsample_adjoint(grad.to(scale.dtype), activated), activated)
            )
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
        function: function that treats samples and channels independently.
        tensors: its arguments.
        values: number of values that it processes at once, per sample and channel.
    """
    if torch.compiler.is_compiling():  # a compiler divides the work itself, and an exported batch may have any size
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


class _Activation(torch.autograd.Function):
    """Leaky ReLU and clamp with a gradient without comparisons, whose boolean results Inductor would store.

    With comparisons a compiled training step took longer than an eager one.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, slope: float, clamp: float) -> Tensor:
        activated = F.leaky_relu(x, slope).clamp(-clamp, clamp)
        ctx.save_for_backward(activated)
        ctx.slope, ctx.clamp = slope, clamp
        return activated

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        (activated,) = ctx.saved_tensors
        steepness = ctx.slope + (1 - ctx.slope) * activated.sign().relu()
        return grad * steepness * (ctx.clamp - activated.abs()).sign(), None, None


class _FilteredLeakyReLU(torch.autograd.Function):
    """Autograd function of `_FilteredActivation`."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, scale: Tensor, bias: Tensor, activation: _FilteredActivation, keep: bool
    ) -> Tensor:
        result, kept = activation.forward_and_keep(x, scale, bias) if keep else (activation.forward(x, scale, bias), [])
        ctx.save_for_backward(x, scale, bias, *kept)
        ctx.activation = activation
        return result

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:
        x, scale, bias, *kept = ctx.saved_tensors
        with without_autocast(grad):
            return *ctx.activation.backward(grad, x, scale, bias, kept), None, None
