import torch
from unicoal_components.transforms.intensity_jitter import BIAS_TERMS, jitter_intensity

NONE = [0.0] * BIAS_TERMS


def images():
    return torch.rand(4, 6, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_gamma_one_and_no_bias_change_nothing():
    torch.testing.assert_close(jitter_intensity(images(), gamma=1, bias=NONE), images())


def test_background_stays_blank_and_the_range_is_kept():
    x = images()
    x[:, :2] = -1
    y = jitter_intensity(x, gamma=0.7, bias=[1.0, -1, 1, 1, 1])
    assert (y[:, :2] == -1).all() and y.min() >= -1 and y.max() <= 1


def test_gamma_acts_on_intensities_between_zero_and_one():
    v = (images() + 1) / 2
    torch.testing.assert_close(jitter_intensity(images(), gamma=1.3, bias=NONE), v**1.3 * 2 - 1)


def test_the_field_is_a_ramp_for_its_first_coefficient_and_the_same_in_all_slices():
    y = jitter_intensity(torch.full((3, 5, 5), -0.5), gamma=1, bias=[0.2, 0, 0, 0, 0])
    expected = 0.25 * torch.exp(0.2 * torch.linspace(-1, 1, 5))
    torch.testing.assert_close((y + 1) / 2, expected.expand(3, 5, 5))
