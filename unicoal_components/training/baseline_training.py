"""Training of a baseline on the data and tasks of the method."""

import logging
import time
from collections.abc import Callable
from typing import Any

import torch
from ignite.engine import Engine, Events
from ignite.handlers import ProgressBar
from monai.data import DataLoader
from monai.engines import SupervisedTrainer
from torch import nn
from torch.utils.data import Dataset, Sampler

from .prepare_batch import PrepareSlices

logger = logging.getLogger(__name__)

EPOCH_IMAGES = 1024


def train_baseline(
    network: nn.Module,
    *,
    dataset: Dataset,
    make_sampler: Callable[[int], Sampler],
    device: str | torch.device,
    images: int | None = None,
    minutes: float | None = None,
    batch_size: int = 8,
    learning_rate: float = 1e-3,
) -> dict[str, Any]:
    """Train by L1 and Adam until a budget is used up; the learning rate falls linearly in its second half.

    Time is processor time of all threads. It includes loading, which happens in this process. So networks get equal
    budgets even on a machine that is busy with other work.

    Args:
        network: takes a slice group and the generator's keyword arguments; changed in place.
        dataset: training slices, as the generator gets them.
        make_sampler: builds their sampler from the number of images of an epoch.
        device: device to train on.
        images: stop after this many training images.
        minutes: stop after this processor time; with `images` as well, whichever comes first.
        batch_size: images in a step.
        learning_rate: learning rate of Adam in the first half.

    Returns:
        `images_seen`, `seconds` of processor time and the last step's `loss`.

    Raises:
        ValueError: neither budget is given, or one is not positive.
    """
    budgets = [budget for budget in (images, minutes) if budget is not None]
    if not budgets or min(*budgets, batch_size) <= 0:
        raise ValueError(
            f"images is {images}, minutes is {minutes}, batch_size is {batch_size}; give images, minutes or both, all "
            "positive."
        )
    if images is not None and images < batch_size:
        raise ValueError(f"images is {images}, less than one batch of {batch_size}; raise images or lower batch_size.")
    optimizer = torch.optim.Adam(network.parameters(), lr=learning_rate)
    loader = DataLoader(
        dataset,
        batch_size=batch_size,
        sampler=make_sampler(images or EPOCH_IMAGES),
        num_workers=0,
        drop_last=batch_size > 1,  # a single image has no batch statistics
    )
    trainer = SupervisedTrainer(
        device=torch.device(device),
        max_epochs=1 if images else 10_000,
        train_data_loader=loader,
        network=network.to(device),
        optimizer=optimizer,
        loss_function=nn.L1Loss(),
        prepare_batch=PrepareSlices(z_dim=1),
        decollate=False,
    )
    start = time.process_time()

    @trainer.on(Events.ITERATION_COMPLETED)
    def follow_budget(engine: Engine) -> None:
        seconds = time.process_time() - start
        used = max(engine.state.iteration * batch_size / (images or float("inf")), seconds / (60 * (minutes or 1e9)))
        for group in optimizer.param_groups:
            group["lr"] = learning_rate * min(1.0, max(2 * (1 - used), 0.0))
        if used >= 1:
            engine.terminate()

    ProgressBar(desc="baseline").attach(trainer, output_transform=lambda output: {"l1": output["loss"].item()})
    trainer.run()
    seen = {"images_seen": trainer.state.iteration * batch_size, "seconds": round(time.process_time() - start, 1)}
    logger.info("Trained on %(images_seen)d images in %(seconds).0f s", seen)
    return seen | {"loss": trainer.state.output["loss"].item()}  # type: ignore
