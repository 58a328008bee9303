"""Sampler of training slices, for one or several processes and epochs of any length."""

import math
from collections.abc import Iterator, Sized

import numpy as np
from torch import distributed
from torch.utils.data import DistributedSampler


class SliceSampler(DistributedSampler):
    """Sampler of (round, index) pairs for a `SliceDataset`; each round is a new permutation of all slices.

    The permutations of the rounds 0, 1, 2, … (each from the seed and its number) form one endless stream, and an epoch
    is its next `num_samples` pairs. Short epochs thus cover all data before a slice is repeated, and no pair, and
    therefore no random draw of a task, occurs twice. If an epoch has all slices, the round is the epoch. An epoch
    depends only on its number: training resumes by `set_epoch`, which MONAI's engines call at the start of each epoch
    for samplers of this base class. Processes take alternate pairs, so that together they see the stream once.

    Args:
        dataset: the `SliceDataset`; only its length is used.
        num_samples: slices per epoch over all processes, rounded up to a multiple of the processes; `None` = all.
        seed: non-negative integer, the same in every process.
        num_replicas: number of processes; `None` = that of torch.distributed if initialized, else 1.
        rank: index of this process; `None` = that of torch.distributed if initialized, else 0.

    Attributes:
        skip: pairs of this process that the next epoch leaves out, as an interrupted one has used them; 0 afterwards.

    Raises:
        ValueError: the dataset is empty, `num_samples` is not positive, or the rank is out of range.
    """

    def __init__(
        self,
        *,
        dataset: Sized,
        num_samples: int | None = None,
        seed: int = 0,
        num_replicas: int | None = None,
        rank: int | None = None,
    ):
        is_distributed = distributed.is_available() and distributed.is_initialized()
        num_replicas = (distributed.get_world_size() if is_distributed else 1) if num_replicas is None else num_replicas
        rank = (distributed.get_rank() if is_distributed else 0) if rank is None else rank
        if len(dataset) == 0:
            raise ValueError("dataset is empty; training needs at least one slice.")
        if num_samples is not None and (not isinstance(num_samples, int) or num_samples < 1):
            raise ValueError(f"num_samples is {num_samples!r}; it must be a positive integer, or null for all slices.")
        super().__init__(dataset, num_replicas=num_replicas, rank=rank, seed=seed)  # type: ignore[arg-type]
        self.length = len(dataset)
        self.num_samples = math.ceil((num_samples or self.length) / num_replicas)  # of this process
        self.total_size = self.num_samples * num_replicas
        self.skip = 0

    def __iter__(self) -> Iterator[tuple[int, int]]:
        start = self.epoch * self.total_size
        skipped, self.skip = self.skip * self.num_replicas, 0
        order: np.ndarray | None = None
        current = -1
        for position in range(start + skipped + self.rank, start + self.total_size, self.num_replicas):
            number, offset = divmod(position, self.length)
            if order is None or number != current:
                order, current = self._order(number), number
            yield number, int(order[offset])

    def _order(self, number: int) -> np.ndarray:
        """Return the permutation of a round."""
        return np.random.default_rng(np.random.SeedSequence([self.seed, number])).permutation(self.length)
