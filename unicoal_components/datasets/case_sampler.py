"""Sampler that distributes evaluation cases over processes."""

from collections.abc import Collection, Iterator, Sized

from torch import distributed
from torch.utils.data import Sampler


class CaseSampler(Sampler[int]):
    """Give each process consecutive cases of a `CaseDataset`; a single process gets all.

    torch's `DistributedSampler` repeats cases until all processes have the same number, so that some count twice in a
    mean. Here the numbers differ by at most one, and no case is repeated. With fewer cases than processes, each process
    evaluates all cases, because a gathered metric needs values from every process; the mean is the same.

    Args:
        dataset: the `CaseDataset`; only its length is used.
        num_replicas: number of processes; `None` = that of torch.distributed if initialized, else 1.
        rank: index of this process; `None` = that of torch.distributed if initialized, else 0.
        finished: indices of cases that are already finished and skipped; the same for all processes.

    Example:
        >>> [list(CaseSampler(dataset=range(5), num_replicas=2, rank=rank)) for rank in (0, 1)]
        [[0, 1], [2, 3, 4]]
    """

    def __init__(
        self,
        *,
        dataset: Sized,
        num_replicas: int | None = None,
        rank: int | None = None,
        finished: Collection[int] = (),
    ) -> None:
        is_distributed = distributed.is_available() and distributed.is_initialized()
        count = (distributed.get_world_size() if is_distributed else 1) if num_replicas is None else num_replicas
        rank = (distributed.get_rank() if is_distributed else 0) if rank is None else rank
        cases = [index for index in range(len(dataset)) if index not in finished]
        size = len(cases)
        self.cases = cases[rank * size // count : (rank + 1) * size // count] if size >= count else cases

    def __iter__(self) -> Iterator[int]:
        return iter(self.cases)

    def __len__(self) -> int:
        return len(self.cases)
