"""Training schedules, as functions of the images seen or of the iteration.

None of them has a counter, so that a resumed run computes the same values as one that never stopped.
"""

from typing import Any

from ignite.engine import Engine, Events
from torch.optim import Optimizer


def blur_sigma(images_seen: float, *, initial: float = 10.0, fade_images: float = 200_000) -> float:
    """Return the width of the blur on all images that the losses see, in pixels.

    σ(n) = initial · max(1 - n / fade_images, 0): early training compares coarse structure only (Alias-Free GAN, §F).

    Args:
        images_seen: training images before this iteration, ≥ 0.
        initial: σ at the start, pixels, ≥ 0; 0 = never blur.
        fade_images: images until the blur is gone; 0 = never blur. Scale it to the length of the run.

    Example:
        >>> blur_sigma(0), blur_sigma(50_000), blur_sigma(300_000)
        (10.0, 7.5, 0.0)
    """
    return initial * max(1.0 - images_seen / fade_images, 0.0) if fade_images > 0 else 0.0


def learning_rate_factor(step: float, *, constant: float, decay: float, warmup: float = 0.0) -> float:
    """Return the learning rate's factor: a linear rise from zero, a constant phase, and a linear fall to zero.

    Args:
        step: epochs (with fractions) or iterations done, ≥ 0.
        constant: end of the constant phase, in the unit of `step`.
        decay: length of the fall; 0 = no fall.
        warmup: length of the rise; 0 = none.

    Returns:
        Factor in [0, 1] on the initial learning rate.

    Example:
        >>> [learning_rate_factor(s, constant=50, decay=50) for s in (0, 50, 75, 100)]
        [1.0, 1.0, 0.5, 0.0]
    """
    rise = min(step / warmup, 1.0) if warmup > 0 else 1.0
    fall = min(max(step - constant, 0.0) / decay, 1.0) if decay > 0 else 0.0
    return rise * (1.0 - fall)


def average_half_life(images_seen: float, *, half_life_images: float = 10_000, rampup: float | None = 0.05) -> float:
    """Return the half-life of the averaged generator, in images.

    min(half_life_images, rampup · images_seen), so that short runs do not stay near their start (StyleGAN2).

    Args:
        images_seen: training images before this iteration, ≥ 0.
        half_life_images: upper limit, > 0.
        rampup: share of the images seen; `None` = the limit from the start, as in the official Uni-COAL runs.

    Example:
        >>> average_half_life(1_000), average_half_life(1_000_000)
        (50.0, 10000)
    """
    return half_life_images if rampup is None else min(half_life_images, rampup * images_seen)


def decay_from_half_life(batch_size: int, half_life_images: float) -> float:
    """Return the share of the old value after one batch, for a half-life.

    0.5^(batch_size / half_life_images); 0 for a half-life of 0.

    Example:
        >>> decay_from_half_life(16, 16)
        0.5
    """
    return 0.5 ** (batch_size / half_life_images) if half_life_images > 0 else 0.0


def r1_weight(iteration: int, *, gamma: float, interval: int = 1) -> float:
    """Return the weight of the R1 penalty in this iteration, 0 if it is left out.

    Lazy regularization (StyleGAN2, §3.1): every `interval` iterations from the first on, `interval` times as heavy.

    Args:
        iteration: number of the iteration, from 1 as ignite counts.
        gamma: weight per iteration, ≥ 0.
        interval: iterations between two penalties, ≥ 1.

    Example:
        >>> [r1_weight(i, gamma=10.0, interval=4) for i in (1, 2, 4, 5)]
        [40.0, 0.0, 0.0, 40.0]
    """
    return gamma * interval if (iteration - 1) % interval == 0 else 0.0


class LearningRateDecay:
    """Set the learning rate of all the trainer's optimizers before every iteration.

    The base rates are those of the optimizers when the trainer is built, i.e. the config's, also after a restart.
    The official code steps schedulers of optimizers that it has replaced, so that its rate never falls.

    Args:
        constant_epochs: epochs at the full rate.
        decay_epochs: epochs of the linear fall to zero that follows; 0 = no fall.
        warmup_epochs: epochs of the linear rise from zero before, part of `constant_epochs`; 0 = none.

    Raises:
        ValueError: a length is negative.
    """

    def __init__(self, *, constant_epochs: float = 50, decay_epochs: float = 50, warmup_epochs: float = 0) -> None:
        lengths = {"constant_epochs": constant_epochs, "decay_epochs": decay_epochs, "warmup_epochs": warmup_epochs}
        for name, value in lengths.items():
            if value < 0:
                raise ValueError(f"{name} is {value}; it must be ≥ 0")
        self.constant_epochs = constant_epochs
        self.decay_epochs = decay_epochs
        self.warmup_epochs = warmup_epochs
        self.base_rates: list[tuple[Optimizer, list[float]]] = []

    def attach(self, engine: Engine) -> None:
        """Remember the base rates and act at the start of every iteration of `engine`."""
        trainer: Any = engine
        optimizers = [trainer.optimizer, getattr(trainer, "discriminator_optimizer", None)]
        self.base_rates = [(o, [float(group["lr"]) for group in o.param_groups]) for o in optimizers if o is not None]
        engine.add_event_handler(Events.ITERATION_STARTED, self)

    def __call__(self, engine: Engine) -> None:
        """Set the rates of this iteration."""
        epochs_done = (engine.state.iteration - 1) / engine.state.epoch_length  # type: ignore[operator]
        factor = learning_rate_factor(
            epochs_done, constant=self.constant_epochs, decay=self.decay_epochs, warmup=self.warmup_epochs
        )
        for optimizer, rates in self.base_rates:
            for group, rate in zip(optimizer.param_groups, rates, strict=True):
                group["lr"] = rate * factor
