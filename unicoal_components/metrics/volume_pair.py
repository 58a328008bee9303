"""Checks of two volumes that are to be compared, with errors that give the reason."""

from __future__ import annotations

import numpy as np
import torch

Volume = torch.Tensor | np.ndarray


def finite_volume(volume: Volume, *, name: str) -> np.ndarray:
    """Return a volume as float64 array; values that are not finite cannot be measured and are an error.

    Args:
        volume: `(D, H, W)`, any scale and device; it is not changed.
        name: name of the volume in error messages.

    Raises:
        ValueError: the volume is not three-dimensional, has no voxel, or a value is NaN or infinite.

    Example:
        >>> finite_volume(torch.ones(1, 2, 2), name="target").dtype
        dtype('float64')
    """
    if isinstance(volume, torch.Tensor):
        volume = volume.detach().cpu().double().numpy()
    array = np.asarray(volume, dtype=np.float64)
    if array.ndim != 3 or not array.size:
        raise ValueError(f"{name} has shape {array.shape}; it must be (D, H, W) with at least one voxel.")
    bad = array.size - int(np.count_nonzero(np.isfinite(array)))
    if bad:
        raise ValueError(
            f"{name}: {bad} of {array.size} values are NaN or infinite; metrics need finite intensities. Check the "
            "input volume, then the checkpoint that made the prediction."
        )
    return array


def volume_pair(prediction: Volume, target: Volume) -> tuple[np.ndarray, np.ndarray]:
    """Return prediction and target as float64 arrays of one shape.

    Raises:
        ValueError: their shapes differ, or one is not a finite volume.
    """
    predicted, true = finite_volume(prediction, name="prediction"), finite_volume(target, name="target")
    if predicted.shape != true.shape:
        raise ValueError(f"prediction has shape {predicted.shape}, target {true.shape}; they must be the same grid.")
    return predicted, true


def checked_mask(mask: Volume, *, shape: tuple[int, ...], name: str = "mask") -> np.ndarray:
    """Return a mask as an array.

    Raises:
        ValueError: the mask is not bool, of another shape than the volumes, or empty.

    Example:
        >>> int(checked_mask(torch.ones(1, 2, 2, dtype=torch.bool), shape=(1, 2, 2)).sum())
        4
    """
    array = mask.detach().cpu().numpy() if isinstance(mask, torch.Tensor) else np.asarray(mask)
    if array.dtype != bool or array.shape != tuple(shape):
        raise ValueError(
            f"{name} is {array.dtype} of shape {array.shape}; it must be bool of the volumes' shape {tuple(shape)}. "
            "For a label map, write labels > 0."
        )
    if not array.any():
        raise ValueError(f"{name} is empty, so nothing would be measured. Check that it belongs to this volume.")
    return array
