"""Downstream measure: Dice and volumes of a segmenter's labels, prediction against truth."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..metrics.measure import CaseVolumes, Column
from .segmenter import HINT, Segmenter


def compare_labels(
    *, prediction: np.ndarray, target: np.ndarray, spacing: Sequence[float] = (1.0, 1.0, 1.0)
) -> list[dict[str, float]]:
    """Compare two label maps class by class.

    Dice = 2 |A ∩ B| / (|A| + |B|) of the voxels A and B of a class (Dice, Ecology 1945). It is 0 if only one map
    has the class; a class that neither has is not listed, nor is the background, 0.

    Args:
        prediction: integer labels `(D, H, W)`.
        target: integer labels of the truth, of the same shape.
        spacing: voxel size in mm.

    Returns:
        A row for each class: `class`, `dice`, `volume_prediction_ml` and `volume_truth_ml`.

    Raises:
        ValueError: the shapes differ, or labels are not integers >= 0.

    Example:
        >>> a, b = np.array([[[0, 1, 1, 2]]]), np.array([[[0, 1, 2, 2]]])
        >>> [(row["class"], round(row["dice"], 3)) for row in compare_labels(prediction=a, target=b)]
        [(1, 0.667), (2, 0.667)]
    """
    if prediction.shape != target.shape or any(x.dtype.kind not in "iu" or x.min() < 0 for x in (prediction, target)):
        raise ValueError(
            f"maps are {prediction.dtype} {prediction.shape} and {target.dtype} {target.shape}; both must be integer "
            "labels >= 0 of one shape."
        )
    size = int(max(prediction.max(), target.max())) + 1
    counts = [np.bincount(labels.ravel(), minlength=size) for labels in (prediction, target)]
    common = np.bincount(target[prediction == target].ravel(), minlength=size)
    milliliters = float(np.prod(spacing)) / 1000
    return [
        {
            "class": label,
            "dice": float(2 * common[label] / (counts[0][label] + counts[1][label])),
            "volume_prediction_ml": float(counts[0][label] * milliliters),
            "volume_truth_ml": float(counts[1][label] * milliliters),
        }
        for label in range(1, size)
        if counts[0][label] or counts[1][label]
    ]


class DownstreamDice:
    """Dice and volume error between a frozen segmenter's labels of the prediction and of the truth.

    They measure whether the segmented anatomy is preserved, not whether the segmentation is right. `dice` is the mean
    over the classes in the truth's labels, `volume_error` the mean over them of |V_prediction - V_truth| / V_truth
    in percent; both are NaN if the truth's labels have no class. All slices count, as a segmenter needs a volume.

    Args:
        segmenter: see `Segmenter`; `None` leaves the columns empty.
        device: where to compute; `None` = the CPU.

    Attributes:
        details: rows of `compare_labels` for the last case.
    """

    columns = (
        Column(name="dice", label="Dice"),
        Column(name="volume_error", label="volume error", unit="%", better="lower", digits=1),
    )

    def __init__(
        self,
        *,
        segmenter: str | Callable[[Tensor], Any] | None = None,
        device: str | torch.device | None = None,
    ) -> None:
        self.segmenter = None if segmenter is None else Segmenter(segmenter, device=device)
        self.note = "" if segmenter is not None else f"give --segmenter NAME: {HINT.removeprefix('give ')}"
        self.details: list[dict[str, float]] = []
        self._truth: tuple[np.ndarray, np.ndarray] | None = None

    def __call__(self, case: CaseVolumes) -> dict[str, float]:
        """Return `dice` and `volume_error`."""
        if self.segmenter is None:
            return {"dice": float("nan"), "volume_error": float("nan")}
        self.details = compare_labels(
            prediction=self.segmenter(np.moveaxis(case.prediction, 0, case.axis)),
            target=self._segment_truth(case.target, case.axis),
            spacing=case.spacing,
        )
        true = [row for row in self.details if row["volume_truth_ml"] > 0]
        if not true:
            return {"dice": float("nan"), "volume_error": float("nan")}
        changes = [abs(row["volume_prediction_ml"] / row["volume_truth_ml"] - 1) for row in true]
        return {"dice": float(np.mean([row["dice"] for row in true])), "volume_error": 100 * float(np.mean(changes))}

    def _segment_truth(self, target: np.ndarray, axis: int = 0) -> np.ndarray:
        """Segment the truth once for all methods of a case, on the file's axes, which the segmenter expects."""
        if self._truth is None or self._truth[0] is not target:
            self._truth = (target, self.segmenter(np.moveaxis(target, 0, axis)))  # type: ignore[misc]
        return self._truth[1]
