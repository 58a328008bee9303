"""Detail path within a modality: a wide residual network at half resolution. Layers and constants of detail paths."""

import math

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from ..keys import BLANK
from ..signal.filters import design_lowpass
from ..signal.resampling import downsample, upsample
from .layers import LRELU_SLOPE, EqualizedLinear
from .mapping import NUM_OCTAVES, position_waves

FOLD = 2
"""Side of the pixel blocks that become channels: the convolutions run at half resolution without losing a pixel."""

TAPS = 12
STOPBAND = 2**0.3
"""Half width of the transition over the cutoff, as in the last layers of the alias-free schedule."""

OUTPUT_SCALE = 0.1
BLOCK_SCALE = 0.3
"""Of what the last layer and the blocks give: an optimizer's first steps, alike for all weights, would otherwise add up
to far more than the detail that is missing, and the features never recover (measured: 10 times the error after 100
steps at a learning rate of 0.002; Lim et al. 2017 scale their blocks too)."""

ERROR_START = 0.05
"""Predicted error before training, on the scale of [-1, 1]."""

ERROR_RANGE = (-4.0, 3.5)
"""Largest magnitude of the logarithm of the ratio to that."""


class ConditionEmbedding(nn.Module):
    """Embed the conditions of a slice as features, by two linear layers.

    Args:
        num_modalities: number of modalities M.
        others: number of further conditions.
        features: features of both layers.
    """

    octaves: Tensor

    def __init__(self, *, num_modalities: int, others: int = 0, features: int = 128) -> None:
        super().__init__()
        numbers = 2 * num_modalities + 2 + 2 * NUM_OCTAVES + others
        self.features = features
        self.layers = nn.Sequential(
            nn.Linear(numbers, features),
            nn.LeakyReLU(LRELU_SLOPE),
            nn.Linear(features, features),
            nn.LeakyReLU(LRELU_SLOPE),
        )
        self.register_buffer("octaves", math.pi * 2.0 ** torch.arange(NUM_OCTAVES), persistent=False)

    def forward(self, modality: Tensor, position: Tensor, acquisition: Tensor, others: Tensor | None = None) -> Tensor:
        """Map conditions to features `(B, features)`.

        Args:
            modality: target modality, one-hot `(B, M)`.
            position: `(B, 1)` in [0, 1); encoded as sin and cos of 2^j π position, j = 0..3.
            acquisition: `(B, M + 2)`, see `complete_inputs`.
            others: `(B, others)`, needed if there are any.
        """
        told = [modality, acquisition, position_waves(position, self.octaves)] + ([] if others is None else [others])
        return self.layers(torch.cat(told, dim=1))


class ModulatedBlock(nn.Module):
    """x + 0.3 conv(lrelu((1 + s) conv(x) + t)), where a linear map of the condition gives s and t.

    A residual block without normalization (Lim et al. 2017, EDSR), modulated feature by feature (Perez et al. 2018,
    FiLM). It starts unmodulated.

    Args:
        channels: channels of the features.
        condition_dim: channels of the condition.
    """

    def __init__(self, channels: int, *, condition_dim: int) -> None:
        super().__init__()
        self.expand = nn.Conv2d(channels, channels, kernel_size=3, padding=1)
        self.project = nn.Conv2d(channels, channels, kernel_size=3, padding=1)
        self.style = silent(EqualizedLinear(condition_dim, 2 * channels))

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """Map features `(B, C, H, W)` under a condition `(B, condition_dim)` to features of the same shape."""
        scale, shift = self.style(condition)[:, :, None, None].chunk(2, dim=1)
        y = F.leaky_relu(self.expand(x) * (1 + scale) + shift, LRELU_SLOPE)
        return x + BLOCK_SCALE * self.project(y)


class DetailPath(nn.Module):
    """Predict the detail that an image lacks from several images; it starts with zeros.

    Args:
        in_channels: number of input images.
        channels: channels of the features.
        num_blocks: number of residual blocks.
        num_modalities: number of modalities M of the conditions.
        others: number of further conditions, see `ConditionEmbedding`.
        error_output: predict the error's scale as a second image, by a head on the detached features, so that its
            training has no effect on the first image.

    Raises:
        ValueError: if there are no channels or no blocks.
    """

    def __init__(
        self,
        *,
        in_channels: int,
        channels: int,
        num_blocks: int,
        num_modalities: int,
        others: int = 0,
        error_output: bool = False,
    ) -> None:
        super().__init__()
        if channels < 1 or num_blocks < 1:
            raise ValueError(
                f"the detail path has {channels} channels and {num_blocks} blocks; give at least one of each, or "
                "detail_channels 0 to leave it out"
            )
        self.conditions = ConditionEmbedding(num_modalities=num_modalities, others=others)
        self.head = nn.Conv2d(in_channels * FOLD**2, channels, kernel_size=3, padding=1)
        self.blocks = nn.ModuleList(
            ModulatedBlock(channels, condition_dim=self.conditions.features) for _ in range(num_blocks)
        )
        self.tail = silent(nn.Conv2d(channels, FOLD**2, kernel_size=3, padding=1))
        self.error_tail = error_layers(channels, outputs=FOLD**2) if error_output else None

    def forward(
        self, images: Tensor, modality: Tensor, position: Tensor, acquisition: Tensor, others: Tensor | None = None
    ) -> Tensor:
        """Map images `(B, in, H, W)` in [-1, 1], H and W even, under conditions to `(B, 1 or 2, H, W)`.

        Args:
            images: input images.
            modality: target modality, see `ConditionEmbedding.forward`, also for the following.
            position: position of the wanted slice.
            acquisition: acquisition of the input.
            others: further conditions.
        """
        condition = self.conditions(modality, position, acquisition, others)
        x = self.head(F.pixel_unshuffle(images - BLANK, FOLD))  # the convolutions' padding, 0, is blank
        for block in self.blocks:
            x = block(x, condition)
        detail = OUTPUT_SCALE * F.pixel_shuffle(self.tail(x), FOLD)
        if self.error_tail is None:
            return detail
        return torch.cat([detail, F.pixel_shuffle(self.error_tail(x.detach()), FOLD)], dim=1)


def error_layers(channels: int, *, outputs: int) -> nn.Sequential:
    """Return the layers that map features `(B, channels, H, W)` to the error's scale, see `scale_of_error`."""
    return nn.Sequential(
        nn.Conv2d(channels, channels // 2, kernel_size=3, padding=1),
        nn.LeakyReLU(LRELU_SLOPE),
        silent(nn.Conv2d(channels // 2, outputs, kernel_size=3, padding=1)),
    )


def scale_of_error(logarithm: Tensor) -> Tensor:
    """Convert a network's output, the logarithm of a ratio, into the scale of the error; no channels stay none."""
    return ERROR_START * logarithm.clamp(*ERROR_RANGE).exp()


def silent(layer: nn.Module) -> nn.Module:
    """Set all parameters of a layer to zero, so that its output starts as zero."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer


class HalfResolution(nn.Module):
    """Resample images to half resolution and back, with a low-pass filter each way.

    The filters' cutoff is half the coarse sampling rate and their transition is as wide as in the last alias-free
    layers, so that a shift by a fraction of a pixel is preserved.

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
        """Map `(B, C, R, R)` to `(B, C, R / 2, R / 2)`; pixels outside count as blank."""
        return downsample(images - BLANK, self.taps, factor=2, padding=TAPS // 2 - 1) + BLANK

    def up(self, images: Tensor) -> Tensor:
        """Map `(B, C, R / 2, R / 2)` to `(B, C, R, R)`; pixels outside count as blank."""
        crop = TAPS // 2 - 1
        return upsample(images - BLANK, 2 * self.taps, factor=2, crop=(crop, crop)) + BLANK
