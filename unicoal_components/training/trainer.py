"""Adversarial training of Uni-COAL as a MONAI trainer."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from ignite.engine import Events
from ignite.metrics import Metric
from monai.engines import SupervisedTrainer
from monai.engines.utils import IterationEvents
from monai.engines.workflow import Workflow
from monai.inferers import Inferer
from monai.transforms import Transform
from torch import nn
from torch.optim import Optimizer
from torch.utils.data import DataLoader

from .. import interruption
from ..keys import Keys
from ..losses.objective import SynthesisObjective, Terms, blur_images
from ..runtime.distributed import average_gradients, broadcast_state, unwrap, world_size
from . import schedules
from .averages import AveragedGenerator, InputStatistics
from .gradients import NonFiniteGuard, replace_nonfinite_gradients

CONDITIONS = (Keys.MODALITY, Keys.POSITION)


class UniCOALTrainer(SupervisedTrainer):
    """Train a generator (`network`) against a discriminator on one shared forward of the generator.

    An iteration: generator forward; discriminator step on the detached fake; generator step with the discriminator
    frozen; non-finite gradients replaced and counted; averages updated. MONAI's events, inferer, post-processing and
    metrics work as in `SupervisedTrainer`; MONAI's `GanTrainer` and `AdversarialTrainer` step the generator first and
    do not support R1. All schedules are functions of the iteration, so that a restart changes nothing.

    `engine.state.output` holds image, label, pred, the generator's loss as `loss`, every part of both losses, and
    `blur_sigma`, `learning_rate`, `nonfinite_gradients`: floats, fetched from the device once per iteration. NaN in the
    generator's output is replaced by -1 for metrics and images: it is counted, but one bad batch does not end the
    training.

    Under `torch.distributed` the discriminator is never wrapped (its gradients are averaged here, as R1 differentiates
    twice). The generator may be wrapped in `DistributedDataParallel`; with detail paths it then needs
    `find_unused_parameters=True`, as all slices of a batch may be within a modality.

    Args:
        device: device to train on.
        max_epochs: number of epochs, ≥ 1.
        train_data_loader: loader with a `SliceSampler`, whose epoch the base class sets.
        network: generator; called with the keyword arguments that `prepare_batch` returns.
        optimizer: optimizer of the generator.
        objective: losses and their weights.
        prepare_batch: see `PrepareSlices`; if the network predicts its error too, it is the second channel.
        discriminator: takes source and target slices stacked, and the entries `modality` and `position` of the same
            keyword arguments; `None` only with `adversarial_weight` 0.
        discriminator_optimizer: optimizer of the discriminator.
        average: averaged generator, updated in every iteration; `None` = no average.
        adversarial_start_images: images seen before the discriminator and the adversarial term start; until then they
            are not computed.
        r1_gamma: weight of the R1 penalty per iteration, ≥ 0.
        r1_interval: iterations between two R1 penalties, each `r1_interval` times as heavy, ≥ 1.
        blur_initial_sigma: width of the blur on all images that the losses see, at the start, in pixels.
        blur_fade_images: images until the blur is gone.
        magnitude_half_life_images: half-life of the layers' `magnitude_ema`.
        max_gradient_norm: largest norm of the generator's gradient, for each group of parameters separately; larger
            ones are scaled down, so that an outlier batch has a limited effect. `None` = no limit.
        nonfinite_patience: consecutive iterations with non-finite gradients that end the training.
        epoch_length: iterations per epoch; `None` = the length of the loader.
        inferer: calls the network; `None` = a direct call.
        postprocessing: transform of every item of the output.
        key_train_metric: name → metric, the metric to compare by.
        additional_metrics: name → metric, further metrics.
        train_handlers: ignite handlers, attached in this order.
        amp: run both networks in bfloat16 where autocast allows (its range needs no gradient scaling); R1 stays in
            float32.
        decollate: split the output into items before post-processing.
        non_blocking: copy batches to the device asynchronously.

    Raises:
        ValueError: an adversarial weight without a discriminator and its optimizer, a number out of range, or an
            epoch shorter than one batch.
    """

    def __init__(
        self,
        *,
        device: str | torch.device,
        max_epochs: int,
        train_data_loader: Iterable | DataLoader,
        network: nn.Module,
        optimizer: Optimizer,
        objective: SynthesisObjective,
        prepare_batch: Callable,
        discriminator: nn.Module | None = None,
        discriminator_optimizer: Optimizer | None = None,
        average: AveragedGenerator | None = None,
        adversarial_start_images: int = 0,
        r1_gamma: float = 10.0,
        r1_interval: int = 1,
        blur_initial_sigma: float = 10.0,
        blur_fade_images: float = 200_000,
        magnitude_half_life_images: float = 20_000,
        max_gradient_norm: float | None = None,
        nonfinite_patience: int = 10,
        epoch_length: int | None = None,
        inferer: Inferer | None = None,
        postprocessing: Transform | None = None,
        key_train_metric: dict[str, Metric] | None = None,
        additional_metrics: dict[str, Metric] | None = None,
        train_handlers: Sequence | None = None,
        amp: bool = False,
        decollate: bool = True,
        non_blocking: bool = False,
    ) -> None:
        _check_range("r1_interval", r1_interval, lowest=1)
        _check_range("r1_gamma", r1_gamma)
        _check_range("blur_initial_sigma", blur_initial_sigma)
        _check_range("blur_fade_images", blur_fade_images)
        _check_range("adversarial_start_images", adversarial_start_images)
        if objective.adversarial_weight > 0 and (discriminator is None or discriminator_optimizer is None):
            raise ValueError(
                f"adversarial_weight is {objective.adversarial_weight} but discriminator or discriminator_optimizer "
                "is missing; give both, or set adversarial_weight to 0"
            )
        self.network, self.optimizer = network, optimizer  # needed by handlers, which attach in the base constructor
        self.objective = objective.to(device)
        self.discriminator = discriminator if objective.adversarial_weight > 0 else None
        self.discriminator_optimizer = discriminator_optimizer if objective.adversarial_weight > 0 else None
        self.average = average
        self.adversarial_start_images = adversarial_start_images
        self.r1_gamma, self.r1_interval = r1_gamma, r1_interval
        self.blur_initial_sigma, self.blur_fade_images = blur_initial_sigma, blur_fade_images
        if max_gradient_norm is not None and max_gradient_norm <= 0:
            raise ValueError(f"max_gradient_norm is {max_gradient_norm}; it must be > 0, or null for no limit")
        self.max_gradient_norm = max_gradient_norm
        self.metrics = {**(key_train_metric or {}), **(additional_metrics or {})}
        self.guard = NonFiniteGuard(patience=nonfinite_patience)
        self.statistics = InputStatistics(
            network=unwrap(network), magnitude_half_life_images=magnitude_half_life_images
        )
        super().__init__(
            device=device,
            max_epochs=max_epochs,
            train_data_loader=train_data_loader,
            network=network,
            optimizer=optimizer,
            loss_function=nn.L1Loss(),  # required by the base class; `objective` is used instead
            epoch_length=epoch_length,
            non_blocking=non_blocking,
            prepare_batch=prepare_batch,
            inferer=inferer,
            postprocessing=postprocessing,
            key_train_metric=key_train_metric,
            additional_metrics=additional_metrics,
            train_handlers=train_handlers,
            amp=amp,
            decollate=decollate,
        )
        if self.state.epoch_length == 0:  # MONAI would only warn, train nothing and end normally
            raise ValueError(
                f"an epoch holds not one whole batch of {self.batch_size} images; lower batch_size, or raise the "
                "images per epoch (images_per_epoch, or the training data if it is null)"
            )
        self.add_event_handler(Events.STARTED, UniCOALTrainer._synchronize)

    @property
    def batch_size(self) -> int:
        """Images per iteration, over all processes."""
        loader = self.data_loader
        size = getattr(loader, "batch_size", None) or getattr(getattr(loader, "batch_sampler", None), "batch_size", 1)
        return int(size or 1) * world_size()

    @property
    def images_seen(self) -> int:
        """Training images before the current iteration, over all processes."""
        return max(self.state.iteration - 1, 0) * self.batch_size

    def run(self) -> None:  # type: ignore[override]
        """Train until `max_epochs`, without the base class's gradient scaler, which bfloat16 does not need.

        Raises:
            Stopped: a signal asked to stop; `Events.INTERRUPT` was fired, to save what can be resumed.
        """
        with interruption.saving(lambda: self.fire_event(Events.INTERRUPT)):
            Workflow.run(self)

    def _iteration(self, engine: "UniCOALTrainer", batchdata: dict[str, torch.Tensor]) -> dict:  # type: ignore[override]
        """Take one step of the discriminator and one of the generator.

        Args:
            engine: this trainer.
            batchdata: batch as the data loader gives it.
        """
        image, label, args, kwargs = self.prepare_batch(
            batchdata, self.state.device, self.non_blocking, **self.to_kwargs
        )
        output: dict[str, Any] = {Keys.IMAGE: image, Keys.LABEL: label}
        self.state.output = output
        self.network.train()
        with self.statistics, self._autocast():
            slices = self.inferer(image, self.network, *args, **kwargs).float()
        output[Keys.PRED] = slices[:, :1]
        scale = slices[:, 1:] if slices.shape[1] > 1 else None
        error = None if scale is None else ((output[Keys.PRED] - label).abs(), scale)
        self.fire_event(IterationEvents.FORWARD_COMPLETED)

        sigma = schedules.blur_sigma(
            self.images_seen, initial=self.blur_initial_sigma, fade_images=self.blur_fade_images
        )
        source, fake, real = blur_images(sigma, image, output[Keys.PRED], label)
        images = {"source": source, "fake": fake, "real": real}
        conditions = {name: kwargs[name] for name in CONDITIONS if kwargs.get(name) is not None}

        terms, replaced = self._step_discriminator(images, conditions)
        generator_terms, replaced_too = self._step_generator(images, conditions, error)
        self._move_averages(len(image) * world_size())
        self._report({**terms, **generator_terms}, replaced + replaced_too, sigma)
        output[Keys.PRED] = output[Keys.PRED].detach().nan_to_num(nan=-1.0)
        self.fire_event(IterationEvents.MODEL_COMPLETED)
        return self.state.output

    def _step_discriminator(self, images: Terms, conditions: Terms) -> tuple[Terms, torch.Tensor]:
        """Take a step of the discriminator on the detached fake."""
        none_replaced = torch.zeros((), dtype=torch.int64, device=self.state.device)
        if self.discriminator is None or self.discriminator_optimizer is None or not self._adversarial_now():
            return {}, none_replaced
        discriminator = unwrap(self.discriminator).train().requires_grad_(True)
        weight = schedules.r1_weight(self.state.iteration, gamma=self.r1_gamma, interval=self.r1_interval)
        self.discriminator_optimizer.zero_grad(set_to_none=True)
        with self._autocast():
            terms = self.objective.discriminator_terms(
                **images, discriminator=discriminator, conditions=conditions, r1_weight=weight
            )
        terms.pop("loss").backward()
        average_gradients(discriminator)
        replaced = replace_nonfinite_gradients(discriminator.parameters())
        self.discriminator_optimizer.step()
        discriminator.requires_grad_(False)
        return terms, replaced

    def _step_generator(
        self, images: Terms, conditions: Terms, error: tuple[torch.Tensor, torch.Tensor] | None
    ) -> tuple[Terms, torch.Tensor]:
        """Take a step of the generator against the frozen discriminator."""
        opponent = self.discriminator if self._adversarial_now() else None
        self.optimizer.zero_grad(set_to_none=True)
        with self._autocast():
            terms = self.objective.generator_terms(
                **images,
                discriminator=None if opponent is None else unwrap(opponent),
                conditions=conditions,
                error=error,
            )
        self.state.output[Keys.LOSS] = terms.pop("loss")
        self.fire_event(IterationEvents.LOSS_COMPLETED)
        self.state.output[Keys.LOSS].backward()
        if unwrap(self.network) is self.network:
            average_gradients(self.network)
        self.fire_event(IterationEvents.BACKWARD_COMPLETED)
        replaced = replace_nonfinite_gradients(self.network.parameters())
        if self.max_gradient_norm is not None:
            for group in self.optimizer.param_groups:
                nn.utils.clip_grad_norm_(group["params"], self.max_gradient_norm)
        self.optimizer.step()
        return terms, replaced

    def _adversarial_now(self) -> bool:
        return self.discriminator is not None and self.images_seen >= self.adversarial_start_images

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.state.device.type, dtype=torch.bfloat16, enabled=self.amp)

    def _move_averages(self, batch_size: int) -> None:
        """Update layer statistics first, so that the average copies the new ones."""
        self.statistics.update(batch_size=batch_size)
        if self.average is not None:
            self.average.update(self.network, batch_size=batch_size, images_seen=self.images_seen)

    def _report(self, terms: Terms, replaced: torch.Tensor, sigma: float) -> None:
        """Fetch all scalars from the device at once, and pass the count to the guard."""
        scalars = {Keys.LOSS: self.state.output[Keys.LOSS], **terms, "nonfinite_gradients": replaced}
        fetched = torch.stack([value.detach().float() for value in scalars.values()]).tolist()
        self.state.output.update(zip(scalars, fetched, strict=True))
        self.state.output["blur_sigma"] = float(sigma)
        self.state.output["learning_rate"] = float(self.optimizer.param_groups[0]["lr"])
        self.guard.update(int(self.state.output["nonfinite_gradients"]), iteration=self.state.iteration)

    def _synchronize(self) -> None:
        """Start all processes from the same weights."""
        networks = [unwrap(self.network), self.discriminator, getattr(self.average, "module", None)]
        broadcast_state(unwrap(network) for network in networks if network is not None)


def _check_range(name: str, value: float, lowest: float = 0) -> None:
    if value < lowest:
        raise ValueError(f"{name} is {value}; it must be ≥ {lowest}")
