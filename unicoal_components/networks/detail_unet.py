"""Detail path across modalities: a U-Net that adds to the alias-free output."""

import torch
from monai.networks.nets import UNet
from torch import Tensor, nn

from .detail import error_layers, silent
from .inputs import with_conditions

WIDTHS = (0.5, 1, 2, 3)
"""Features of the U-Net's levels, at 1/2, 1/4, 1/8 and 1/8 of the image's side, in parts of `channels`."""


class DetailUNet(nn.Module):
    """Predict what the alias-free part lacks across modalities; it starts with zeros.

    MONAI's residual U-Net, with the conditions as constant images. It has no normalization, so that a slice does not
    depend on the others of its batch, and a bad batch leaves no statistics behind. Weights that were trained with batch
    normalization fit once that is folded into the convolutions.

    Args:
        in_channels: number of input images; the last one is the alias-free output.
        channels: features of the second level, see `WIDTHS`; at least 2.
        num_modalities: number of modalities M of the conditions.
        error_output: predict the error's scale as a second image, from the detached features, so that its training has
            no effect on the first image. It is averaged over 4×4 pixels, so that the grid of the last two upsamplings,
            every 4 and every 2 pixels, cannot be seen in it.

    Raises:
        ValueError: if there are fewer than two channels.
    """

    def __init__(self, *, in_channels: int, channels: int, num_modalities: int, error_output: bool = False) -> None:
        super().__init__()
        if channels < 2:
            raise ValueError(f"the detail path has {channels} channels; give 2 or more, or detail_channels 0 for none")
        widths = [int(width * channels) for width in WIDTHS]
        self.unet = UNet(
            spatial_dims=2,
            in_channels=in_channels + 2 * num_modalities + 3,
            out_channels=widths[0],
            channels=widths,
            strides=(2, 2, 2),
            num_res_units=2,
            norm=None,  # type: ignore[arg-type]  # MONAI knows it, its annotation does not
        )
        self.tail = silent(nn.Conv2d(widths[0] + 1, 1, kernel_size=1))
        self.error_tail = error_layers(widths[0], outputs=1) if error_output else None
        self.without_grid = nn.Sequential(nn.ReplicationPad2d(2), nn.AvgPool2d(4, stride=1), nn.AvgPool2d(2, stride=1))

    def forward(self, images: Tensor, modality: Tensor, position: Tensor, acquisition: Tensor) -> Tensor:
        """Map images `(B, in, H, W)` under conditions to `(B, 1 or 2, H, W)`, H and W multiples of 8.

        Args:
            images: input images, about [-1, 1].
            modality: target modality, one-hot `(B, M)`.
            position: `(B, 1)` in [0, 1).
            acquisition: `(B, M + 2)`, see `complete_inputs`.
        """
        features = self.unet(with_conditions(images, modality, position, acquisition))
        detail = self.tail(torch.cat([features, images[:, -1:]], dim=1))
        if self.error_tail is None:
            return detail
        return torch.cat([detail, self.without_grid(self.error_tail(features.detach()))], dim=1)
