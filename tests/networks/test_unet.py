"""The baseline U-Net has the generator's interface."""

import pytest
import torch

from unicoal_components.networks.residual import RESIDUAL_SCALE, interpolate_slices
from unicoal_components.networks.unet import BaselineUNet


@pytest.fixture
def network():
    torch.manual_seed(0)
    return BaselineUNet(num_modalities=3, channels=(4, 8)).eval()


def test_modality_and_position_change_the_output(network):
    image = torch.rand(1, 4, 16, 16)
    outputs = [
        network(image, modality=torch.tensor([m]), position=torch.tensor([p]), z=None, same_modality=None)
        for m, p in ((0, 0.0), (1, 0.0), (0, 0.5))
    ]
    assert outputs[0].shape == (1, 1, 16, 16)
    assert not torch.allclose(outputs[0], outputs[1])
    assert not torch.allclose(outputs[0], outputs[2])


def test_one_tensor_alone_means_class_and_position_zero(network):
    image = torch.rand(2, 4, 16, 16)
    zeros = torch.zeros(2)
    torch.testing.assert_close(network(image), network(image, modality=zeros.long(), position=zeros))


def test_the_residual_is_added_to_the_interpolation_where_the_modality_is_the_same(network):
    image, position = torch.rand(2, 4, 16, 16), torch.tensor([0.5, 0.25])
    features = []
    network.head.register_forward_hook(lambda module, args, output: features.append(output))
    output = network(image, position=position, same_modality=torch.tensor([True, False]))
    expected = RESIDUAL_SCALE * features[0] + interpolate_slices(image, position[:, None])
    torch.testing.assert_close(output[0], expected[0])
    torch.testing.assert_close(output[1], features[0][1])


def test_without_residual_the_same_modality_changes_nothing():
    network = BaselineUNet(num_modalities=3, channels=(4, 8), residual=False).eval()
    image = torch.rand(2, 4, 16, 16)
    assert torch.equal(network(image, same_modality=torch.ones(2)), network(image))
