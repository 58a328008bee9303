import numpy as np
import pytest
import torch
from scipy.signal import firwin, freqz, kaiser_atten, kaiser_beta
from scipy.signal.windows import kaiser

from unicoal_components.networks.schedule import layer_table
from unicoal_components.signal.filters import design_lowpass, flat_lowpass, gaussian_taps

DESIGNS = [
    {"taps": 12, "cutoff": 2.0, "half_width": 6.0, "sampling_rate": 32},
    {"taps": 24, "cutoff": 10.1, "half_width": 5.9, "sampling_rate": 128},
    {"taps": 12, "cutoff": 64.0, "half_width": 14.8, "sampling_rate": 256},
    {"taps": 7, "cutoff": 3.0, "half_width": 2.0, "sampling_rate": 20.0},
]


@pytest.mark.parametrize("design", DESIGNS)
def test_the_lowpass_is_a_kaiser_windowed_sinc_of_unit_sum(design):
    n, rate = design["taps"], design["sampling_rate"]
    window = kaiser(n, kaiser_beta(kaiser_atten(n, 2 * design["half_width"] / (rate / 2))))
    t = np.arange(n) - (n - 1) / 2
    expected = np.sinc(2 * design["cutoff"] / rate * t) * window
    np.testing.assert_allclose(design_lowpass(**design).numpy(), expected / expected.sum(), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("design", DESIGNS)
def test_the_lowpass_is_symmetric_and_keeps_constants(design):
    taps = design_lowpass(**design)
    assert taps.dtype == torch.float32
    assert torch.allclose(taps, taps.flip(0), atol=1e-7)
    assert taps.sum().item() == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("order", [1, 2, 3, 5])
def test_the_flat_lowpass_has_its_closed_form(order):
    frequencies = np.linspace(0, np.pi, 9)
    _, amplitude = freqz(flat_lowpass(order=order).double().numpy(), worN=frequencies)
    np.testing.assert_allclose(np.abs(amplitude), 1 - np.sin(frequencies / 2) ** (2 * order), atol=1e-6)


def test_the_flat_lowpass_of_order_1_is_binomial_and_0_is_refused():
    assert flat_lowpass(order=1).tolist() == [0.25, 0.5, 0.25]
    with pytest.raises(ValueError, match="order must be at least 1, got 0"):
        flat_lowpass(order=0)


@pytest.mark.parametrize("row", [0, 4, 9, 13])
def test_the_filters_of_the_layer_table_equal_those_of_scipy(row):
    row = layer_table(resolution=256)[row]
    rate, taps = 2 * row.sampling_rate, 12
    ours = design_lowpass(taps=taps, cutoff=row.cutoff, half_width=row.half_width, sampling_rate=rate)
    oracle = firwin(numtaps=taps, cutoff=row.cutoff, width=2 * row.half_width, fs=rate)
    np.testing.assert_allclose(ours.numpy(), oracle, rtol=1e-6, atol=1e-8)


def test_a_long_lowpass_passes_half_at_the_cutoff_and_little_in_the_stopband():
    taps = design_lowpass(taps=96, cutoff=20.0, half_width=5.0, sampling_rate=128).numpy()
    _, response = freqz(taps, worN=[5.0, 20.0, 26.0, 40.0], fs=128)
    assert np.abs(response[:2]) == pytest.approx([1, 0.5], abs=5e-3)
    assert np.abs(response[2:]).max() < 5e-3


def test_one_tap_means_no_filter():
    assert design_lowpass(taps=1, cutoff=2.0, half_width=1.0, sampling_rate=16) is None


def test_fewer_than_one_tap_is_an_error():
    with pytest.raises(ValueError, match="taps must be at least 1, got 0"):
        design_lowpass(taps=0, cutoff=2.0, half_width=1.0, sampling_rate=16)


@pytest.mark.parametrize("sigma", [0.34, 1.0, 2.0, 2.5, 10.0])
def test_gaussian_taps_halve_at_a_distance_of_sigma(sigma):
    taps = gaussian_taps(sigma).double()
    radius = int(np.floor(3 * sigma))
    t = torch.arange(-radius, radius + 1, dtype=torch.float64)
    expected = 0.5 ** ((t / sigma) ** 2)
    assert len(taps) == 2 * radius + 1
    torch.testing.assert_close(taps, expected / expected.sum(), rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("sigma", [0, 0.0, 0.33])
def test_a_gaussian_narrower_than_a_third_of_a_pixel_is_one_tap(sigma):
    assert gaussian_taps(sigma).tolist() == [1.0]


@pytest.mark.parametrize("sigma", [-1.0, float("nan"), float("inf")])
def test_a_negative_or_not_finite_width_is_an_error(sigma):
    with pytest.raises(ValueError, match="sigma must be finite and not negative"):
        gaussian_taps(sigma)
