"""PSNR, SSIM and MAE of a volume over the whole field of view."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from monai.handlers import IgniteMetricHandler
from monai.metrics import PSNRMetric, SSIMMetric
from monai.utils import convert_to_tensor

from ..keys import Keys

DATA_RANGE = 1.0
SSIM_WINDOW = 11
SSIM_CHUNK = 16

Volume = torch.Tensor | np.ndarray


def unit_range(images: Volume, *, name: str = "images") -> torch.Tensor:
    """Clip images in [-1, 1] and map them to [0, 1], the range in which everything is measured.

    Clipping is what a viewer or an integer file does to values beyond the range; without it an overshoot that nobody
    sees would count. Values that are not finite have no quality, so they are refused instead of left out of a mean.

    Args:
        images: intensities, nominally in [-1, 1], any shape.
        name: how an error message calls them.

    Raises:
        ValueError: a value is NaN or infinite.

    >>> unit_range(torch.tensor([-2.0, -1.0, 0.0, 1.0])).tolist()
    [0.0, 0.0, 0.5, 1.0]
    """
    tensor = convert_to_tensor(images, dtype=torch.float32, track_meta=False).detach()
    bad = int((~torch.isfinite(tensor)).sum())
    if bad:
        raise ValueError(
            f"{name}: {bad} of {tensor.numel()} values are NaN or infinite; metrics need finite intensities in "
            "[-1, 1]. Check the input volume, then the checkpoint that made the prediction."
        )
    return (tensor.clamp(-1.0, 1.0) + 1.0) / 2.0


def image_quality(*, prediction: Volume, target: Volume) -> dict[str, float]:
    """Measure a predicted volume against the true one over the whole field of view, background included.

    Both are clipped to [-1, 1] and mapped to [0, 1] by the same constant map, so the data range is 1 and neither is
    rescaled to itself. With N voxels p of the prediction and t of the target::

        MAE  = 1/N sum |p - t|
        PSNR = -10 log10(1/N sum (p - t)^2)        in dB, over the volume; infinite for equal volumes
        SSIM = mean over slices of the 2D SSIM (Wang et al., IEEE TIP 2004), Gaussian window 11, sigma 1.5

    SSIM is MONAI's ``SSIMMetric``, which equals scikit-image's with ``gaussian_weights=True`` and
    ``use_sample_covariance=False``. Empty background raises all three: compare only volumes of one field of view.

    Args:
        prediction: ``(K, H, W)`` in [-1, 1], H and W at least 11.
        target: the truth, same shape and range.

    Returns:
        ``psnr`` in dB, ``ssim`` in [-1, 1], ``mae`` in [0, 1].

    Raises:
        ValueError: shapes differ, are not ``(K, H, W)`` or are too small, or a value is not finite.

    >>> quality = image_quality(prediction=np.full((1, 16, 16), 0.2), target=np.zeros((1, 16, 16)))
    >>> round(quality["psnr"], 3), round(quality["mae"], 3)
    (20.0, 0.1)
    """
    predicted, true = unit_range(prediction, name="prediction"), unit_range(target, name="target")
    if predicted.shape != true.shape:
        raise ValueError(
            f"prediction has shape {tuple(predicted.shape)}, target {tuple(true.shape)}; they must be the same grid."
        )
    if true.ndim != 3 or min(true.shape[1:]) < SSIM_WINDOW or not len(true):
        raise ValueError(
            f"prediction and target have shape {tuple(true.shape)}; allowed is (K, H, W) with K >= 1 slices and "
            f"H, W >= {SSIM_WINDOW}, the window of SSIM."
        )
    error = (predicted - true).double()
    return {"psnr": _psnr(error), "ssim": _ssim(predicted, true), "mae": float(error.abs().mean())}


def _psnr(error: torch.Tensor) -> float:
    return float(10.0 * torch.log10(DATA_RANGE**2 / error.square().mean()))


def _ssim(predicted: torch.Tensor, true: torch.Tensor) -> float:
    """Average the 2D SSIM over slices, a few slices at a time to bound the memory."""
    pairs = zip(predicted[:, None].split(SSIM_CHUNK), true[:, None].split(SSIM_CHUNK), strict=True)
    slices = [SSIMMetric(spatial_dims=2, data_range=DATA_RANGE)(p, t) for p, t in pairs]
    return float(torch.cat([torch.as_tensor(s).flatten() for s in slices]).double().mean())


def prediction_and_label(output: Any) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """Take predictions and labels, mapped to [0, 1], from the output of a MONAI engine, decollated or not.

    Args:
        output: a list of dictionaries (decollated), or one dictionary of batches, with the keys ``pred`` and
            ``label`` in [-1, 1].
    """
    if isinstance(output, dict):
        predicted, true = output[Keys.PRED], output[Keys.LABEL]
    else:
        predicted, true = [item[Keys.PRED] for item in output], [item[Keys.LABEL] for item in output]
    return [unit_range(x, name=Keys.PRED) for x in predicted], [unit_range(x, name=Keys.LABEL) for x in true]


class PSNR(IgniteMetricHandler):
    """Report the mean over cases of the PSNR in dB as an engine's metric, data range 1 after mapping [-1, 1] to [0, 1].

    It is MONAI's ``PSNRMetric`` behind :func:`prediction_and_label`: the same clipping, range and formula as
    :func:`image_quality`, for volumes (evaluator) and slices (trainer), with or without decollation.

    Args:
        output_transform: takes the engine's output to two lists of channel-first tensors in [0, 1]; ``None`` is
            :func:`prediction_and_label`.
        save_details: keep the value of every case in ``engine.state.metric_details``.
    """

    def __init__(self, *, output_transform: Callable[[Any], Any] | None = None, save_details: bool = True) -> None:
        super().__init__(
            metric_fn=PSNRMetric(max_val=DATA_RANGE),
            output_transform=prediction_and_label if output_transform is None else output_transform,
            save_details=save_details,
        )
