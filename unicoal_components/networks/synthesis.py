"""Synthesis of the image from w, image style and encoder features."""

import math

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from .alias_free import AliasFreeLayer
from .layers import EqualizedLinear
from .schedule import LayerRow, layer_table

OUTPUT_SCALE = 0.25


class FourierInput(nn.Module):
    """Sine waves on a canvas, rotated and shifted according to w (Karras et al. 2021, appendix F).

    t = affine(w) / |(t0, t1)|; M = Rot(t0, t1) · Trans(-t2, -t3) · transform; f' = f M[:2, :2],
    phase' = phase + f M[:2, 2]; value = sin 2π(f'·x + phase') · clamp(1 - (|f'| - f_c) / (s / 2 - f_c), 0, 1),
    then a linear map between channels.

    Args:
        row: first row of the layer table.
        w_dim: channels of w.
    """

    frequencies: Tensor
    phases: Tensor
    transform: Tensor
    axis: Tensor

    def __init__(self, *, row: LayerRow, w_dim: int) -> None:
        super().__init__()
        self.size, self.rate, self.bandwidth = row.size, row.sampling_rate, row.cutoff
        normal = torch.randn(row.channels, 2)
        radius = normal.norm(dim=1, keepdim=True)
        self.register_buffer("frequencies", normal / (radius * radius.square().exp().pow(0.25)) * self.bandwidth)
        self.register_buffer("phases", torch.rand(row.channels) - 0.5)
        self.register_buffer("transform", torch.eye(3))
        # no `torch.arange(device=...)` in forward: a trace would keep the device
        axis = (torch.arange(self.size) + 0.5 - self.size / 2) / self.rate
        self.register_buffer("axis", axis, persistent=False)
        self.weight = nn.Parameter(torch.randn(row.channels, row.channels))
        self.affine = EqualizedLinear(w_dim, 4)
        with torch.no_grad():
            self.affine.weight.zero_()
            self.affine.bias.copy_(torch.tensor([1.0, 0.0, 0.0, 0.0]))

    def forward(self, w: Tensor) -> Tensor:
        """Map w `(B, w_dim)` to waves `(B, C_0, n_0, n_0)`."""
        t = self.affine(w).float()
        cos, sin, shift_x, shift_y = (t / t[:, :2].norm(dim=1, keepdim=True)).unbind(dim=1)
        zero, one = torch.zeros_like(cos), torch.ones_like(cos)
        rotation = torch.stack([cos, -sin, zero, sin, cos, zero, zero, zero, one], dim=1).view(-1, 3, 3)
        shift = torch.stack([one, zero, -shift_x, zero, one, -shift_y, zero, zero, one], dim=1).view(-1, 3, 3)
        motion = _product(_product(rotation, shift), self.transform)
        frequencies = _product(self.frequencies, motion[:, :2, :2])  # (B, C, 2)
        phases = self.phases + _product(self.frequencies, motion[:, :2, 2:]).squeeze(2)
        excess = frequencies.norm(dim=2) - self.bandwidth
        amplitudes = (1 - excess / (self.rate / 2 - self.bandwidth)).clamp(0, 1)
        along_x = (frequencies[:, :, 0, None] * self.axis)[:, :, None, :]
        along_y = (frequencies[:, :, 1, None] * self.axis)[:, :, :, None]
        waves = torch.sin(2 * math.pi * (along_x + along_y + phases[:, :, None, None])) * amplitudes[:, :, None, None]
        weight = self.weight / math.sqrt(self.weight.shape[1])
        return F.conv2d(waves.to(w.dtype), weight[:, :, None, None].to(w.dtype))


def count_skips(skip_resolution: int) -> int:
    """Return log2(q) - 2, the largest number of positions that take a skip.

    Example:
        >>> count_skips(32)
        3
    """
    if not isinstance(skip_resolution, int) or skip_resolution < 4 or skip_resolution & (skip_resolution - 1):
        raise ValueError(
            f"skip_resolution must be a power of two and at least 4, or None for every skip, got {skip_resolution}"
        )
    return skip_resolution.bit_length() - 3


def _product(a: Tensor, b: Tensor) -> Tensor:
    """Multiply matrices `(…, n, k)` and `(…, k, m)` in float32; `@` follows autocast and TF32 and shifts the waves."""
    return (a.unsqueeze(-1) * b.unsqueeze(-3)).sum(dim=-2)


class Synthesis(nn.Module):
    """Co-modulated alias-free synthesis (Song et al. 2025; Zhao et al. 2021, §3.1; Karras et al. 2021).

    Fourier waves + bottleneck, then L + 1 layers modulated by affine(w ⊕ image style); before every change of the
    canvas size the encoder's skip of that size is added. The result is multiplied by 0.25.

    Args:
        resolution: resolution R.
        num_layers: number of layers L.
        channel_base: see `layer_table`.
        channel_max: see `layer_table`.
        w_dim: channels of w.
        image_style_dim: channels of the image style.
        skip_resolution: q, only the first log2(q) - 2 positions take their skip; `None` for all.

    Raises:
        ValueError: `skip_resolution` is no power of two of at least 4.
    """

    def __init__(
        self,
        *,
        resolution: int,
        num_layers: int,
        channel_base: int,
        channel_max: int,
        w_dim: int,
        image_style_dim: int,
        skip_resolution: int | None,
    ) -> None:
        super().__init__()
        rows = layer_table(
            resolution=resolution, num_layers=num_layers, channel_base=channel_base, channel_max=channel_max
        )
        self.input = FourierInput(row=rows[0], w_dim=w_dim)
        self.layers = nn.ModuleList()
        self.skip_sizes: list[int | None] = []
        places = num_layers if skip_resolution is None else count_skips(skip_resolution)
        for i, row in enumerate(rows):
            source = rows[max(i - 1, 0)]
            self.layers.append(
                AliasFreeLayer(
                    source=source,
                    target=row,
                    in_channels=source.channels,
                    condition_dim=w_dim + image_style_dim,
                    to_image=i == num_layers,
                )
            )
            takes = i < num_layers and row.size not in (rows[i + 1].size, rows[0].size) and places > 0
            places -= takes
            self.skip_sizes.append(row.size if takes else None)

    def forward(self, w: Tensor, *, skips: dict[int, Tensor], bottleneck: Tensor, image_style: Tensor) -> Tensor:
        """Synthesize images.

        Args:
            w: `(B, w_dim)`.
            skips: encoder features by canvas size.
            bottleneck: `(B, C_0, n_0, n_0)`.
            image_style: `(B, image_style_dim)`.

        Returns:
            Images `(B, 1, R, R)`.
        """
        condition = torch.cat([w, image_style], dim=1)
        x = self.input(w) + bottleneck
        for layer, size in zip(self.layers, self.skip_sizes, strict=True):
            x = layer(x, condition)
            if size is not None:
                x = x + skips[size]
        return x * OUTPUT_SCALE
