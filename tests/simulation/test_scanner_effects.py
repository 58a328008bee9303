import numpy as np
import pytest

from unicoal_components.simulation.scanner_effects import bias_field, rician_noise


def test_rician_noise_has_the_second_moment_of_the_closed_form():
    signal = np.full(400_000, 3.0, np.float32)
    noisy = rician_noise(signal, np.random.default_rng(0), sigma=1.5)
    assert np.mean(noisy.astype(float) ** 2) == pytest.approx(3.0**2 + 2 * 1.5**2, rel=5e-3)


def test_rician_noise_without_signal_is_rayleigh():
    noisy = rician_noise(np.zeros(400_000, np.float32), np.random.default_rng(0), sigma=2.0)
    assert noisy.mean() == pytest.approx(2.0 * np.sqrt(np.pi / 2), rel=5e-3)
    assert noisy.var() == pytest.approx((2 - np.pi / 2) * 4.0, rel=1e-2)


def test_rician_noise_on_a_strong_signal_is_gaussian():
    noisy = rician_noise(np.full(400_000, 100.0, np.float32), np.random.default_rng(0), sigma=1.0)
    assert noisy.mean() == pytest.approx(100.0 + 1 / 200, abs=0.01)
    assert noisy.std() == pytest.approx(1.0, rel=1e-2)


def test_the_bias_field_is_a_smooth_gain_within_its_strength():
    field = bias_field((20, 24, 22), np.random.default_rng(0), strength=0.2)
    assert field.shape == (20, 24, 22)
    assert np.exp(-0.2) <= field.min() < field.max() <= np.exp(0.2)
    assert max(np.abs(np.diff(field, axis=axis)).max() for axis in range(3)) < 0.1
