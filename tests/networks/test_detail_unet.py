"""U-Net that adds detail across modalities."""

import pytest
import torch

from unicoal_components.networks.detail_unet import DetailUNet

M = 2


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def conditions(count=2):
    """Target, position and acquisition of some slices."""
    return random(count, M), random(count, 1).abs(), random(count, M + 2)


def make(**options):
    torch.manual_seed(0)
    return DetailUNet(**({"in_channels": 3, "channels": 4, "num_modalities": M} | options))


@pytest.fixture
def path():
    network = make(error_output=True)
    for layer in (network.tail, network.error_tail[-1]):
        torch.nn.init.normal_(layer.weight)
    return network


def test_it_starts_with_zeros_for_any_input():
    assert (make(error_output=True)(random(2, 3, 16, 16), *conditions()) == 0).all()


def test_the_last_layer_can_pass_the_alias_free_output_on():
    path, images = make(), random(2, 3, 16, 16)
    with torch.no_grad():
        path.tail.weight[:, -1] = 2
    torch.testing.assert_close(path(images, *conditions()), 2 * images[:, 2:])


def test_every_condition_changes_the_output(path):
    image, told = random(2, 3, 16, 16), conditions()
    plain = path(image, *told)
    for place in range(3):
        changed = [value if other != place else 0.5 * value for other, value in enumerate(told)]
        assert (path(image, *changed) - plain).abs().amax(dim=(1, 2, 3)).min() > 1e-6


def test_all_parameters_get_gradients(path):
    path(random(2, 3, 16, 16), *conditions()).square().mean().backward()
    assert all(p.grad.abs().max() > 0 for p in path.parameters())


def test_the_error_reads_the_features_and_does_not_shape_them(path):
    path(random(2, 3, 16, 16), *conditions())[:, 1:].square().mean().backward()
    moved = {name for name, p in path.named_parameters() if p.grad is not None and p.grad.abs().max() > 0}
    assert moved == {name for name, _ in path.named_parameters() if name.startswith("error_tail.")}


@pytest.mark.parametrize("period", [2, 4])
def test_the_error_has_no_grid_of_the_upsamplings(path, period):
    wave = torch.cos(2 * torch.pi * torch.arange(16) / period)[:, None].expand(16, 16)
    smooth = path.without_grid(torch.stack([wave, torch.full((16, 16), 3.0)])[:, None])
    assert smooth.shape == (2, 1, 16, 16)
    torch.testing.assert_close(smooth[0, :, 3:-3], torch.zeros(1, 10, 16), atol=1e-6, rtol=0)
    torch.testing.assert_close(smooth[1], torch.full((1, 16, 16), 3.0))


def test_every_slice_is_treated_alone_in_training_too(path):
    image, told = random(2, 3, 16, 16), conditions()
    torch.testing.assert_close(path(image[1:], *(value[1:] for value in told)), path(image, *told)[1:])


def test_fewer_than_two_channels_are_refused():
    with pytest.raises(ValueError, match="detail_channels 0 for none"):
        make(channels=1)
