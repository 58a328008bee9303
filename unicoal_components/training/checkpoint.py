"""Checkpoints: resume a training exactly where it stopped, and keep its best model."""

import logging
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch.distributed as dist
from ignite.engine import Engine, Events
from monai.engines.workflow import Workflow

from ..datasets.training_record import Subjects, merged, read_record, read_selected_by, training_record
from ..files.checksum import record_path
from ..files.writable import check_writable
from ..runtime.distributed import from_first_rank, rank, unwrap, world_size
from ..runtime.weights import check_fit, read_weights, save_weights
from .random_state import get_random_state, set_random_state

logger = logging.getLogger(__name__)
FILE_NAME = "checkpoint.pt"
RESTART_HINT = "set resume to false or output_dir to a new folder to start from scratch"


class ResumeCheckpoint:
    """Save a checkpoint at the end of each epoch, and resume from it at the next start.

    `checkpoint.pt` in `output_dir` holds generator, discriminator, average, optimizers, counters, the best
    score, the states of all random generators and the training subjects. It is replaced atomically, so that a process
    killed at any time leaves a valid one. `model.pt` holds the plain state dict of the averaged generator (of the
    generator if there is no average). It is replaced when the evaluator's key metric improves, by the evaluator's own
    comparison. After a restart MONAI's saver takes the first validation for the best; here the best score is restored.
    Without an evaluator, or if it never ran, `model.pt` is written at the end of training.

    It saves after all other handlers of the epoch's end, validation included, whatever its position in the list of
    handlers. Put it first, so that it restores before other handlers act on the start.

    Each epoch starts with the random state after the last iteration before it. So random numbers drawn by validation
    and by starting workers, which differ between a restart and persistent workers, have no effect.

    Args:
        output_dir: folder of `checkpoint.pt`; created if needed.
        model_path: file for the best model; `None` = `model.pt` in `output_dir`.
        evaluator: engine whose key metric selects the model, the one of the `ValidationHandler`.
        resume: resume from `checkpoint.pt` if it exists; otherwise start from scratch and overwrite it.
        subjects: training subjects and their scans, from `training_subjects`; recorded next to every best model for
            later evaluations; `None` = no record.
        validation_subjects: subjects of the evaluator and their scans, from `training_subjects`; recorded as those that
            selected the model, once the evaluator ran; `None` omits them.
        pretrained: weights that the training starts from; subjects that selected them, by their record, are recorded
            too.

    Raises (when training starts):
        OSError: a folder cannot be written.
        ValueError: the checkpoint cannot be read, or does not fit.
    """

    def __init__(
        self,
        *,
        output_dir: str,
        model_path: str | None = None,
        evaluator: Workflow | None = None,
        resume: bool = True,
        subjects: Subjects | None = None,
        validation_subjects: Subjects | None = None,
        pretrained: str | None = None,
    ) -> None:
        self.path = Path(output_dir) / FILE_NAME
        self.model_path = Path(model_path) if model_path else Path(output_dir) / "model.pt"
        self.evaluator = evaluator
        self.resume = resume
        self.subjects = subjects
        self.validation_subjects = validation_subjects
        self._selected_before: Subjects = {} if pretrained is None else read_selected_by(pretrained) or {}
        self._random_state: dict[str, Any] | None = None  # at the end of the last epoch

    def attach(self, engine: Engine) -> None:
        """Restore when `engine` starts and save when each of its epochs ends.

        Args:
            engine: a `UniCOALTrainer`.
        """
        engine.add_event_handler(Events.STARTED, self._start)
        engine.add_event_handler(Events.ITERATION_STARTED, self._continue_random)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._keep_random)
        engine.add_event_handler(Events.COMPLETED, self._finish)

    def _keep_random(self, trainer: Any) -> None:
        if trainer.state.iteration % trainer.state.epoch_length == 0:
            self._random_state = get_random_state()

    def _continue_random(self, trainer: Any) -> None:
        if (trainer.state.iteration - 1) % trainer.state.epoch_length == 0 and self._random_state is not None:
            set_random_state(self._random_state)

    def _start(self, trainer: Any) -> None:
        if rank() == 0:
            for folder in {self.path.parent, self.model_path.parent}:
                check_writable(folder)
        if not trainer.has_event_handler(self._save, Events.EPOCH_COMPLETED):
            trainer.add_event_handler(Events.EPOCH_COMPLETED, self._save)  # added now, so that it runs after all others
        found = from_first_rank(self.path.is_file())
        if found and self.resume:
            self._restore(trainer, read_weights(self.path))
        elif found:
            logger.warning("resume is false: %s will be overwritten at the end of the first epoch", self.path)
        elif self.resume:
            logger.info("No checkpoint in %s: training starts at epoch 1", self.path.parent)

    def _save(self, trainer: Any) -> None:
        """Write the best model first: if the process dies in between, the repeated epoch finds the same best again."""
        states = self._random_states()
        improved = self._improved(trainer)
        if rank() == 0:
            if improved:
                self._save_model(trainer)
            save_weights(self._collect(trainer, states), self.path)

    def _finish(self, trainer: Any) -> None:
        if not self._validated() and trainer.state.epoch > 0 and rank() == 0:
            self._save_model(trainer)

    def _save_model(self, trainer: Any) -> None:
        """Write the model together with its record, so that the record always describes these weights."""
        record = None
        if self.subjects is None:
            record_path(self.model_path).unlink(missing_ok=True)
        else:
            seen = trainer.state.iteration * trainer.batch_size
            record = training_record(subjects=self.subjects, images_seen=seen, selected_by=self._selected_by())
        save_weights(_model_state(trainer), self.model_path, record=record)

    def _selected_by(self) -> Subjects | None:
        """Return the subjects that selected the best model so far; without a validation nothing was selected."""
        if not self._validated():
            return self._selected_before
        return None if self.validation_subjects is None else merged(self.validation_subjects, self._selected_before)

    def _validated(self) -> bool:
        return self.evaluator is not None and self.evaluator.state.best_metric_epoch != -1

    def _improved(self, trainer: Any) -> bool:
        """Return whether this epoch's validation, if there was one, is the best so far."""
        if self.evaluator is None:
            return False
        state = self.evaluator.state
        if state.best_metric_epoch != trainer.state.epoch:
            return False
        if not math.isfinite(float(state.best_metric)):  # nothing compares as better than NaN
            logger.warning("Epoch %d: the key metric is %s and is ignored", trainer.state.epoch, state.best_metric)
            state.best_metric, state.best_metric_epoch = -1, -1
            return False
        return True

    def _random_states(self) -> list[dict[str, Any]]:
        """Collect the random states of all processes."""
        states: list[Any] = [self._random_state]
        if world_size() > 1:
            states = [None] * world_size()
            dist.all_gather_object(states, self._random_state)
        return states

    def _collect(self, trainer: Any, random_states: list[dict[str, Any]]) -> dict[str, Any]:
        engines = {"trainer": trainer, "evaluator": self.evaluator}
        return {
            **{name: part.state_dict() for name, part in self._parts(trainer).items()},
            "epoch": trainer.state.epoch,
            "iteration": trainer.state.iteration,
            "epoch_length": trainer.state.epoch_length,
            "best": {name: _best(engine) for name, engine in engines.items() if engine is not None},
            "random_states": random_states,
            "subjects": self.subjects,
            "selected_by": self._selected_by(),
        }

    def _parts(self, trainer: Any) -> dict[str, Any]:
        """Return all objects that have a state, by name."""
        candidates = {
            "generator": unwrap(trainer.network),
            "optimizer": trainer.optimizer,
            "discriminator": None if trainer.discriminator is None else unwrap(trainer.discriminator),
            "discriminator_optimizer": trainer.discriminator_optimizer,
            "average": trainer.average,
            "nonfinite": trainer.guard,
        }
        return {name: part for name, part in candidates.items() if part is not None}

    def _restore(self, trainer: Any, content: Mapping[str, Any]) -> None:
        """Restore everything; nothing is changed unless all of it fits."""
        parts = self._parts(trainer)
        self._check(trainer, content, parts)
        for name, part in parts.items():
            part.load_state_dict(content[name])
        trainer.state.epoch, trainer.state.iteration = content["epoch"], content["iteration"]
        for name, engine in (("trainer", trainer), ("evaluator", self.evaluator)):
            if engine is not None and name in content["best"]:
                engine.state.best_metric = content["best"][name]["metric"]
                engine.state.best_metric_epoch = content["best"][name]["epoch"]
        self._add_earlier_subjects(content)
        if rank() < len(content["random_states"]):
            self._random_state = content["random_states"][rank()]
        self._log_progress(trainer)

    def _add_earlier_subjects(self, content: Mapping[str, Any]) -> None:
        """Add the subjects seen before the restart, in case the data changed.

        The record next to the model is not enough: it is as old as the best model.
        """
        if self.subjects is not None:
            for earlier in (content.get("subjects"), read_record(self.model_path)):
                self.subjects = merged(self.subjects, earlier or {})
        for earlier in (content.get("selected_by"), read_selected_by(self.model_path)):
            self._selected_before = merged(self._selected_before, earlier or {})

    def _check(self, trainer: Any, content: Mapping[str, Any], parts: Mapping[str, Any]) -> None:
        wanted = [*parts, "epoch", "iteration", "epoch_length", "best", "random_states"]
        absent = [name for name in wanted if name not in content]
        if absent:
            raise ValueError(
                f"{self.path} lacks {', '.join(absent)}: it is not a checkpoint of this trainer, or of one with other "
                f"losses. Set the config as in that run, or {RESTART_HINT}."
            )
        for name in ("generator", "discriminator", "average"):
            if name in parts:
                state = parts[name].state_dict()
                check_fit(content[name], state, path=self.path, name=f"the {name}", hint=RESTART_HINT)
        if content["epoch_length"] != trainer.state.epoch_length:
            raise ValueError(
                f"{self.path} was written with {content['epoch_length']} iterations per epoch, this run has "
                f"{trainer.state.epoch_length}: the training data, the batch size or the number of processes changed. "
                f"Restore them to resume exactly, or {RESTART_HINT}."
            )

    def _log_progress(self, trainer: Any) -> None:
        done, wanted = trainer.state.epoch, trainer.state.max_epochs
        if done >= wanted:
            message = "Training is already complete: %s is at epoch %d of %d. To train further, raise max_epochs; to "
            message += "start from scratch, set resume to false or output_dir to a new folder."
            logger.warning(message, self.path, done, wanted)
        else:
            logger.info("Resuming from %s: epoch %d of %d comes next", self.path, done + 1, wanted)


def _model_state(trainer: Any) -> Mapping[str, Any]:
    """Return the state dict to release: the average's if there is one."""
    return trainer.average.state_dict() if trainer.average is not None else unwrap(trainer.network).state_dict()


def _best(engine: Any) -> dict[str, float | int]:
    return {"metric": float(engine.state.best_metric), "epoch": int(engine.state.best_metric_epoch)}
