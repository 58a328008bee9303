"""Position of a training inside an epoch: random generators, the data that follow, and the metrics' values so far."""

from collections.abc import Mapping
from typing import Any

import torch.distributed as dist
from monai.handlers import IgniteMetricHandler

from ..runtime.distributed import rank, world_size
from .random_state import get_random_state, set_random_state


class EpochPosition:
    """Continue an epoch, or the next one, as if the process had not ended.

    The first iteration of every epoch, and the first one after a restart, start with the random state after the last
    iteration before. So random numbers drawn by validation and by starting workers, which differ between a restart and
    persistent workers, have no effect. Items do not depend on it (`SliceDataset`): a `SliceSampler` omits those that
    were used before.
    """

    def __init__(self) -> None:
        self.iteration = -1  # after which the position was kept
        self._random_states: list[dict[str, Any]] = []  # one per process
        self._metrics: dict[str, Any] = {}
        self._is_restored = False

    def keep(self, trainer: Any) -> None:
        """Remember the position after an iteration; all processes call it after the same one."""
        self.iteration = trainer.state.iteration
        self._random_states = [get_random_state()]
        if world_size() > 1:
            states: list[Any] = [None] * world_size()
            dist.all_gather_object(states, self._random_states[0])
            self._random_states = states
        in_epoch = trainer.state.iteration % trainer.state.epoch_length > 0
        self._metrics = {name: metric.get_buffer() for name, metric in _cumulative(trainer).items()} if in_epoch else {}

    def proceed(self, trainer: Any) -> None:
        """Set the random state before the first iteration of an epoch or after a restart."""
        is_first = (trainer.state.iteration - 1) % trainer.state.epoch_length == 0
        if (is_first or self._is_restored) and rank() < len(self._random_states):
            set_random_state(self._random_states[rank()])
        if self._is_restored and rank() == 0:  # the values are those of all processes
            for name, metric in _cumulative(trainer).items():
                if self._metrics.get(name) is not None:
                    metric.extend(self._metrics[name])
        self._is_restored = False

    def state_dict(self) -> dict[str, Any]:
        """Return the position, as entries of a checkpoint."""
        return {"random_states": self._random_states, "epoch_metrics": self._metrics}

    def load_state_dict(self, content: Mapping[str, Any], trainer: Any) -> None:
        """Restore the position from a checkpoint's content.

        Args:
            content: the checkpoint.
            trainer: the trainer, whose iteration is restored already.
        """
        self._random_states = content["random_states"]
        self._metrics = content.get("epoch_metrics", {})
        self._is_restored = True
        done = trainer.state.iteration % trainer.state.epoch_length
        if done:
            trainer.data_loader.sampler.skip = done * trainer.data_loader.batch_size


def can_continue(trainer: Any) -> bool:
    """Return whether an epoch of this trainer can be continued, which takes a `SliceSampler`."""
    return hasattr(getattr(trainer.data_loader, "sampler", None), "skip")


def _cumulative(trainer: Any) -> dict[str, Any]:
    """Return the trainer's metrics that collect a value for each image, by name."""
    handlers = {name: m for name, m in trainer.metrics.items() if isinstance(m, IgniteMetricHandler)}
    return {name: handler.metric_fn for name, handler in handlers.items()}
