"""Inference over many volumes that continues after the failure of one."""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from monai.engines import SupervisedEvaluator
from torch.utils.data import Dataset

from .. import interruption
from ..errors import cause_of
from ..keys import Keys

logger = logging.getLogger(__name__)

FAILURE = "failure"
"""Item key of the reason why a volume could not be loaded."""

RECOVERABLE = (ValueError, OSError, RuntimeError, MemoryError)


class VolumeDataset(Dataset):
    """Dataset of scans, loaded on access; a scan that cannot be loaded becomes an item with the reason.

    Args:
        data: items with the path of a scan under "image".
        transform: transform that loads the scan of an item.
    """

    def __init__(self, *, data: Sequence[Mapping[str, Any]], transform: Callable[[Mapping[str, Any]], Any]) -> None:
        self.data = list(data)
        self.transform = transform

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> Any:
        """Return the transformed item with its "path", or "path" and "failure"."""
        path = str(self.data[index][Keys.IMAGE])
        try:
            return {**self.transform(self.data[index]), "path": path}
        except RECOVERABLE as error:
            logger.debug("'%s' failed", path, exc_info=True)
            return {"path": path, FAILURE: cause_of(error)}


class VolumeEvaluator(SupervisedEvaluator):
    """`SupervisedEvaluator` that continues if loading, synthesis or writing of a volume fails.

    Every failure is logged when it happens. At the end of the run all are raised together, so that the command exits
    with an error status. Errors of the run itself, such as weights that do not fit, stop it at once.
    """

    def run(self, global_epoch: int = 1) -> None:  # type: ignore[override]
        """Process all volumes.

        Args:
            global_epoch: see `SupervisedEvaluator`.

        Raises:
            ValueError: at least one volume failed; the message names each with its reason.
        """
        self.failures: dict[str, str] = {}
        super().run(global_epoch)
        if self.failures:
            self._raise_failures()

    def _iteration(self, engine: SupervisedEvaluator, batchdata: dict[str, Any]) -> dict:
        total, before = self.state.epoch_length or 0, self.state.iteration - 1
        interruption.advise(f"{before} of {total} scans are done and stay; give the others with --input to continue.")
        interruption.check()
        path = batchdata["path"][0]
        if FAILURE in batchdata:
            return self._record_failure(path, batchdata[FAILURE][0])
        try:
            return super()._iteration(engine, batchdata)
        except RECOVERABLE as error:
            logger.debug("'%s' failed", path, exc_info=True)
            return self._record_failure(path, cause_of(error))

    def _record_failure(self, path: str, reason: str) -> dict:
        self.failures[path] = reason
        if self.state.epoch_length != 1:  # a single failure is raised at the end anyway
            logger.error("FAILED '%s': %s", path, reason)
        self.state.output = {}
        return {}

    def _raise_failures(self) -> None:
        total = self.state.epoch_length or len(self.failures)
        if total == 1:
            raise ValueError(next(iter(self.failures.values())))
        reasons = "; ".join(f"'{path}': {reason.removesuffix('.')}" for path, reason in self.failures.items())
        raise ValueError(f"{len(self.failures)} of {total} volumes failed, the others are done. {reasons}.")
