import pytest
from torch.utils.data import DataLoader

from unicoal_components.datasets.case_sampler import CaseSampler


def parts(size, processes):
    return [list(CaseSampler(dataset=range(size), num_replicas=processes, rank=rank)) for rank in range(processes)]


@pytest.mark.parametrize(("size", "processes"), [(5, 1), (5, 2), (6, 3), (29, 4), (4, 4)])
def test_all_processes_together_get_every_case_once_and_in_order(size, processes):
    found = parts(size, processes)
    assert [case for part in found for case in part] == list(range(size))
    assert max(map(len, found)) - min(map(len, found)) <= 1


def test_with_fewer_cases_than_processes_each_gets_all():
    assert parts(2, 3) == [[0, 1]] * 3


def test_the_length_of_a_loader_is_that_of_its_process():
    assert len(DataLoader(list(range(5)), sampler=CaseSampler(dataset=range(5), num_replicas=2, rank=1))) == 3


def test_a_single_process_gets_all():
    assert list(CaseSampler(dataset=range(3))) == [0, 1, 2]
