"""Split a batch or output of a MONAI engine into items."""

from __future__ import annotations

from typing import Any

from monai.data import decollate_batch


def batch_items(data: Any) -> list[dict[str, Any]]:
    """Return one dictionary per item, from a decollated list or from a dictionary of batches.

    Args:
        data: list of items, or dictionary of batched values.

    Example:
        >>> import torch
        >>> [float(item["psnr"]) for item in batch_items({"psnr": torch.tensor([20.0, 30.0])})]
        [20.0, 30.0]
    """
    return data if isinstance(data, list) else decollate_batch(data)
