"""Equalized layers: weights of unit variance, scaled at run time (Karras et al. 2018, §4.1)."""

import math

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from ..signal.precision import without_autocast
from ..signal.resampling import downsample

EPSILON = 1e-8
LRELU_SLOPE = 0.2
LRELU_GAIN = math.sqrt(2)


def normalize_rms(x: Tensor) -> Tensor:
    """Divide `x` `(B, C)` by its root mean square over the channels, √(mean x² + 1e-8).

    Computed as the equivalent x · 1e4 / √(1e8 mean x² + 1), because torch's export to ONNX drops 1e-8 from a sum, so
    that zeros became NaN.
    """
    return x * (x.square().mean(dim=1, keepdim=True) / EPSILON + 1).rsqrt() / EPSILON**0.5


def scaled_leaky_relu(x: Tensor) -> Tensor:
    """Return the leaky ReLU of slope 0.2, times √2, which keeps the variance."""
    return F.leaky_relu(x, LRELU_SLOPE) * LRELU_GAIN


class EqualizedLinear(nn.Module):
    """y = x (weight · lr_multiplier / √in)ᵀ + bias · lr_multiplier, then an optional scaled leaky ReLU.

    Args:
        in_features: channels in.
        out_features: channels out.
        activation: "linear" or "lrelu".
        lr_multiplier: slows learning; weights start at N(0, 1) / lr_multiplier.
        bias_init: initial value of the biases.

    Raises:
        ValueError: the activation is unknown.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        activation: str = "linear",
        lr_multiplier: float = 1.0,
        bias_init: float = 0.0,
    ) -> None:
        super().__init__()
        if activation not in ("linear", "lrelu"):
            raise ValueError(f"activation must be 'linear' or 'lrelu', got {activation!r}")
        self.activation = activation
        self.lr_multiplier = lr_multiplier
        self.weight = nn.Parameter(torch.randn(out_features, in_features) / lr_multiplier)
        self.bias = nn.Parameter(torch.full((out_features,), float(bias_init)))

    def forward(self, x: Tensor) -> Tensor:
        """Map `(B, in)` to `(B, out)`."""
        gain = self.lr_multiplier / math.sqrt(self.weight.shape[1])
        with without_autocast(x):  # cheap, and its rounding errors would affect all pixels
            y = F.linear(x.to(self.weight.dtype), self.weight * gain, self.bias * self.lr_multiplier)
        return scaled_leaky_relu(y) if self.activation == "lrelu" else y


class EqualizedConv2d(nn.Module):
    """Convolve with weight / √(in k²); optionally smooth and halve first, add a bias, apply a scaled leaky ReLU.

    At `down` 2 the filter [1, 3, 3, 1] / 8 runs along each axis before the convolution (Karras et al. 2020, the
    discriminator): at full rate before a k×k convolution of stride 2, keeping every second sample before a 1×1 one.

    Args:
        in_channels: channels in.
        out_channels: channels out.
        kernel_size: size k of the kernel, odd.
        padding: zeros on every side, or `None` for k // 2.
        down: downsampling factor, 1 or 2.
        bias: whether to add a bias.
        activation: "linear" or "lrelu".

    Raises:
        ValueError: the activation is unknown.
    """

    fir: Tensor

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        kernel_size: int,
        padding: int | None = None,
        down: int = 1,
        bias: bool = True,
        activation: str = "linear",
    ) -> None:
        super().__init__()
        if activation not in ("linear", "lrelu"):
            raise ValueError(f"activation must be 'linear' or 'lrelu', got {activation!r}")
        self.activation = activation
        self.down = down
        self.padding = kernel_size // 2 if padding is None else padding
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, kernel_size, kernel_size))
        self.bias = nn.Parameter(torch.zeros(out_channels)) if bias else None
        self.register_buffer("fir", torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map `(B, in, H, W)` to `(B, out, H / down, W / down)`."""
        kernel_size = self.weight.shape[-1]
        weight = self.weight / math.sqrt(self.weight[0].numel())
        stride, padding = 1, self.padding
        if self.down > 1 and kernel_size == 1:
            x = downsample(x, self.fir, factor=self.down, padding=1)
        elif self.down > 1:
            x = downsample(x, self.fir, factor=1, padding=2)
            stride, padding = self.down, 0
        y = F.conv2d(x, weight, self.bias, stride=stride, padding=padding)
        return scaled_leaky_relu(y) if self.activation == "lrelu" else y


def append_minibatch_std(x: Tensor, *, group_size: int = 16) -> Tensor:
    """Append the groups' standard deviation as one more channel (Karras et al. 2018, §3).

    The official code requires N to be divisible by the group; here the group is the largest divisor of N up to
    `group_size`, so that any batch works.

    Args:
        x: features `(N, C, H, W)`.
        group_size: largest group.

    Returns:
        `(N, C + 1, H, W)`.
    """
    n, _, h, w = x.shape
    group = max(g for g in range(1, min(group_size, n) + 1) if n % g == 0)
    variance = x.float().unflatten(0, (group, n // group)).var(dim=0, unbiased=False)
    std = (variance + EPSILON).sqrt().mean(dim=(1, 2, 3))
    return torch.cat([x, std.to(x.dtype).repeat(group).view(n, 1, 1, 1).expand(n, 1, h, w)], dim=1)
