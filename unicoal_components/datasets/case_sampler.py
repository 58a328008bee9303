"""Which process evaluates which cases."""

from collections.abc import Collection, Iterator, Sized

from torch import distributed
from torch.utils.data import Sampler


class CaseSampler(Sampler[int]):
    """Give each process a run of the cases of a `CaseDataset`, in order; a single process gets all.

    torch's `DistributedSampler` repeats cases until all processes have as many, which would count some twice in a mean.
    Here the parts differ by one case at most, and none is repeated. Where there are fewer cases than processes, each
    process takes all of them, because a metric that is gathered needs something of everyone: the mean stays the same.

    Args:
        dataset: The `CaseDataset`; only its length is used.
        num_replicas: Number of processes; `None` = of torch.distributed if it is initialized, else 1.
        rank: Number of this process; `None` = of torch.distributed if it is initialized, else 0.
        finished: Cases that are done already and left out, as indices; the same for all processes.

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
        together = distributed.is_available() and distributed.is_initialized()
        count = (distributed.get_world_size() if together else 1) if num_replicas is None else num_replicas
        rank = (distributed.get_rank() if together else 0) if rank is None else rank
        cases = [index for index in range(len(dataset)) if index not in finished]
        size = len(cases)
        self.cases = cases[rank * size // count : (rank + 1) * size // count] if size >= count else cases

    def __iter__(self) -> Iterator[int]:
        return iter(self.cases)

    def __len__(self) -> int:
        return len(self.cases)
