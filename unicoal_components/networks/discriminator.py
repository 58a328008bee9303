"""Projection discriminator."""

import math

import torch
from torch import Tensor, nn

from .layers import EqualizedConv2d, EqualizedLinear, append_minibatch_std
from .mapping import MappingNetwork, column_position, one_hot_modality
from .schedule import check_resolution

LAST_RESOLUTION = 4
EMBEDDING_DIM = 64


class DiscriminatorBlock(nn.Module):
    """Residual block that halves the resolution (Karras et al. 2020, §4.1); both branches are scaled by √½.

    Args:
        in_channels: channels in.
        out_channels: channels out.
        image_channels: channels of the image that the first block reads by a 1×1 convolution, else `None`.
    """

    def __init__(self, in_channels: int, out_channels: int, *, image_channels: int | None = None) -> None:
        super().__init__()
        self.from_image = None
        if image_channels is not None:
            self.from_image = EqualizedConv2d(image_channels, in_channels, kernel_size=1, activation="lrelu")
        self.conv = EqualizedConv2d(in_channels, in_channels, kernel_size=3, activation="lrelu")
        self.conv_down = EqualizedConv2d(in_channels, out_channels, kernel_size=3, down=2, activation="lrelu")
        self.skip = EqualizedConv2d(in_channels, out_channels, kernel_size=1, down=2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map `(B, in, H, W)` to `(B, out, H / 2, W / 2)`."""
        if self.from_image is not None:
            x = self.from_image(x)
        return (self.conv_down(self.conv(x)) + self.skip(x)) * math.sqrt(0.5)


class Discriminator(nn.Module):
    """Rate a slice, given its source, modality and position (Miyato & Koyama 2018; Karras et al. 2020).

    logit = features · m / √C, with m a mapping of the target modality and position.

    Args:
        resolution: R, a power of two.
        num_modalities: M.
        in_channels: S + 1, the source slices and the slice to rate.
        channel_base: channels at resolution r are min(channel_base / r, channel_max).
        channel_max: see above.
        mapping_layers: layers of the mapping.
        position_embedding: "linear" (official) or "fourier".

    Raises:
        ValueError: `resolution` is no power of two, or a block is left without a channel.
    """

    def __init__(
        self,
        *,
        resolution: int = 256,
        num_modalities: int = 3,
        in_channels: int = 5,
        channel_base: int = 2**14,
        channel_max: int = 512,
        mapping_layers: int = 2,
        position_embedding: str = "linear",
    ) -> None:
        super().__init__()
        self.resolution = check_resolution(resolution)
        self.in_channels, self.num_modalities = in_channels, num_modalities
        self.blocks = nn.ModuleList()
        edge, channels = resolution, discriminator_channels(resolution, channel_base, channel_max)
        while edge > LAST_RESOLUTION:
            below = discriminator_channels(edge // 2, channel_base, channel_max)
            image_channels = in_channels if edge == resolution else None
            self.blocks.append(DiscriminatorBlock(channels, below, image_channels=image_channels))
            edge, channels = edge // 2, below
        self.conv = EqualizedConv2d(channels + 1, channels, kernel_size=3, activation="lrelu")
        self.linear = EqualizedLinear(channels * LAST_RESOLUTION**2, channels, activation="lrelu")
        self.out = EqualizedLinear(channels, channels)
        self.mapping = MappingNetwork(
            num_modalities=num_modalities,
            w_dim=channels,
            embedding_dim=EMBEDDING_DIM,
            num_layers=mapping_layers,
            position_embedding=position_embedding,
        )

    def forward(self, image: Tensor, *, modality: Tensor | None = None, position: Tensor | None = None) -> Tensor:
        """Compute logits.

        Args:
            image: source slices and the slice to rate, `(B, S + 1, R, R)` in [-1, 1].
            modality: class indices `(B,)` or one-hot `(B, M)`; `None` for class 0.
            position: `(B,)` or `(B, 1)`; `None` for 0.

        Returns:
            `(B, 1)`.

        Raises:
            ValueError: a shape does not fit the network.
        """
        expected = (self.in_channels, self.resolution, self.resolution)
        if image.ndim != 4 or tuple(image.shape[1:]) != expected:
            raise ValueError(
                f"image must have the shape (B, {', '.join(map(str, expected))}), got {tuple(image.shape)}"
            )
        batch = image.shape[0]
        modality = one_hot_modality(modality, num_modalities=self.num_modalities, batch=batch, like=image)
        position = column_position(position, batch=batch, like=image)
        x = image.contiguous(memory_format=torch.channels_last)
        for block in self.blocks:
            x = block(x)
        x = self.conv(append_minibatch_std(x))
        features = self.out(self.linear(x.contiguous().flatten(1)))
        condition = self.mapping(modality=modality, position=position)
        return (features * condition).sum(dim=1, keepdim=True) / math.sqrt(features.shape[1])


def discriminator_channels(edge: int, channel_base: int, channel_max: int) -> int:
    """Return the channels at a resolution of `edge` samples, or raise ValueError if none is left."""
    channels = min(channel_base // edge, channel_max)
    if channels < 1:
        raise ValueError(
            f"channel_base {channel_base} and channel_max {channel_max} leave the block at {edge} samples without a "
            f"channel; channel_base must be at least {edge} and channel_max at least 1"
        )
    return channels
