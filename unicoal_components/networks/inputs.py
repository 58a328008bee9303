"""Checks and defaults of a generator's inputs."""

import torch
from torch import Tensor

from .mapping import column_position, one_hot_modality

Conditions = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]


def complete_inputs(
    image: Tensor,
    z: Tensor | None,
    modality: Tensor | None,
    position: Tensor | None,
    same_modality: Tensor | None,
    source_modality: Tensor | None,
    factor: Tensor | None,
    thickness: Tensor | None,
    *,
    in_channels: int,
    resolution: int,
    z_dim: int,
    num_modalities: int,
) -> Conditions:
    """Return the conditions of a generator, all of the dtype and on the device of the image.

    Written in the subset of Python that `torch.jit.script` supports, so that an exported network accepts and rejects
    the same inputs (but only one image size).

    Args:
        image: slice groups `(B, S, R, R)`.
        z: latent, see `Generator.forward`, also for the following.
        modality: target modality.
        position: position of the wanted slice.
        same_modality: whether source and target are of the same modality.
        source_modality: modality of the input.
        factor: thick over thin slice spacing.
        thickness: slice thickness over slice spacing.
        in_channels: slices S of a group.
        resolution: resolution R.
        z_dim: channels of the latent.
        num_modalities: number of modalities M.

    Returns:
        Latent `(B, z_dim)`, modality one-hot `(B, M)`, position `(B, 1)`, same modality `(B, 1)` as 0 or 1, and the
        acquisition `(B, M + 2)`: source modality one-hot (zeros if it is not given), half the octaves of the factor,
        and the relative excess of the thickness over the spacing.

    Raises:
        ValueError: a shape does not fit the network, or an index is no class (`torch.jit.Error` if scripted).
    """
    size = [in_channels, resolution, resolution]
    if image.ndim != 4 or list(image.shape[1:]) != size:
        raise ValueError(
            f"image must have the shape (B, {in_channels}, {resolution}, {resolution}), got {list(image.shape)}"
        )
    batch = image.shape[0]
    if z is None:
        z = image.new_ones([batch, z_dim])
    elif list(z.shape) != [batch, z_dim]:
        raise ValueError(f"z must have the shape ({batch}, {z_dim}), got {list(z.shape)}")
    modality = one_hot_modality(modality, num_modalities=num_modalities, batch=batch, like=image)
    position = column_position(position, batch=batch, like=image)
    same = image.new_zeros([batch, 1]) if same_modality is None else same_modality.to(image).view(batch, 1)
    if source_modality is None:
        source = image.new_zeros([batch, num_modalities])
    else:
        source = one_hot_modality(source_modality, num_modalities=num_modalities, batch=batch, like=image)
    octaves = image.new_zeros([batch, 1]) if factor is None else factor.to(image).view(batch, 1).log2()
    excess = image.new_zeros([batch, 1]) if thickness is None else thickness.to(image).view(batch, 1) - 1
    acquisition = torch.cat([source, octaves / 2, excess], dim=1)
    return z.to(image), modality, position, same, acquisition


def check_error_output(*, requested: bool, available: bool) -> None:
    """Check that a requested error is predicted by the network; scripted like `complete_inputs`.

    Args:
        requested: whether the caller requests the error.
        available: whether the network predicts it.

    Raises:
        ValueError: the error is requested but not available (`torch.jit.Error` if scripted).
    """
    if requested and not available:
        raise ValueError(
            "this network does not predict its error (error_output is false); give weights of a network that does, "
            "with error_output true, or ask for no error map"
        )


def with_conditions(images: Tensor, *conditions: Tensor) -> Tensor:
    """Join images `(B, C, H, W)` and conditions, each `(B, D)`, as constant images: `(B, C + all D, H, W)`."""
    constants = torch.cat(conditions, dim=1)[:, :, None, None].expand(-1, -1, *images.shape[2:])
    # joining loses the order in memory; with channels last a CPU takes a quarter less time for a U-Net
    return torch.cat([images, constants], dim=1).contiguous(memory_format=torch.channels_last)
