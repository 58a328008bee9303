"""PSNR of an engine's output over the whole field of view, to monitor a training at low cost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from monai.handlers import IgniteMetricHandler
from monai.metrics import PSNRMetric
from monai.utils import convert_to_tensor

from ..keys import Keys

DATA_RANGE = 1.0
HIGHEST = 100.0
"""Upper limit for one image in dB: a perfect one, such as a crop outside the head, would make the mean infinite."""


def unit_range(images: torch.Tensor | np.ndarray, *, name: str = "images") -> torch.Tensor:
    """Clip images in [-1, 1] and map them to [0, 1].

    Clipping is what a viewer or an integer file does to values outside the range; without it an invisible overshoot
    would count. Values that are not finite cannot be measured, so they are an error instead of omitted from a mean.

    Args:
        images: intensities, nominally in [-1, 1], any shape.
        name: name of the images in error messages.

    Raises:
        ValueError: a value is NaN or infinite.

    Example:
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


def prediction_and_label(output: Any) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """Return predictions and labels, mapped to [0, 1], of the output of a MONAI engine, decollated or not.

    Args:
        output: a list of dictionaries (decollated), or one dictionary of batches, with the keys `pred` and
            `label` in [-1, 1]. A second channel of the prediction, the standard deviation, is ignored.
    """
    if isinstance(output, dict):
        predicted, true = output[Keys.PRED], output[Keys.LABEL]
    else:
        predicted, true = [item[Keys.PRED] for item in output], [item[Keys.LABEL] for item in output]
    return [unit_range(x[:1], name=Keys.PRED) for x in predicted], [unit_range(x, name=Keys.LABEL) for x in true]


class _FinitePSNR(PSNRMetric):
    """MONAI's `PSNRMetric`, limited to `HIGHEST`."""

    def _compute_metric(self, y_pred: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return super()._compute_metric(y_pred, y).clamp(max=HIGHEST)


class PSNR(IgniteMetricHandler):
    """Report the mean over cases of the PSNR in dB as an engine's metric, data range 1 after mapping [-1, 1] to [0, 1].

    It is MONAI's `PSNRMetric`, at most 100 dB per image, after `prediction_and_label`, for volumes (evaluator)
    and slices (trainer), with or without decollation: -10 log10 of the mean squared error over the whole field of view,
    background included. The protocols of a report (`strict`, `paper`) are more informative and slower.

    Args:
        output_transform: converts the engine's output into two lists of channel-first tensors in [0, 1]; `None` is
            `prediction_and_label`.
        save_details: keep the value of every case in `engine.state.metric_details`.
    """

    def __init__(self, *, output_transform: Callable[[Any], Any] | None = None, save_details: bool = True) -> None:
        super().__init__(
            metric_fn=_FinitePSNR(max_val=DATA_RANGE),
            output_transform=prediction_and_label if output_transform is None else output_transform,
            save_details=save_details,
        )
