"""The residual trunk has the generator's interface."""

import pytest
import torch

from unicoal_components.networks.residual import interpolate_slices
from unicoal_components.networks.trunk import ResidualTrunk

IMAGE = torch.rand(2, 4, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
POSITION = torch.tensor([0.5, 0.25])


def make(**options):
    torch.manual_seed(0)
    return ResidualTrunk(**({"num_modalities": 3, "channels": 8, "num_blocks": 2} | options)).eval()


@pytest.fixture
def trained():
    """A network with random weights in its last layer and modulation."""
    network = make()
    for name, parameter in network.named_parameters():
        if any(part in name for part in ("style", "project", "tail")):
            torch.nn.init.normal_(parameter, std=0.1)
    return network


def test_it_starts_as_the_interpolation_within_a_modality_and_as_gray_across():
    output = make()(IMAGE, position=POSITION, same_modality=torch.tensor([True, False]))
    torch.testing.assert_close(output[0], interpolate_slices(IMAGE, POSITION[:, None])[0])
    torch.testing.assert_close(output[1], torch.zeros_like(output[1]))


@pytest.mark.parametrize(
    "given",
    [
        {"modality": torch.tensor([1, 1])},
        {"position": POSITION},
        {"same_modality": torch.ones(2)},
        {"source_modality": torch.tensor([0, 0])},
        {"factor": torch.tensor([4.0, 4.0])},
        {"thickness": torch.tensor([0.7, 0.7])},
    ],
    ids=lambda given: next(iter(given)),
)
def test_every_condition_changes_the_output(trained, given):
    assert (trained(IMAGE, **given) - trained(IMAGE)).abs().amax(dim=(1, 2, 3)).min() > 1e-5


def test_one_tensor_alone_means_class_and_position_zero_and_thin_slices_that_touch(trained):
    zeros, ones = torch.zeros(2), torch.ones(2)
    given = {"modality": zeros.long(), "position": zeros, "same_modality": zeros, "factor": ones, "thickness": ones}
    torch.testing.assert_close(trained(IMAGE), trained(IMAGE, **given))


def test_every_parameter_learns(trained):
    trained(IMAGE, modality=torch.tensor([1, 2])).square().mean().backward()
    assert all(parameter.grad.abs().max() > 0 for parameter in trained.parameters())


@pytest.mark.parametrize("count", [1, 2, 5])
def test_groups_that_cannot_be_interpolated_are_refused(count):
    with pytest.raises(ValueError, match=f"in_channels is {count}; it must be even and at least 4"):
        make(in_channels=count)
