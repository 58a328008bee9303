import pytest
import torch
from monai.engines import Workflow
from torch.utils.data import DataLoader, DistributedSampler

from unicoal_components.datasets.sampler import SliceSampler


class Echo(torch.utils.data.Dataset):
    """Dataset that returns the requested index."""

    def __len__(self):
        return 10

    def __getitem__(self, index):
        return torch.tensor(index)


def epochs(sampler, count):
    result = []
    for epoch in range(count):
        sampler.set_epoch(epoch)
        result.append(list(sampler))
        assert len(result[-1]) == len(sampler)
    return result


def test_an_epoch_is_a_permutation_of_all_slices_tagged_with_its_number():
    for number, pairs in enumerate(epochs(SliceSampler(dataset=range(10)), 3)):
        assert sorted(pairs) == [(number, i) for i in range(10)]


def test_permutations_differ_by_epoch_and_seed_and_repeat_otherwise():
    orders = {
        (seed, n): tuple(i for _, i in pairs)
        for seed in (0, 1)
        for n, pairs in enumerate(epochs(SliceSampler(dataset=range(50), seed=seed), 2))
    }
    assert len(set(orders.values())) == 4
    again = SliceSampler(dataset=range(50), seed=1)
    again.set_epoch(1)
    assert tuple(i for _, i in again) == orders[1, 1]


def test_short_epochs_cover_all_slices_before_one_is_repeated():
    pairs = sum(epochs(SliceSampler(dataset=range(10), num_samples=4), 5), [])
    assert sorted(pairs) == [(n, i) for n in range(2) for i in range(10)]


def test_epochs_longer_than_the_data_never_repeat_a_draw():
    (pairs,) = epochs(SliceSampler(dataset=range(10), num_samples=25), 1)
    assert len(set(pairs)) == 25


@pytest.mark.parametrize(("replicas", "num_samples"), [(2, None), (3, None), (2, 4), (3, 4)])
def test_processes_share_the_stream_of_one_process_without_overlap(replicas, num_samples):
    parts = [
        epochs(SliceSampler(dataset=range(10), num_samples=num_samples, num_replicas=replicas, rank=rank), 4)
        for rank in range(replicas)
    ]
    seen = [pair for part in parts for epoch in part for pair in epoch]
    alone = SliceSampler(dataset=range(10), num_samples=len(seen))
    assert sorted(seen) == sorted(alone)
    assert len({len(epoch) for part in parts for epoch in part}) == 1


@pytest.mark.parametrize("workers", [{}, {"num_workers": 1, "persistent_workers": True}])
def test_a_monai_engine_sets_the_epoch(workers):
    sampler = SliceSampler(dataset=Echo(), num_samples=4, seed=2)
    assert isinstance(sampler, DistributedSampler)
    seen = []
    engine = Workflow(
        device="cpu",
        max_epochs=3,
        data_loader=DataLoader(Echo(), sampler=sampler, batch_size=2, **workers),
        iteration_update=lambda engine, batch: seen.extend(map(tuple, batch.tolist())),
        decollate=False,
    )
    engine.run()
    assert seen == sum(epochs(SliceSampler(dataset=Echo(), num_samples=4, seed=2), 4)[1:], [])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"dataset": []}, "empty"),
        ({"dataset": range(3), "num_samples": 0}, "num_samples is 0"),
        ({"dataset": range(3), "num_samples": 1.5}, "num_samples is 1.5"),
        ({"dataset": range(3), "num_replicas": 2, "rank": 2}, "rank"),
    ],
)
def test_wrong_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        SliceSampler(**arguments)
