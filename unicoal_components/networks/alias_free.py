"""Alias-free layer: convolution (modulated or plain), bias, filtered leaky ReLU."""

from torch import Tensor, nn

from ..signal.filtered_lrelu import filtered_lrelu
from ..signal.filters import design_lowpass
from .layers import LRELU_GAIN, LRELU_SLOPE, EqualizedConv2d
from .modulation import ModulatedConv2d
from .schedule import TAPS_PER_FACTOR, LayerRow


class AliasFreeLayer(nn.Module):
    """Map features from one row of the layer table to another (Karras et al. 2021, §3.2).

    The nonlinearity runs at rate max(s_in, s_out) · lrelu_upsampling, between low-pass filters whose cutoffs are the
    rows' own: `up` = rate / s_in with 6 up taps, `down` = rate / s_out with 6 down taps (no filter for a factor of 1).

    Args:
        source: row of the input.
        target: row of the output.
        in_channels: channels in (`source.channels`, or the image's for the first layer of an encoder).
        condition_dim: channels of the condition, or None for a plain equalized convolution.
        lrelu_upsampling: 2 in the synthesis, 1 in the official encoder.
        to_image: a 1×1 convolution without demodulation, filters and nonlinearity, the end of the synthesis.

    Attributes:
        keep_activations: keep activations for the gradient; `False` recomputes them (`filtered_lrelu`).
    """

    up_filter: Tensor | None
    down_filter: Tensor | None

    def __init__(
        self,
        *,
        source: LayerRow,
        target: LayerRow,
        in_channels: int,
        condition_dim: int | None,
        lrelu_upsampling: int = 2,
        to_image: bool = False,
    ) -> None:
        super().__init__()
        self.keep_activations = True
        kernel_size = 1 if to_image else 3
        rate = max(source.sampling_rate, target.sampling_rate) * (1 if to_image else lrelu_upsampling)
        self.up = rate // source.sampling_rate
        self.down = rate // target.sampling_rate
        up_taps = TAPS_PER_FACTOR * self.up if self.up > 1 and not to_image else 1
        down_taps = TAPS_PER_FACTOR * self.down if self.down > 1 and not to_image else 1
        for name, taps, row in (("up_filter", up_taps, source), ("down_filter", down_taps, target)):
            lowpass = design_lowpass(taps=taps, cutoff=row.cutoff, half_width=row.half_width, sampling_rate=rate)
            self.register_buffer(name, lowpass, persistent=False)

        total = (target.size - 1) * self.down + 1 - (source.size + kernel_size - 1) * self.up
        total += up_taps + down_taps - 2
        low = (total + self.up) // 2
        high = total - low
        # without upsampling, a crop after the convolution equals less padding before it
        crop = min(-low, kernel_size - 1) if self.up == 1 and low == high < 0 else 0
        self.padding = (low + crop, high + crop)
        self.slope, self.gain = (1.0, 1.0) if to_image else (LRELU_SLOPE, LRELU_GAIN)
        self.conv: ModulatedConv2d | EqualizedConv2d
        if condition_dim is None:
            self.conv = EqualizedConv2d(
                in_channels, target.channels, kernel_size=kernel_size, padding=kernel_size - 1 - crop
            )
        else:
            self.conv = ModulatedConv2d(
                in_channels,
                target.channels,
                kernel_size=kernel_size,
                condition_dim=condition_dim,
                demodulate=not to_image,
                crop=crop,
            )

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        """Map `(B, in, n_in, n_in)` under a condition `(B, condition_dim)` to `(B, out, n_out, n_out)`."""
        scale: Tensor | None = None
        bias: Tensor | None = None
        if isinstance(self.conv, ModulatedConv2d):
            (x, scale), bias = self.conv(x, condition), self.conv.bias
        else:
            x = self.conv(x)
        return filtered_lrelu(
            x,
            scale=scale,
            bias=bias,
            up_filter=self.up_filter,
            down_filter=self.down_filter,
            up=self.up,
            down=self.down,
            padding=self.padding,
            slope=self.slope,
            gain=self.gain,
            keep=self.keep_activations,
        )
