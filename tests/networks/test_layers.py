import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from scipy.signal import convolve2d

from unicoal_components.networks.layers import (
    EqualizedConv2d,
    EqualizedLinear,
    append_minibatch_std,
    normalize_rms,
    scaled_leaky_relu,
)


@pytest.fixture(autouse=True)
def seed():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def test_normalized_vectors_have_unit_mean_square():
    x = 5 * torch.randn(4, 64)
    torch.testing.assert_close(normalize_rms(x).square().mean(dim=1), torch.ones(4))
    assert torch.equal(normalize_rms(torch.zeros(2, 8)), torch.zeros(2, 8))


def test_the_scaled_leaky_relu_keeps_the_mean_square_of_noise_about():
    x = torch.randn(100_000)
    assert scaled_leaky_relu(x).square().mean().item() == pytest.approx(1 + 0.2**2, rel=0.02)


@pytest.mark.parametrize("activation", ["linear", "lrelu"])
def test_a_linear_layer_follows_its_equation(activation):
    layer = EqualizedLinear(7, 5, activation=activation, lr_multiplier=0.01, bias_init=3.0)
    x = torch.randn(2, 7)
    y = x @ (layer.weight * 0.01 / math.sqrt(7)).t() + 0.03
    expected = torch.where(y > 0, y, 0.2 * y) * math.sqrt(2) if activation == "lrelu" else y
    torch.testing.assert_close(layer(x), expected)


def test_weights_start_with_the_inverse_of_the_multiplier_as_deviation():
    layer = EqualizedLinear(300, 300, lr_multiplier=0.01)
    assert layer.weight.std().item() == pytest.approx(100, rel=0.02)
    assert layer.bias.abs().max() == 0


def test_a_convolution_follows_its_equation():
    layer = EqualizedConv2d(3, 4, kernel_size=3)
    torch.nn.init.normal_(layer.bias)
    x = torch.randn(2, 3, 6, 7)
    expected = F.conv2d(x, layer.weight / math.sqrt(27), padding=1) + layer.bias.view(1, -1, 1, 1)
    torch.testing.assert_close(layer(x), expected)


@pytest.mark.parametrize("kernel_size", [1, 3])
def test_halving_smooths_first_and_keeps_every_second_sample(kernel_size):
    layer = EqualizedConv2d(2, 3, kernel_size=kernel_size, down=2, bias=False)
    x = torch.randn(1, 2, 8, 8)
    fir = np.outer([1, 3, 3, 1], [1, 3, 3, 1]) / 64
    weight = (layer.weight / math.sqrt(2 * kernel_size**2)).detach().numpy()
    # full convolution with the filter, correlation with the weight, then the samples the definition keeps
    smooth = [convolve2d(channel, fir, mode="full") for channel in x[0].numpy()]
    full = np.stack([sum(convolve2d(s, w[::-1, ::-1]) for s, w in zip(smooth, row, strict=True)) for row in weight])
    # 1×1: pad 1 of the full 3; 3×3: pad 2 of the full 3, then no padding of the full 2
    first = {1: 2, 3: 3}[kernel_size]
    expected = torch.from_numpy(full[None, :, first : first + 8 : 2, first : first + 8 : 2]).float()
    torch.testing.assert_close(layer(x), expected, rtol=1e-4, atol=1e-5)


def test_an_unknown_activation_is_an_error():
    with pytest.raises(ValueError, match="activation must be 'linear' or 'lrelu', got 'relu'"):
        EqualizedLinear(2, 2, activation="relu")
    with pytest.raises(ValueError, match="activation must be 'linear' or 'lrelu', got 'relu'"):
        EqualizedConv2d(2, 2, kernel_size=1, activation="relu")


@pytest.mark.parametrize("n, group", [(1, 1), (3, 3), (16, 16), (17, 1), (18, 9), (32, 16), (34, 2)])
def test_the_minibatch_deviation_is_that_of_the_largest_group_that_divides_the_batch(n, group):
    x = torch.randn(n, 3, 4, 5)
    result = append_minibatch_std(x)
    assert torch.equal(result[:, :3], x)
    for i in range(n):
        members = x[i % (n // group) :: n // group].double().numpy()
        assert len(members) == group
        expected = np.sqrt(members.var(axis=0) + 1e-8).mean()
        assert result[i, 3].numpy() == pytest.approx(np.full((4, 5), expected), rel=1e-5)


def test_the_minibatch_deviation_of_equal_samples_has_a_finite_gradient():
    x = torch.ones(4, 2, 3, 3, requires_grad=True)
    append_minibatch_std(x)[:, 2].sum().backward()
    assert x.grad.isfinite().all()
