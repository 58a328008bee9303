"""Inference when the memory of a GPU is used up, which a network that raises the error stands for."""

import logging

import pytest
import torch

from unicoal_components.inference import memory_fallback
from unicoal_components.inference.volume_inferer import VolumeInferer


class Large(torch.nn.Module):
    """Gives the second slice of each group, and has memory for `limit` groups only, unless it is on the CPU."""

    def __init__(self, limit):
        super().__init__()
        self.limit = limit
        self.shift = torch.nn.Parameter(torch.zeros(()), requires_grad=False)
        self.batches = []

    def to(self, device):
        """Move on paper: there is no GPU here, the meta device stands for it."""
        self.limit = 100 if str(device) == "cpu:0" else self.limit
        self.batches.append(f"to {device}")
        return self

    def forward(self, groups, **conditions):
        if len(groups) > self.limit:
            raise torch.OutOfMemoryError("out of memory")
        self.batches.append(len(groups))
        return groups[:, 1:2] + self.shift


@pytest.fixture
def gpu(monkeypatch):
    """Let the CPU pass for a GPU: what is moved to "the CPU" stays where it is."""
    monkeypatch.setattr(memory_fallback, "CPU", torch.device("cpu", 0))


def volume():
    return torch.rand(1, 1, 8, 8, 8) - 0.5


def test_batches_get_smaller_until_they_fit_and_the_result_is_the_same(gpu, caplog):
    image, network = volume(), Large(3)
    with caplog.at_level(logging.WARNING):
        got = VolumeInferer(resolution=8, batch_size=8)(image, network, factor=1)
    torch.testing.assert_close(got, image)
    assert network.batches == [2, 2, 2, 2]
    assert "batches of 4" in caplog.text and "batches of 2" in caplog.text and "CPU" not in caplog.text


def test_what_does_not_fit_at_all_is_computed_on_the_cpu_and_the_network_goes_back(gpu, caplog):
    image, network = volume(), Large(0)
    with caplog.at_level(logging.WARNING):
        got = VolumeInferer(resolution=8, batch_size=4)(image, network, factor=1)
    torch.testing.assert_close(got, image)
    assert network.batches == ["to cpu:0", 4, 4, "to cpu"]
    assert "CPU" in caplog.text


def test_without_a_gpu_the_error_is_raised():
    with pytest.raises(torch.OutOfMemoryError):
        VolumeInferer(resolution=8, batch_size=4)(volume(), Large(0), factor=1)
