import numpy as np
import pytest
from scipy.interpolate import BSpline

from unicoal_components.simulation.random_field import random_spline_field, smooth_noise, spline_field


def test_a_spline_field_equals_scipys_spline_along_each_axis():
    coefficients = np.random.default_rng(0).normal(size=(6, 5, 7))
    expected = coefficients
    for axis, size in enumerate((9, 8, 11)):
        spans = coefficients.shape[axis] - 3
        points = (np.arange(size) + 0.5) / size * spans
        expected = BSpline(np.arange(-3.0, spans + 4), expected, 3, axis=axis)(points)
    np.testing.assert_allclose(spline_field(coefficients, (9, 8, 11)), expected, atol=1e-5)


def test_equal_coefficients_give_a_constant_field():
    np.testing.assert_allclose(spline_field(np.full((4, 5, 6), 2.5), (7, 8, 9)), 2.5, rtol=1e-6)


def test_a_random_field_stays_within_its_amplitude():
    field = random_spline_field((12, 14, 10), (3, 3, 3), np.random.default_rng(0), amplitude=2.0)
    assert 0.2 < np.abs(field).max() <= 2.0


def test_smooth_noise_has_unit_variance_and_correlates_over_its_width():
    noise = smooth_noise((40, 40, 40), np.random.default_rng(0), sigma=(2.0,) * 3)
    assert noise.std() == pytest.approx(1.0, rel=1e-4)
    neighbors = np.corrcoef(noise[1:].ravel(), noise[:-1].ravel())[0, 1]
    assert neighbors == pytest.approx(np.exp(-1 / 16), abs=0.02)  # exp(-d² / 4 σ²)
