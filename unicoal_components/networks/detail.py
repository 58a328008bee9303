"""The detail path: a wide residual network at half resolution beside the alias-free one."""

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from ..keys import BLANK
from ..signal.filters import design_lowpass
from ..signal.resampling import downsample, upsample
from .layers import LRELU_SLOPE, EqualizedLinear

FOLD = 2
"""Two by two pixels become channels: the convolutions run at half resolution, no pixel is lost."""

TAPS = 12
STOPBAND = 2**0.3
"""Over the cutoff, as in the last layers of the alias-free schedule."""


class ModulatedBlock(nn.Module):
    """x + conv(lrelu((1 + s) conv(x) + t)), where a linear map of the condition gives s and t.

    A residual block without normalization (Lim et al. 2017, EDSR), modulated feature by feature (Perez et al. 2018,
    FiLM). It starts as the identity, unmodulated.

    Args:
        channels: of the features.
        condition_dim: channels of the condition.
    """

    def __init__(self, channels: int, *, condition_dim: int) -> None:
        super().__init__()
        self.expand = nn.Conv2d(channels, channels, kernel_size=3, padding=1)
        self.project = _silent(nn.Conv2d(channels, channels, kernel_size=3, padding=1))
        # equalized, as the styles' entries are large: a plain layer would jump at the convolutions' learning rate
        self.style = _silent(EqualizedLinear(condition_dim, 2 * channels))

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """Map features `(B, C, H, W)` under a condition `(B, condition_dim)` to as many."""
        scale, shift = self.style(condition)[:, :, None, None].chunk(2, dim=1)
        y = F.leaky_relu(self.expand(x) * (1 + scale) + shift, LRELU_SLOPE)
        return x + self.project(y)


class DetailPath(nn.Module):
    """Images in, what the alias-free network lacks of detail out; it starts with zeros.

    Args:
        in_channels: images that it sees.
        channels: of its features.
        num_blocks: residual blocks.
        condition_dim: channels of the condition, the styles of the alias-free synthesis.
        error_output: make a second image, of another head that reads the features and does not shape them: what it
            learns has no effect on the first image.

    Raises:
        ValueError: if there are no channels or no blocks.
    """

    def __init__(
        self, *, in_channels: int, channels: int, num_blocks: int, condition_dim: int, error_output: bool = False
    ) -> None:
        super().__init__()
        if channels < 1 or num_blocks < 1:
            raise ValueError(
                f"a detail path of {channels} channels and {num_blocks} blocks is none; give at least one of each, or "
                "detail_channels 0 to leave it out"
            )
        self.head = nn.Conv2d(in_channels * FOLD**2, channels, kernel_size=3, padding=1)
        self.blocks = nn.ModuleList(ModulatedBlock(channels, condition_dim=condition_dim) for _ in range(num_blocks))
        self.tail = _silent(nn.Conv2d(channels, FOLD**2, kernel_size=3, padding=1))
        self.error_tail: nn.Module | None = None
        if error_output:
            self.error_tail = nn.Sequential(
                nn.Conv2d(channels, channels // 2, kernel_size=3, padding=1),
                nn.LeakyReLU(LRELU_SLOPE),
                _silent(nn.Conv2d(channels // 2, FOLD**2, kernel_size=3, padding=1)),
            )

    def forward(self, images: Tensor, condition: Tensor) -> Tensor:
        """Map images `(B, in, R, R)` in [-1, 1] and a condition `(B, condition_dim)` to `(B, 1 or 2, R, R)`."""
        x = self.head(F.pixel_unshuffle(images - BLANK, FOLD))  # the convolutions' padding, 0, is blank
        for block in self.blocks:
            x = block(x, condition)
        detail = F.pixel_shuffle(self.tail(x), FOLD)
        if self.error_tail is None:
            return detail
        return torch.cat([detail, F.pixel_shuffle(self.error_tail(x.detach()), FOLD)], dim=1)


def _silent(layer: nn.Module) -> nn.Module:
    """Set all parameters of a layer to zero, so that it starts by giving nothing."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer


class HalfResolution(nn.Module):
    """Take images to half resolution and back, with a low-pass filter each way.

    The filters' cutoff is half the coarse sampling rate and their transition as wide as that of the last alias-free
    layers, so that what moves by a fraction of a pixel on one side moves alike on the other.

    Args:
        resolution: R, pixels of the fine image.
    """

    taps: Tensor

    def __init__(self, *, resolution: int) -> None:
        super().__init__()
        cutoff = resolution / 4
        half_width = cutoff * (STOPBAND - 1)
        taps = design_lowpass(taps=TAPS, cutoff=cutoff, half_width=half_width, sampling_rate=float(resolution))
        self.register_buffer("taps", taps, persistent=False)

    def down(self, images: Tensor) -> Tensor:
        """Map `(B, C, R, R)` to `(B, C, R / 2, R / 2)`; outside is blank."""
        return downsample(images - BLANK, self.taps, factor=2, padding=TAPS // 2 - 1) + BLANK

    def up(self, images: Tensor) -> Tensor:
        """Map `(B, C, R / 2, R / 2)` to `(B, C, R, R)`; outside is blank."""
        crop = TAPS // 2 - 1
        return upsample(images - BLANK, 2 * self.taps, factor=2, crop=(crop, crop)) + BLANK
