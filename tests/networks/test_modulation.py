import math

import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from unicoal_components.networks.modulation import ModulatedConv2d


def make(**options):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        layer = ModulatedConv2d(4, 5, condition_dim=6, **options).double()
        torch.nn.init.normal_(layer.bias)
        layer.magnitude_ema.fill_(1.7)
        return layer, torch.randn(3, 4, 8, 9).double(), torch.randn(3, 6).double()


def convolved(layer, x, condition):
    y, scale = layer(x, condition)
    return (y if scale is None else y * scale[:, :, None, None]) + layer.bias.view(1, -1, 1, 1)


def by_definition(layer, x, condition, *, padding):
    """Build the weights of every sample and convolve each with its own; also with the batch-wide normalization."""
    style, weight = layer.affine(condition), layer.weight
    if layer.demodulate:
        weight = weight / weight.square().mean(dim=(1, 2, 3), keepdim=True).sqrt()
        style = style / style.square().mean().sqrt()
    else:
        style = style / math.sqrt(weight[0].numel())
    result = []
    for sample, s in zip(x, style, strict=True):
        own = weight * s.view(1, -1, 1, 1)
        if layer.demodulate:
            own = own / (own.square().sum(dim=(1, 2, 3), keepdim=True) + 1e-8).sqrt()
        own = own / layer.magnitude_ema.sqrt()
        result.append(F.conv2d(sample[None], own, layer.bias, padding=padding))
    return torch.cat(result)


@pytest.mark.parametrize(
    "options", [{"kernel_size": 3}, {"kernel_size": 3, "crop": 1}, {"kernel_size": 1, "demodulate": False}]
)
def test_scaled_activations_give_what_weights_of_each_sample_give(options):
    layer, x, condition = make(**options)
    padding = options["kernel_size"] - 1 - options.get("crop", 0)
    expected = by_definition(layer, x, condition, padding=padding)
    torch.testing.assert_close(convolved(layer, x, condition), expected, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("options", [{"kernel_size": 3}, {"kernel_size": 1, "demodulate": False}])
def test_gradients_are_those_of_the_definition(options):
    layer, x, condition = make(**options)
    x.requires_grad_()
    parameters = [x, *layer.parameters()]
    probe = torch.randn_like(convolved(layer, x, condition))
    ours = torch.autograd.grad((convolved(layer, x, condition) * probe).sum(), parameters)
    defined = by_definition(layer, x, condition, padding=options["kernel_size"] - 1)
    theirs = torch.autograd.grad((defined * probe).sum(), parameters)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


def test_styles_start_at_one():
    layer = ModulatedConv2d(4, 5, kernel_size=3, condition_dim=6)
    assert torch.equal(layer.affine(torch.zeros(2, 6)), torch.ones(2, 4))


def test_noise_in_gives_noise_of_the_same_power_out():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        layer = ModulatedConv2d(32, 32, kernel_size=3, condition_dim=4)
        y = convolved(layer, torch.randn(2, 32, 34, 34), torch.randn(2, 4))[:, :, 2:-2, 2:-2]
    assert y.square().mean().item() == pytest.approx(1, rel=0.1)
