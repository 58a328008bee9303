"""Modulated convolution: one shared convolution between two scalings of activations."""

import math

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from ..signal.precision import without_autocast
from .layers import EPSILON, EqualizedLinear


class ModulatedConv2d(nn.Module):
    """Convolve with weights whose input channels are scaled by a style (Karras et al. 2020, §2.2; 2021, appendix).

    With s = affine(condition), Ŵ = W / rms(W) per output and W' = Ŵ s, the result is W' ∗ x / √(Σ W'² + 1e-8) /
    √magnitude_ema. It is computed as d · (Ŵ ∗ (s x)): scaling activations before and after needs no separate weights
    for each sample. The demodulation d needs Σ W'² = Σ_in (Σ_k Ŵ²) s², a matrix product.
    Without demodulation (the to-image layer) the weights are not normalized and s is divided by √(in k²).
    d and the bias are left to the next operation on the result (`filtered_lrelu`), which saves a pass.

    The official code also divides s by its root mean square over the batch, which demodulation cancels.

    Args:
        in_channels: channels in.
        out_channels: channels out.
        kernel_size: size k of the kernel; the convolution is "full" (padding k - 1) unless `crop` removes some of it.
        condition_dim: channels of the condition.
        demodulate: whether to demodulate; `False` for the to-image layer.
        crop: samples removed at every border of the full convolution.
    """

    magnitude_ema: Tensor

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        kernel_size: int,
        condition_dim: int,
        demodulate: bool = True,
        crop: int = 0,
    ) -> None:
        super().__init__()
        self.demodulate = demodulate
        self.padding = kernel_size - 1 - crop
        self.affine = EqualizedLinear(condition_dim, in_channels, bias_init=1.0)
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, kernel_size, kernel_size))
        self.bias = nn.Parameter(torch.zeros(out_channels))
        self.register_buffer("magnitude_ema", torch.ones(()))

    def forward(self, x: Tensor, condition: Tensor) -> tuple[Tensor, Tensor | None]:
        """Convolve up to the factors of the output channels and the bias.

        Args:
            x: `(B, in, H, W)`.
            condition: `(B, condition_dim)`.

        Returns:
            y `(B, out, H', W')` and d `(B, out)`, such that d y + bias is the modulated convolution; d is `None` if it
            is 1.
        """
        with without_autocast(x):  # a factor's rounding error would affect its whole channel
            weight, scale, demodulation = self._factors(condition)
        y = F.conv2d(x * scale.to(x.dtype)[:, :, None, None], weight.to(x.dtype), padding=self.padding)
        return y, demodulation

    def _factors(self, condition: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return Ŵ, the factors `(B, in)` before and, if any, those `(B, out)` after the convolution."""
        weight: Tensor = self.weight
        style = self.affine(condition)
        input_gain = self.magnitude_ema.rsqrt()
        if not self.demodulate:
            return weight, style * (input_gain / math.sqrt(weight[0].numel())), None
        weight = weight * weight.square().mean(dim=(1, 2, 3), keepdim=True).rsqrt()
        demodulation = (style.square() @ weight.square().sum(dim=(2, 3)).t() + EPSILON).rsqrt()
        return weight, style * input_gain, demodulation
