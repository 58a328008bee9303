"""Plain residual trunk with the generator's interface: the detail path without an alias-free network."""

import torch
from torch import Tensor, nn

from .detail import DetailPath
from .inputs import complete_inputs
from .residual import add_to_interpolation, interpolate_slices, nearer_first


class ResidualTrunk(nn.Module):
    """Predict a target slice by the generator's detail path, modulated by a small network of the conditions.

    It has the inputs of the bundles' generator: the slice group, the cubic interpolation at the wanted position, the
    target modality, the position as sin and cos of 2^j π position, j = 0..3, and the acquisition of the input. Within a
    modality its output is added to the interpolation. It starts as that interpolation.

    Args:
        num_modalities: M, classes of the target modality.
        in_channels: S, slices of a group, even and at least 4.
        channels: features of the trunk, at half resolution.
        num_blocks: residual blocks.

    Raises:
        ValueError: `in_channels` is odd or below 4, or there are no channels or blocks.

    Example:
        >>> ResidualTrunk(num_modalities=3, channels=8, num_blocks=2).eval()(torch.zeros(2, 4, 16, 16)).shape
        torch.Size([2, 1, 16, 16])
    """

    def __init__(
        self,
        *,
        num_modalities: int,
        in_channels: int = 4,
        channels: int = 64,
        num_blocks: int = 6,
    ) -> None:
        super().__init__()
        if in_channels % 2 or in_channels < 4:
            raise ValueError(f"in_channels is {in_channels}; it must be even and at least 4, the slices of a group")
        self.in_channels = in_channels
        self.num_modalities = num_modalities
        self.trunk = DetailPath(
            in_channels=in_channels + 1,
            channels=channels,
            num_blocks=num_blocks,
            num_modalities=num_modalities,
            others=1,
        )

    def forward(
        self,
        image: Tensor,
        *,
        z: Tensor | None = None,
        modality: Tensor | None = None,
        position: Tensor | None = None,
        same_modality: Tensor | None = None,
        source_modality: Tensor | None = None,
        factor: Tensor | None = None,
        thickness: Tensor | None = None,
    ) -> Tensor:
        """Predict the slice at `position` after the second slice of the group.

        Args:
            image: slice groups `(B, S, R, R)` in [-1, 1], R even.
            z: unused, for compatibility with callers of the generator.
            modality: target as class indices `(B,)` or one-hot `(B, M)`; `None` for class 0.
            position: `(B,)` or `(B, 1)` in [0, 1); `None` for 0.
            same_modality: `(B,)`, true where source and target modality are the same; `None` means nowhere.
            source_modality: modality of the input, as `modality`; `None` for unknown.
            factor: thick over thin slice spacing `(B,)`, ≥ 1; `None` for 1.
            thickness: slice thickness over slice spacing `(B,)`, > 0; `None` for 1.

        Returns:
            Slices `(B, 1, R, R)`, about [-1, 1].
        """
        _, classes, position, same, acquisition = complete_inputs(
            image,
            None,
            modality,
            position,
            same_modality,
            source_modality,
            factor,
            thickness,
            in_channels=self.in_channels,
            resolution=image.shape[-1],
            z_dim=1,
            num_modalities=self.num_modalities,
        )
        interpolated = interpolate_slices(image, position)
        group, nearest = nearer_first(image, position)
        output = self.trunk(torch.cat([group, interpolated], dim=1), classes, nearest, acquisition, same)
        return add_to_interpolation(output, image, interpolated=interpolated, same=same, scale=1.0)
