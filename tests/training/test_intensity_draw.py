import math

import numpy as np
import pytest
import torch

from unicoal_components.training.intensity_draw import (
    BIAS_TERMS,
    DARK,
    LEVELS,
    add_noise,
    bias_field,
    draw_intensity,
    shade,
)

LINEAR = np.linspace(0, 1, LEVELS)
OFF = {"gamma": 0.0, "gain": 0.0, "bias": 0.0, "noise": 0.0, "contrast": False}


def draws(count=200, **options):
    random = np.random.RandomState(0)
    return [draw_intensity(random, **(OFF | options)) for _ in range(count)]


def images():
    return torch.rand(4, 6, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_all_off_changes_nothing():
    (one,) = draws(1)
    np.testing.assert_array_equal(one.curve, LINEAR)
    assert one.bias == (0,) * BIAS_TERMS and one.noise == 0


def test_gain_and_gamma_are_factor_and_exponent_of_intensities_between_zero_and_one():
    for one in draws(gamma=0.4):
        exponent = math.log(one.curve[100]) / math.log(LINEAR[100])
        assert abs(math.log(exponent)) <= 0.4
        np.testing.assert_allclose(one.curve, LINEAR**exponent)
    for one in draws(gain=0.2):
        gain = one.curve[50] / LINEAR[50]
        assert abs(math.log(gain)) <= 0.2
        np.testing.assert_allclose(one.curve, np.clip(gain * LINEAR, 0, 1))


@pytest.mark.parametrize("contrast", [False, True])
def test_curves_keep_the_background_and_the_range(contrast):
    for one in draws(gamma=1, gain=1, contrast=contrast):
        assert one.curve[0] == 0 and one.curve.min() >= 0 and one.curve.max() <= 1 and one.curve.shape == (LEVELS,)


def test_another_contrast_is_inverted_or_rises_or_does_neither_and_air_stays_dark():
    curves = [one.curve for one in draws(600, contrast=True)]
    air = LINEAR < DARK
    inverted = [c for c in curves if np.allclose(c[~air], 1 - LINEAR[~air])]
    rising = [c for c in curves if (np.diff(c) >= -1e-12).all()]
    assert 150 < len(inverted) < 250 and 150 < len(rising) < 250
    for curve in inverted:
        np.testing.assert_allclose(curve[air], (1 - LINEAR[air]) * LINEAR[air] / DARK)
    assert all(c[-1] == pytest.approx(1) for c in rising)


def test_every_draw_takes_as_many_random_numbers():
    left = []
    for options in ({}, {"contrast": True}, {"gamma": 0.3, "gain": 0.3, "bias": 0.3, "noise": 0.3}):
        random = np.random.RandomState(5)
        draw_intensity(random, **(OFF | options))
        left.append(random.rand())
    assert len(set(left)) == 1


def test_the_field_is_a_ramp_for_its_first_coefficient_and_the_same_in_all_slices():
    shaded = shade(torch.full((3, 5, 5), -0.5), bias_field([0.2, 0, 0, 0, 0], 5, 5))
    expected = 0.25 * torch.exp(0.2 * torch.linspace(-1, 1, 5))
    torch.testing.assert_close((shaded + 1) / 2, expected.expand(3, 5, 5))


def test_the_logarithm_of_the_field_is_a_polynomial_that_is_zero_on_average():
    coefficients = [0.3, -0.2, 0.4, 0.1, -0.5]
    y, x = np.meshgrid(np.linspace(-1, 1, 301), np.linspace(-1, 1, 201), indexing="ij")
    field = bias_field(coefficients, 301, 201).log().numpy()
    a, b, c, d, e = coefficients
    np.testing.assert_allclose(field, a * x + b * y + c * x * y + d * (x**2 - 1 / 3) + e * (y**2 - 1 / 3), atol=1e-5)
    assert abs(field.mean()) < 0.01


def test_shading_keeps_background_and_range():
    x = images()
    x[:, :2] = -1
    y = shade(x, bias_field([1.0, -1, 1, 1, 1], 6, 8))
    assert (y[:, :2] == -1).all() and y.min() >= -1 and y.max() <= 1


@pytest.mark.parametrize("signal", [0.02, 0.1, 0.5])
def test_noise_has_the_second_moment_of_the_rice_distribution(signal):
    sigma = 0.05
    magnitude = (add_noise(torch.full((4, 200, 200), 2 * signal - 1), sigma=sigma, seed=1).double() + 1) / 2
    assert magnitude.square().mean().item() == pytest.approx(signal**2 + 2 * sigma**2, rel=0.01)
    fourth = signal**4 + 8 * sigma**2 * signal**2 + 8 * sigma**4  # E[M⁴], Gudbjartsson and Patz 1995
    assert magnitude.pow(4).mean().item() == pytest.approx(fourth, rel=0.02)


def test_noise_follows_its_seed_and_leaves_blank_what_is_blank():
    x = images()
    x[:, :3] = -1
    one, same, other = (add_noise(x, sigma=0.1, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(one, same) and not torch.equal(one, other)
    assert (one[:, :3] == -1).all() and one.min() >= -1 and one.max() <= 1
    torch.testing.assert_close(add_noise(x, sigma=0.0, seed=1), x)
