"""Conversion of a batch's entries into a network's arguments."""

from typing import Any

import torch
from monai.engines import PrepareBatch
from monai.utils import convert_to_tensor

from ..keys import Keys

Prepared = tuple[torch.Tensor, torch.Tensor | None, tuple, dict[str, Any]]


class PrepareSlices(PrepareBatch):
    """Prepare slices for training: images, and the generator's conditions.

    Args:
        z_dim: length of the latent code z, drawn from N(0, I) by torch's global random state, ≥ 1; `None` = the
            network's fixed code, as in inference: without an adversarial loss a random code is only noise.
        with_error: request the network's predicted error too.

    Raises:
        ValueError: `z_dim` is not positive, or (on call) the batch lacks an entry, which is named.
    """

    def __init__(self, *, z_dim: int | None, with_error: bool = False) -> None:
        if z_dim is not None and z_dim < 1:
            raise ValueError(f"z_dim is {z_dim}; it must be ≥ 1, the z_dim of the network")
        self.z_dim = z_dim
        self.with_error = with_error

    def __call__(
        self,
        batchdata: dict[str, Any],
        device: str | torch.device | None = None,
        non_blocking: bool = False,
        **kwargs: Any,
    ) -> Prepared:
        """Move the batch to the device.

        Args:
            batchdata: source slices (B, S, H, W), target slices (B, 1, H, W), both modality indices, position,
                factor and thickness (B,).
            device: device to move to; `None` = do not move.
            non_blocking: see `torch.Tensor.to`.
            **kwargs: further arguments of `torch.Tensor.to`.

        Returns:
            image, label, no positional arguments, and the generator's keyword arguments. `same_modality` (B,) is true
            where source and target modality are the same.
        """
        names = (Keys.IMAGE, Keys.LABEL, Keys.MODALITY, Keys.SOURCE_MODALITY, Keys.POSITION)
        image, label, modality, source_modality, position, factor, thickness = (
            _entry(batchdata, name, device, non_blocking, kwargs) for name in (*names, Keys.FACTOR, Keys.THICKNESS)
        )
        conditions: dict[str, Any] = {
            "z": None if self.z_dim is None else torch.randn(len(image), self.z_dim, device=image.device),
            "modality": modality,
            "position": position,
            "same_modality": source_modality == modality,
            "source_modality": source_modality,
            "factor": factor,
            "thickness": thickness,
        }
        if self.with_error:
            conditions["with_error"] = True
        return image, label, (), conditions


class PrepareVolume(PrepareBatch):
    """Prepare one thick volume for the volume inferer, with its truth if there is one."""

    def __call__(
        self,
        batchdata: dict[str, Any],
        device: str | torch.device | None = None,
        non_blocking: bool = False,
        **kwargs: Any,
    ) -> Prepared:
        """Move the batch to the device.

        Args:
            batchdata: thick volume (1, 1, N, H, W); modality, source modality and factor (1,); optionally thickness
                (1,), planes (1,), the thin truth (1, 1, K, H, W) and the indices (1, K) of the thin slices wanted.
            device: device to move to; `None` = do not move.
            non_blocking: see `torch.Tensor.to`.
            **kwargs: further arguments of `torch.Tensor.to`.

        Returns:
            image, label (or `None`), no positional arguments, and the inferer's keyword arguments.
        """
        wanted = (Keys.MODALITY, Keys.SOURCE_MODALITY, Keys.FACTOR)
        conditions = {name: _entry(batchdata, name, device, non_blocking, kwargs) for name in wanted}
        for name in (Keys.INDICES, Keys.THICKNESS, Keys.PLANES):
            if name in batchdata:
                conditions[name] = _entry(batchdata, name, device, non_blocking, kwargs)
        image = _entry(batchdata, Keys.IMAGE, device, non_blocking, kwargs)
        has_label = batchdata.get(Keys.LABEL) is not None
        label = _entry(batchdata, Keys.LABEL, device, non_blocking, kwargs) if has_label else None
        return image, label, (), conditions


def _entry(
    batchdata: dict[str, Any], name: str, device: str | torch.device | None, non_blocking: bool, options: dict[str, Any]
) -> torch.Tensor:
    """Return one entry as a plain tensor on the device."""
    if name not in batchdata:
        raise ValueError(f"the batch has no {name!r}, only {sorted(map(str, batchdata))}; check the data's transforms")
    tensor = convert_to_tensor(batchdata[name], track_meta=False)
    return tensor.to(device=device, non_blocking=non_blocking, **options)
