"""Cost of convolutions: none runs over inserted zeros or has separate weights for each sample."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from unicoal_components.networks.discriminator import Discriminator
from unicoal_components.networks.generator import Generator

SIZES = {"resolution": 64, "channel_base": 512, "channel_max": 8}


class ConvolutionRecorder(TorchDispatchMode):
    """Record the inputs of every convolution of a forward pass."""

    def __init__(self):
        super().__init__()
        self.calls = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func.overloadpacket is torch.ops.aten.convolution:
            x, weight, _, stride, _, _, transposed, _, groups = args
            self.calls.append((x.clone(), tuple(weight.shape), tuple(stride), transposed, groups))
        return func(*args, **(kwargs or {}))


@pytest.fixture(scope="module", params=["generator", "plain_generator", "discriminator"])
def network(request):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        if request.param == "discriminator":
            return Discriminator(**SIZES, in_channels=4).eval()
        return Generator(**SIZES, encoder_modulated=request.param == "generator").eval()


def record(network, batch):
    image = torch.rand(batch, 4, 64, 64, generator=torch.Generator().manual_seed(0)) + 0.1
    with torch.no_grad(), ConvolutionRecorder() as recorder:
        network(image)
    assert len(recorder.calls) > 10
    return recorder.calls


def test_weights_and_groups_of_the_convolutions_do_not_depend_on_the_batch(network):
    assert {call[1:] for call in record(network, 1)} == {call[1:] for call in record(network, 3)}


def test_every_convolution_is_dense_or_a_filter_along_one_axis(network):
    for x, shape, _, _, groups in record(network, 2):
        if groups == 1:
            assert x.shape[0] == 2
        else:
            assert groups == shape[0] == x.shape[1]
            assert shape[1] == 1
            assert 1 in shape[2:]


def test_only_filters_along_one_axis_are_transposed(network):
    for _, shape, _, transposed, groups in record(network, 2):
        if transposed:
            assert (groups, shape[1]) == (shape[0], 1)
            assert 1 in shape[2:]


def test_no_convolution_reads_a_grid_of_zeros(network):
    for x, *_ in record(network, 1):
        zero = (x == 0).all(dim=1)[0]
        for axis in (0, 1):
            lines = zero.all(dim=1 - axis)[2:-2]  # padding may be at the border
            assert not lines.any()


@pytest.mark.parametrize("up", [2, 4])
def test_a_network_that_inserts_zeros_would_be_caught(up):
    x = torch.zeros(1, 1, 16, 16)
    x[:, :, ::up, ::up] = 1
    assert (x == 0).all(dim=1)[0].all(dim=1)[2:-2].any()
