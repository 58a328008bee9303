"""Train and evaluate the baseline U-Net on the data, tasks and cases of the method."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from ignite.engine import Engine, Events
from ignite.handlers import ProgressBar
from monai.data import DataLoader
from monai.engines import SupervisedEvaluator, SupervisedTrainer
from monai.inferers import Inferer
from torch import nn
from torch.utils.data import Dataset, Sampler

from .case_report import CaseReport
from .prepare_batch import PrepareSlices, PrepareVolume

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
    num_workers: int = 0,
) -> dict[str, Any]:
    """Train by L1 and Adam until a budget is used up, with the learning rate falling linearly in its second half.

    Args:
        network: takes a slice group and the generator's keyword arguments; changed in place.
        dataset: training slices, as the generator gets them.
        make_sampler: makes their sampler from the number of images of an epoch.
        device: where to train.
        images: stop after this many training images.
        minutes: stop after this time; with ``images`` as well, whichever comes first.
        batch_size: images in a step.
        learning_rate: of Adam, in the first half.
        num_workers: of the data loader.

    Returns:
        ``images_seen``, ``seconds`` and the last step's ``loss``.

    Raises:
        ValueError: neither budget is given, or one is not positive.
    """
    budgets = [budget for budget in (images, minutes) if budget is not None]
    if not budgets or min(*budgets, batch_size) <= 0:
        raise ValueError(
            f"images is {images}, minutes is {minutes}, batch_size is {batch_size}; give images, minutes or both, all "
            "positive."
        )
    optimizer = torch.optim.Adam(network.parameters(), lr=learning_rate)
    loader = DataLoader(
        dataset,
        batch_size=batch_size,
        sampler=make_sampler(images or EPOCH_IMAGES),
        num_workers=num_workers,
        persistent_workers=num_workers > 0,
        # A single image has no batch statistics.
        drop_last=batch_size > 1,
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
    start = time.monotonic()

    @trainer.on(Events.ITERATION_COMPLETED)
    def follow_budget(engine: Engine) -> None:
        seconds = time.monotonic() - start
        used = max(engine.state.iteration * batch_size / (images or float("inf")), seconds / (60 * (minutes or 1e9)))
        for group in optimizer.param_groups:
            group["lr"] = learning_rate * min(1.0, max(2 * (1 - used), 0.0))
        if used >= 1:
            engine.terminate()

    ProgressBar(desc="U-Net").attach(trainer, output_transform=lambda output: {"l1": output["loss"].item()})
    trainer.run()
    seen = {"images_seen": trainer.state.iteration * batch_size, "seconds": round(time.monotonic() - start, 1)}
    logger.info("Trained on %(images_seen)d images in %(seconds).0f s", seen)
    return seen | {"loss": trainer.state.output["loss"].item()}  # type: ignore


def evaluate_baseline(
    network: nn.Module,
    *,
    cases: Dataset,
    inferer: Inferer,
    device: str | torch.device,
    output_dir: str | Path,
    baselines: Sequence[str] = (),
    panels: int = 0,
) -> None:
    """Add the rows ``unet`` to the report in ``output_dir``, beside what an evaluation of the method left there.

    Args:
        network: the trained U-Net.
        cases: a :class:`..data.cases.CaseDataset`, the same as the method's.
        inferer: a :class:`..inferers.volume.VolumeInferer`, the same as the method's.
        device: where to compute.
        output_dir: folder of the report.
        baselines: see :class:`.case_report.CaseReport`.
        panels: number of subjects to draw.
    """
    report = CaseReport(output_dir=output_dir, method="unet", baselines=baselines, panels=panels, merge=True)
    evaluator = SupervisedEvaluator(
        device=torch.device(device),
        val_data_loader=DataLoader(cases, batch_size=1),
        network=network.to(device),
        prepare_batch=PrepareVolume(),
        inferer=inferer,
        val_handlers=[report],
    )
    ProgressBar(desc="evaluation").attach(evaluator)
    evaluator.run()
