"""Go on when the memory of a GPU is used up: with smaller batches, then on the CPU."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

logger = logging.getLogger(__name__)

CPU = torch.device("cpu")


class MemoryFallback:
    """Batch size and device of a computation in batches, which give way when the memory is used up.

    Used in a `with` block, after which the network is where it was.

    Args:
        network: network that computes; moved to the CPU if batches of 1 are still too large, if it is a module.
        batch_size: size of the batches to begin with.
        device: device to begin with.

    Attributes:
        batch_size: size of the batches now.
        device: device of the network and its input now.
    """

    def __init__(self, network: Callable[..., Any], batch_size: int, device: torch.device) -> None:
        self.network = network
        self.batch_size = batch_size
        self.device = device
        self._began = device, batch_size

    def __enter__(self) -> "MemoryFallback":
        return self

    def __exit__(self, *error: object) -> None:
        """Move the network back to the device where it was, for the next volume."""
        if self.device != self._began[0]:
            self._move(self._began[0])

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """Run a batch; if the memory is used up, give way instead, so that the same batch can be tried again.

        `completed` tells afterwards whether the batch was run.

        Raises:
            torch.OutOfMemoryError: on the CPU there is no way left.
        """
        self.completed = False
        try:
            with torch.compiler.set_stance("default" if self.device == self._began[0] else "force_eager"):
                yield
            self.completed = True
        except torch.OutOfMemoryError:
            if self.device == CPU:
                raise
        if not self.completed:  # no longer in the error's context, which keeps the tensors of the batch
            self._give_way()

    def _give_way(self) -> None:
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        if self.batch_size > 1:
            self.batch_size = self.batch_size // 2
            logger.warning(
                "The memory of %s is used up; going on with batches of %d (inference_batch_size).",
                self.device,
                self.batch_size,
            )
            return
        logger.warning("The memory of %s is used up; the rest of this volume is computed on the CPU.", self.device)
        self._move(CPU)
        self.batch_size = self._began[1]

    def _move(self, device: torch.device) -> None:
        if isinstance(self.network, nn.Module):
            self.network.to(device)
        self.device = device
