"""Checkpoints: resume a training exactly where it stopped, and keep its best model."""

import logging
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ignite.engine import Engine, Events
from monai.engines.workflow import Workflow

from .. import interruption
from ..datasets.training_record import Subjects, merged, read_record, read_selected_by, training_record
from ..files.checksum import record_path
from ..files.writable import check_writable
from ..runtime.distributed import from_first_rank, largest_of_ranks, rank, unwrap
from ..runtime.weights import check_fit, read_weights, save_weights
from .earlier_weights import keep_earlier_weights
from .epoch_position import EpochPosition, can_continue

logger = logging.getLogger(__name__)
FILE_NAME = "checkpoint.pt"
TRAINING, VALIDATING, SAVING = "", "validating", "saving"
"""What a signal interrupts."""
CONTINUE = "the same command continues"
RESTART_HINT = "set resume to false or output_dir to a new folder to start from scratch"


class ResumeCheckpoint:
    """Save a checkpoint after each epoch and when a signal stops the training; resume from it at the next start.

    `checkpoint.pt` in `output_dir` holds generator, discriminator, average, optimizers, counters, the best score, the
    states of all random generators and the training subjects. It is replaced atomically. `model.pt` holds the plain
    state dict of the averaged generator (of the generator if there is no average). It is replaced when the evaluator's
    key metric improves, by the evaluator's own comparison, also after a restart. Without an evaluator, or if it never
    ran, it is written at the end of training. Other weights there are kept, see `keep_earlier_weights`.

    It saves after all other handlers of the epoch's end. Put it first, so that it restores before others start.

    A signal (see `interruption`) stops the training after the current iteration, or a validation at once, which is then
    repeated from its start. The epoch continues after its last iteration: `EpochPosition`.

    Args:
        output_dir: folder of `checkpoint.pt`; created if needed.
        model_path: file for the best model; `None` = `model.pt` in `output_dir`.
        evaluator: engine whose key metric selects the model, the one of the `ValidationHandler`.
        resume: resume from `checkpoint.pt` if it exists; otherwise start from scratch and overwrite it.
        subjects: training subjects and their scans, from `training_subjects`, to record; `None` = no record.
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
        self._position = EpochPosition()
        self._saved_iteration = 0
        self._stage = TRAINING

    def attach(self, engine: Engine) -> None:
        """Restore when `engine` starts and save when each of its epochs ends.

        Args:
            engine: a `UniCOALTrainer`.
        """
        engine.add_event_handler(Events.STARTED, self._start)
        engine.add_event_handler(Events.ITERATION_STARTED, self._begin_iteration)
        engine.add_event_handler(Events.INTERRUPT, self._save_interrupted)
        engine.add_event_handler(Events.COMPLETED, self._finish)

    def _begin_iteration(self, trainer: Any) -> None:
        self._stage = TRAINING
        self._position.proceed(trainer)

    def _end_iteration(self, trainer: Any) -> None:
        """Stop here if a signal asks any process to; at the end of an epoch, validation or `_save` does."""
        signal = largest_of_ranks(interruption.requested(), device=trainer.state.device)
        at_end = _done(trainer) == 0
        if signal or at_end:
            self._position.keep(trainer)
        if signal:
            interruption.request(signal)
        if signal and not at_end:
            interruption.check()

    def _begin_validation(self, evaluator: Any) -> None:
        self._stage = VALIDATING
        interruption.defer(False)
        interruption.check()

    def _end_validation(self, evaluator: Any) -> None:
        interruption.defer(True)

    def _start(self, trainer: Any) -> None:
        if rank() == 0:
            check_writable(self.path.parent)
            check_writable(self.model_path.parent)
        if not trainer.has_event_handler(self._save, Events.EPOCH_COMPLETED):  # added now, to run after all others
            trainer.add_event_handler(Events.ITERATION_COMPLETED, self._end_iteration)
            trainer.add_event_handler(Events.EPOCH_COMPLETED, self._save)
            if isinstance(self.evaluator, Engine):
                self.evaluator.add_event_handler(Events.EPOCH_STARTED, self._begin_validation)
                self.evaluator.add_event_handler(Events.EPOCH_COMPLETED, self._end_validation)
        found = from_first_rank(self.path.is_file())
        if found and self.resume:
            self._restore(trainer, read_weights(self.path))
        elif found:
            logger.warning("resume is false: %s will be overwritten at the end of the first epoch", self.path)
        else:
            logger.info("No checkpoint in %s: training starts at epoch 1", self.path.parent)
        if rank() == 0 and not (found and self.resume):
            keep_earlier_weights(self.model_path)

    def _save(self, trainer: Any) -> None:
        """Write the best model first: if the process dies in between, the repeated epoch finds the same best again."""
        self._stage = SAVING
        improved = self._improved(trainer)
        if rank() == 0:
            if improved:
                self._save_model(trainer)
            save_weights(self._collect(trainer), self.path)
        self._saved_iteration = trainer.state.iteration
        interruption.advise(f"epoch {trainer.state.epoch} is complete in '{self.path}'; {CONTINUE}.")
        interruption.check()

    def _save_interrupted(self, trainer: Any) -> None:
        """Write a checkpoint inside an epoch, or before the validation after it, unless there is one."""
        done, epoch = _done(trainer), trainer.state.epoch
        if trainer.state.iteration == self._saved_iteration:
            return
        if self._position.iteration != trainer.state.iteration or not (can_continue(trainer) if done else self._stage):
            interruption.advise(f"the training since '{self.path}' is lost; {CONTINUE} from there.")
            return
        if self._stage == SAVING:
            self._save(trainer)
        if rank() == 0:
            save_weights(self._collect(trainer), self.path)
        if done:  # all processes stop here
            largest_of_ranks(0, device=trainer.state.device)
        place = f"iteration {done} of {trainer.state.epoch_length}" if done else "its last iteration, before validation"
        interruption.advise(f"epoch {epoch} is saved after {place} in '{self.path}'; {CONTINUE}.")

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

    def _collect(self, trainer: Any) -> dict[str, Any]:
        engines = {"trainer": trainer, "evaluator": self.evaluator}
        return {
            **{name: part.state_dict() for name, part in self._parts(trainer).items()},
            "epoch": trainer.state.iteration // trainer.state.epoch_length,
            "iteration": trainer.state.iteration,
            "validation_pending": self._stage == VALIDATING,
            "epoch_length": trainer.state.epoch_length,
            "best": {name: _best(engine) for name, engine in engines.items() if engine is not None},
            **self._position.state_dict(),
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
        self._position.load_state_dict(content, trainer)
        self._saved_iteration = trainer.state.iteration
        self._log_progress(trainer)
        interruption.advise(f"nothing was trained since '{self.path}' was written; {CONTINUE}.")
        if content.get("validation_pending") and isinstance(self.evaluator, Engine):
            self.evaluator.run(trainer.state.epoch)  # type: ignore[call-arg]
            self._save(trainer)

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
        inside = _done(trainer)
        if done >= wanted:
            message = "Training is already complete: %s is at epoch %d of %d. To train further, raise max_epochs; to "
            message += "start from scratch, set resume to false or output_dir to a new folder."
            logger.warning(message, self.path, done, wanted)
        else:
            place = f", iteration {inside + 1} of {trainer.state.epoch_length}," if inside else ""
            logger.info("Resuming from %s: epoch %d of %d%s comes next", self.path, done + 1, wanted, place)


def _model_state(trainer: Any) -> Mapping[str, Any]:
    """Return the state dict to release: the average's if there is one."""
    return trainer.average.state_dict() if trainer.average is not None else unwrap(trainer.network).state_dict()


def _done(trainer: Any) -> int:
    """Return the iterations done of an unfinished epoch, 0 between epochs."""
    return trainer.state.iteration % trainer.state.epoch_length


def _best(engine: Any) -> dict[str, float | int]:
    return {"metric": float(engine.state.best_metric), "epoch": int(engine.state.best_metric_epoch)}
