"""Scalars of a trainer's output, for MONAI's logging handlers."""

from __future__ import annotations

from typing import Any

import torch

from ..keys import Keys

_CASE = (Keys.MODALITY, Keys.SOURCE_MODALITY, Keys.POSITION, Keys.FACTOR, Keys.SLICE)


def scalar_outputs(output: Any) -> dict[str, float]:
    """Return every number of a trainer's output: losses, learning rate, counts.

    It is the `output_transform` of MONAI's `TensorBoardStatsHandler` and `StatsHandler`, which plot each entry
    under its own name. After decollation every item has a copy of the numbers, so the first item has them all.

    Args:
        output: a dictionary, or a decollated list of dictionaries.

    Example:
        >>> scalar_outputs([{"image": torch.zeros(1, 8, 8), "loss": torch.tensor(0.5), "l1": 0.25, "subject": "p01"}])
        {'loss': 0.5, 'l1': 0.25}
    """
    item = output[0] if isinstance(output, list) else output
    return {name: _number(value) for name, value in item.items() if name not in _CASE and _is_number(value)}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) or (isinstance(value, torch.Tensor) and value.ndim == 0)


def _number(value: float | torch.Tensor) -> float:
    return float(value.detach() if isinstance(value, torch.Tensor) else value)
