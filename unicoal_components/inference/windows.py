"""Prediction of slices by overlapping windows of the network's size."""

from collections.abc import Callable
from typing import Any, cast

import torch
from monai.inferers import sliding_window_inference
from torch import Tensor

from ..keys import BLANK

PRECISIONS = ("float32", "bfloat16")


def predict_windows(
    groups: Tensor,
    positions: Tensor,
    network: Callable[..., Tensor],
    conditions: dict[str, Any],
    *,
    resolution: int,
    batch_size: int,
    overlap: float,
    precision: str,
    whole_batches: bool,
    with_error: bool,
) -> Tensor:
    """Run the network over windows of slice groups and blend them.

    MONAI mixes windows of several slices in a batch, so each carries its position in an extra constant channel. It is
    read at the center, where there is no padding.

    Args:
        groups: slice groups `(B, S, H, W)` in [-1, 1].
        positions: position of the wanted slice in each group, `(B,)`.
        network: see `VolumeInferer.__call__`.
        conditions: its other conditions, `(1, ...)` each or `None`, equal for all slices.
        resolution: side R of a window.
        batch_size: windows in one call of the network, also for the following see `VolumeInferer`.
        overlap: overlap of adjacent windows as a fraction of R.
        precision: one of `PRECISIONS`.
        whole_batches: whether to fill the last batch.
        with_error: whether the expected error is requested too.

    Returns:
        `(B, 1, H, W)`, or `(B, 2, H, W)` with the error.

    Raises:
        ValueError: the network does not give the error that is requested.
    """

    def predictor(windows: Tensor) -> Tensor:
        center = (resolution - 1) // 2  # inside every slice, even of a single pixel
        filled = (windows[:, :-1] > BLANK).flatten(1).any(1)
        output = torch.full_like(windows[:, : 1 + with_error], BLANK)
        output[:, 1:] = 0  # no expected error in blank windows
        if filled.any():
            windows = windows[filled]
            count = len(windows)
            if whole_batches:
                windows = windows[torch.arange(max(count, batch_size), device=windows.device) % count]
            repeated: dict[str, Any] = {name: _repeat(value, len(windows)) for name, value in conditions.items()}
            if with_error:
                repeated["with_error"] = True
            position = windows[:, -1, center, center]
            with autocast_to(precision, windows.device):
                slices = network(windows[:, :-1].contiguous(), position=position, **repeated)
            if slices.shape[1] != output.shape[1]:
                raise ValueError(
                    f"the network gives {slices.shape[1]} channels, but {output.shape[1]} are needed with "
                    f"with_error {with_error}: give a network that predicts its error, or set it to false."
                )
            output[filled] = slices[:count].to(output.dtype)
        return output

    channel = positions[:, None, None, None].expand(-1, 1, *groups.shape[2:])
    windowed = max(groups.shape[2:]) > resolution
    blended = sliding_window_inference(
        torch.cat([groups, channel], dim=1),
        roi_size=(resolution, resolution),
        sw_batch_size=batch_size,
        predictor=predictor,
        overlap=overlap,
        mode="gaussian" if windowed else "constant",
        cval=BLANK,
    )
    return cast(Tensor, blended)


def autocast_to(precision: str, device: torch.device) -> torch.autocast:
    """Return a context in which `device` runs dense convolutions in `precision`, one of `PRECISIONS`."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bfloat16")


def _repeat(value: Tensor | None, count: int) -> Tensor | None:
    """Repeat the condition of the volume for every window: (1, ...) → (count, ...)."""
    return None if value is None else value.expand(count, *value.shape[1:])
