"""The baseline U-Net has the generator's interface."""

import pytest
import torch

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
