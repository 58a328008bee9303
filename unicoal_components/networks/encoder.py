"""Encoder of a slice group into multi-scale features and an image style."""

import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from ..keys import BLANK
from .alias_free import AliasFreeLayer
from .layers import EqualizedConv2d, EqualizedLinear
from .mapping import MappingNetwork
from .schedule import MARGIN, layer_table

STYLE_SIZE = 4


class Encoder(nn.Module):
    """Alias-free encoder, the layer table read from the top down (Song et al. 2025, figure 2).

    The input is padded by the margin with blank (-1). Layer j = 0..L-1 ends at row L-1-j; modulated layers are
    conditioned by the encoder's own mapping of modality and position. For every canvas size the row that ends it in
    the synthesis is kept as the skip of that size; the last one is the bottleneck, pooled into the image style.

    Args:
        resolution: resolution R.
        in_channels: slices S of a group.
        num_modalities: number of modalities M.
        num_layers: number of layers L.
        channel_base: see `layer_table`.
        channel_max: see `layer_table`.
        w_dim: channels of the encoder's own condition.
        image_style_dim: channels of the image style.
        embedding_dim: channels of each embedding of the mapping.
        mapping_layers: layers of the mapping.
        modulated: modulate the layers, or use plain convolutions.
        dropout: probability of dropping an entry of the image style in training.
        position_embedding: see `MappingNetwork`.
        lrelu_upsampling: see `AliasFreeLayer`.
        acquisition_dim: see `MappingNetwork`.
    """

    def __init__(
        self,
        *,
        resolution: int,
        in_channels: int,
        num_modalities: int,
        num_layers: int,
        channel_base: int,
        channel_max: int,
        w_dim: int,
        image_style_dim: int,
        embedding_dim: int,
        mapping_layers: int,
        modulated: bool,
        dropout: float,
        position_embedding: str,
        lrelu_upsampling: int,
        acquisition_dim: int = 0,
    ) -> None:
        super().__init__()
        rows = layer_table(
            resolution=resolution,
            num_layers=num_layers,
            channel_base=channel_base,
            channel_max=channel_max,
            margin_at_end=True,
        )
        top = num_layers - 1
        marks = [row.size for row in rows[:top]] + [resolution + 4 * MARGIN] * 2
        self.mapping = None
        if modulated:
            self.mapping = MappingNetwork(
                num_modalities=num_modalities,
                w_dim=w_dim,
                embedding_dim=embedding_dim,
                num_layers=mapping_layers,
                position_embedding=position_embedding,
                acquisition_dim=acquisition_dim,
            )
        self.layers = nn.ModuleList()
        self.skip_sizes: list[int | None] = []
        for j in range(num_layers):
            p, i = top - max(j - 1, 0), top - j
            self.layers.append(
                AliasFreeLayer(
                    source=rows[p],
                    target=rows[i],
                    in_channels=in_channels if j == 0 else rows[p].channels,
                    condition_dim=w_dim if modulated else None,
                    lrelu_upsampling=lrelu_upsampling,
                )
            )
            ends_a_size = marks[i] != marks[p] and marks[p] != marks[0]
            self.skip_sizes.append(rows[i].size if ends_a_size else None)
        channels = rows[0].channels
        self.style_conv = EqualizedConv2d(channels, channels, kernel_size=3, activation="lrelu")
        self.style_linear = EqualizedLinear(channels * STYLE_SIZE**2, image_style_dim, activation="lrelu")
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, image: Tensor, *, modality: Tensor, position: Tensor, acquisition: Tensor | None = None
    ) -> tuple[dict[int, Tensor], Tensor, Tensor]:
        """Encode slice groups.

        Args:
            image: `(B, S, R, R)` in [-1, 1].
            modality: one-hot `(B, M)`.
            position: `(B, 1)`.
            acquisition: see `MappingNetwork.forward`.

        Returns:
            Skips by canvas size n, each `(B, C, n, n)`; bottleneck `(B, C_0, n_0, n_0)`; image style
            `(B, image_style_dim)`.
        """
        condition = None
        if self.mapping is not None:
            condition = self.mapping(modality=modality, position=position, acquisition=acquisition)
        x = F.pad(image, [MARGIN] * 4, value=BLANK)
        skips = {}
        for layer, size in zip(self.layers, self.skip_sizes, strict=True):
            x = layer(x, condition)
            if size is not None:
                skips[size] = x
        pooled = F.adaptive_avg_pool2d(self.style_conv(x), STYLE_SIZE)
        # contiguous: features are channels-last, the linear layer's weights are ordered channel by channel
        style = self.style_linear(pooled.contiguous().flatten(1))
        return skips, x, self.dropout(style)
