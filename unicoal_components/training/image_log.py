"""Handler that writes training slices to TensorBoard."""

from __future__ import annotations

import os
from typing import Any

import torch
from ignite.engine import Engine, Events
from monai.utils import convert_to_tensor
from torch.utils.tensorboard import SummaryWriter

from ..datasets.batch_items import batch_items
from ..keys import Keys
from ..metrics.measure import ERROR_LIMIT
from ..runtime.distributed import rank

TAG = "source, target, prediction, error"


class SliceImages:
    """Write slices of the current batch to TensorBoard: source, target, prediction and error side by side.

    Each slice is a row. The source is the thick slice just before the target slice (the anchor, the second of a
    group of four). Images show [-1, 1] as black to white; the error is |prediction - target| / 2, white at
    `ERROR_LIMIT` of the data range.

    Args:
        log_dir: TensorBoard folder, the same as the other handlers'.
        interval: number of epochs or iterations between two images.
        epoch_level: whether the interval counts epochs; otherwise iterations.
        count: largest number of slices of the batch.

    Raises:
        ValueError: `interval` or `count` is below 1; at run time, an output without image, label or pred.
    """

    def __init__(
        self, *, log_dir: str | os.PathLike, interval: int = 1, epoch_level: bool = True, count: int = 4
    ) -> None:
        for name, value in (("interval", interval), ("count", count)):
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} is {value!r}; it must be an integer >= 1.")
        self.log_dir = str(log_dir)
        self.interval = interval
        self.epoch_level = epoch_level
        self.count = count
        self._writer: SummaryWriter | None = None

    def attach(self, engine: Engine) -> None:
        """Register with a trainer; in a distributed training only the first process writes."""
        if rank() == 0:
            event = Events.EPOCH_COMPLETED if self.epoch_level else Events.ITERATION_COMPLETED
            engine.add_event_handler(event(every=self.interval), self)
            engine.add_event_handler(Events.COMPLETED, self.close)

    def __call__(self, engine: Engine) -> None:
        """Write the current batch; the file is opened at the first write."""
        rows = [slice_row(item) for item in batch_items(engine.state.output)[: self.count]]
        if self._writer is None:
            self._writer = SummaryWriter(log_dir=self.log_dir)
        step = engine.state.epoch if self.epoch_level else engine.state.iteration
        self._writer.add_image(TAG, torch.cat(rows)[None], step)
        self._writer.flush()

    def close(self, engine: Engine) -> None:
        """Close the file; it is flushed after each write, so that a failing run loses nothing."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None


def slice_row(item: dict[str, Any]) -> torch.Tensor:
    """Return source, target, prediction and error of one training item side by side.

    Args:
        item: item with `image` `(S, H, W)`, `label` and `pred` `(1, H, W)`, in [-1, 1].

    Returns:
        `(H, 4 W)` in [0, 1].
    """
    missing = [key for key in (Keys.IMAGE, Keys.LABEL, Keys.PRED) if item.get(key) is None]
    if missing:
        raise ValueError(f"the trainer's output has no {', '.join(missing)}; SliceImages needs image, label and pred.")
    image, label, pred = (
        convert_to_tensor(item[key], dtype=torch.float32, track_meta=False).detach().cpu()
        for key in (Keys.IMAGE, Keys.LABEL, Keys.PRED)
    )
    source, target, prediction = ((x.clamp(-1, 1) + 1) / 2 for x in (image[(len(image) - 1) // 2], label[0], pred[0]))
    error = ((prediction - target).abs() / ERROR_LIMIT).clamp(0, 1)
    return torch.cat([source, target, prediction, error], dim=1)
