"""Train the baseline U-Net on the data and tasks of the method, keep it, and find it again."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from ignite.engine import Engine, Events
from ignite.handlers import ProgressBar
from monai.data import DataLoader
from monai.engines import SupervisedTrainer
from torch import nn
from torch.utils.data import Dataset, Sampler

from ..data.atomic import atomic_path
from ..networks.unet import BaselineUNet
from .prepare_batch import PrepareSlices
from .weights import load_weights, save_weights

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
    if images is not None and images < batch_size:
        raise ValueError(f"images is {images}, less than one batch of {batch_size}; raise images or lower batch_size.")
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


def save_baseline(network: nn.Module, path: str | Path, *, settings: Mapping[str, Any]) -> None:
    """Write a U-Net's weights, and beside them (`.json`) what it takes to build it again.

    Args:
        network: the trained U-Net.
        path: file of weights, by custom `unet.pt`.
        settings: `modalities`, `in_channels`, `channels`, `residual` and whatever else shall be known of the training.
    """
    with atomic_path(Path(path).with_suffix(".json")) as partial:
        partial.write_text(json.dumps(dict(settings), indent=4) + "\n", encoding="utf-8")
    save_weights(network.state_dict(), path)


def read_settings(path: str | Path) -> dict[str, Any]:
    """Read what :func:`save_baseline` wrote beside the weights at `path`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it lacks a value.
    """
    beside = Path(path).with_suffix(".json")
    if not beside.is_file():
        raise FileNotFoundError(
            f"'{beside}' does not exist; it lies beside the weights that scripts/train_baseline.py writes, and tells "
            "what network they are of."
        )
    try:
        settings = json.loads(beside.read_text(encoding="utf-8"))
        lists = {name: list(settings[name]) for name in ("modalities", "channels")}
        return settings | lists | {"residual": bool(settings["residual"]), "in_channels": int(settings["in_channels"])}
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"'{beside}' does not describe a U-Net of scripts/train_baseline.py ({error}); train it again."
        ) from error


def load_baseline(
    *,
    path: str | Path | None,
    modalities: Sequence[str],
    in_channels: int = 4,
    device: str | torch.device | None = None,
) -> BaselineUNet | None:
    """Build the U-Net that `scripts/train_baseline.py` trained, for the rows `unet` of a report.

    Args:
        path: its `unet.pt`; `None` = no such rows, hence no network.
        modalities: of the method, in the order of their class indices; the U-Net's must be the same.
        in_channels: slices of the method's groups; the U-Net's must be as many.
        device: where it goes.

    Raises:
        FileNotFoundError: see `read_settings` and `read_weights`.
        ValueError: it was trained with other modalities or slice groups, or see these two.
    """
    if path is None:
        return None
    settings = read_settings(path)
    if settings["modalities"] != list(modalities):
        raise ValueError(
            f"the U-Net '{path}' knows the modalities {settings['modalities']}, the method {list(modalities)}; train "
            f"it with --modalities {','.join(modalities)}, so that both answer the same questions."
        )
    if settings["in_channels"] != in_channels:
        raise ValueError(
            f"the U-Net '{path}' sees groups of {settings['in_channels']} slices, the method of {in_channels}; train "
            f"it with --slice_group_size {in_channels}."
        )
    sizes = {name: settings[name] for name in ("in_channels", "channels", "residual")}
    network = BaselineUNet(num_modalities=len(modalities), **sizes)
    return load_weights(network=network, path=path, device=device)  # type: ignore[return-value]
