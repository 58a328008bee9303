"""A plain U-Net with the generator's interface: the baseline that a method has to beat."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from monai.networks.nets import UNet
from torch import Tensor, nn

from .mapping import column_position, one_hot_modality
from .residual import add_to_interpolation


class BaselineUNet(nn.Module):
    """Predict a target slice by MONAI's residual U-Net; target modality and position enter as constant channels.

    Two departures from MONAI's defaults, both in the baseline's favor. Batch normalization, because instance
    normalization subtracts what constant channels add. And the U-Net ends in features that a 1x1 convolution turns into
    the image, because its own last layer normalizes the single output channel and so loses the intensity scale (after
    200 steps on simulated persons the L1 error was 0.84 without, 0.16 with it).

    Args:
        num_modalities: M, classes of the target modality.
        in_channels: S, slices of a group.
        channels: features of each level; the slice's side must be divisible by 2^(levels - 1).
        num_res_units: residual units of each level.
        residual: as the generator's: where `same_modality` says so, add the cubic interpolation of the middle slices,
            and tell the network so by one more constant channel.

    >>> BaselineUNet(num_modalities=3, channels=(4, 8)).eval()(torch.zeros(2, 4, 16, 16)).shape
    torch.Size([2, 1, 16, 16])
    """

    def __init__(
        self,
        *,
        num_modalities: int,
        in_channels: int = 4,
        channels: Sequence[int] = (32, 64, 128, 256),
        num_res_units: int = 2,
        residual: bool = True,
    ) -> None:
        super().__init__()
        self.num_modalities = num_modalities
        self.residual = residual
        self.unet = UNet(
            spatial_dims=2,
            in_channels=in_channels + num_modalities + 1 + residual,
            out_channels=channels[0],
            channels=tuple(channels),
            strides=(2,) * (len(channels) - 1),
            num_res_units=num_res_units,
            norm="batch",
        )
        self.head = nn.Conv2d(channels[0], 1, kernel_size=1)

    def forward(
        self,
        image: Tensor,
        *,
        z: Tensor | None = None,
        modality: Tensor | None = None,
        position: Tensor | None = None,
        same_modality: Tensor | None = None,
    ) -> Tensor:
        """Predict the slice at ``position`` behind the second slice of the group.

        Args:
            image: slice groups ``(B, S, H, W)`` in [-1, 1].
            z: unused; it stands here so that the generator's callers serve this network.
            modality: target as class indices ``(B,)`` or one-hot ``(B, M)``; ``None`` for class 0.
            position: ``(B,)`` or ``(B, 1)`` in [0, 1); ``None`` for 0.
            same_modality: ``(B,)``, true where source and target modality are the same (matters only with
                ``residual``); ``None`` means nowhere.

        Returns:
            Slices ``(B, 1, H, W)``, about [-1, 1].
        """
        batch = len(image)
        classes = one_hot_modality(modality, num_modalities=self.num_modalities, batch=batch, like=image)
        position = column_position(position, batch=batch, like=image)
        same = image.new_zeros(batch, 1) if same_modality is None else same_modality.to(image).view(batch, 1)
        constants = torch.cat([classes, position, same] if self.residual else [classes, position], dim=1)
        planes = constants[:, :, None, None].expand(-1, -1, *image.shape[2:])
        output = self.head(self.unet(torch.cat([image, planes], dim=1)))
        return add_to_interpolation(output, image, position=position, same=same) if self.residual else output
