"""Spectra of waves and of white noise, whose power is known."""

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from unicoal_components.metrics.measure import CaseVolumes
from unicoal_components.metrics.spectrum import (
    SAFE_CUTOFF,
    HighFrequencies,
    excess_power,
    power_above,
    radial_spectrum,
)
from unicoal_components.networks.schedule import NUM_CRITICAL, layer_table

REAL = Path(__file__).parents[2] / ".." / "shared" / "data" / "cstar_stroke" / "T2.nii.gz"


@pytest.fixture
def noise():
    return np.random.default_rng(0).normal(size=(60, 48, 40))


def wave(frequency, *, size=64, angle=0.0, offset=0.0):
    """One image of a plane wave; frequency in cycles per pixel, angle in degrees from the rows."""
    y, x = np.mgrid[:size, :size]
    along = x * np.cos(np.deg2rad(angle)) + y * np.sin(np.deg2rad(angle))
    return np.sin(2 * np.pi * frequency * along + 0.3)[None] + offset


def test_the_safe_band_ends_with_the_last_layer_that_is_not_critical():
    last = layer_table(resolution=256)[14 - NUM_CRITICAL - 1]
    assert last.cutoff / 256 == pytest.approx(0.5 / np.sqrt(2))
    assert pytest.approx(last.cutoff / 256, abs=0.005) == SAFE_CUTOFF
    assert last.cutoff + last.half_width == pytest.approx(last.sampling_rate / 2)
    cutoffs = [layer_table(resolution=size)[11].cutoff / size for size in (128, 512)]
    assert cutoffs == pytest.approx([0.375, 0.334], abs=1e-3)


def test_white_noise_has_a_flat_spectrum_at_its_variance(noise):
    frequencies, power = radial_spectrum(3 * noise)
    assert power[1:] == pytest.approx(np.full(len(power) - 1, 9.0), rel=0.15)
    assert power[1:].mean() == pytest.approx(9, rel=0.02)
    assert (np.diff(frequencies) > 0).all()
    assert frequencies[0] == pytest.approx(1 / 40, rel=0.2)
    assert frequencies[-1] == pytest.approx(np.sqrt(0.5), abs=1 / 40)


@pytest.mark.parametrize("angle", [0, 30, 45, 90])
@pytest.mark.parametrize("frequency", [0.1, 0.27, 0.45])
def test_a_wave_has_its_peak_at_its_frequency_in_any_direction(frequency, angle):
    frequencies, power = radial_spectrum(wave(frequency, angle=angle, offset=5))
    assert frequencies[power.argmax()] == pytest.approx(frequency, abs=1 / 64)
    assert power[np.abs(frequencies - frequency) > 4 / 64].max() < 1e-4 * power.max()


def test_the_power_of_a_wave_is_its_mean_square_over_the_area_of_its_ring():
    frequencies, power = radial_spectrum(wave(8 / 64, size=64))
    samples = np.bincount(np.round(64 * np.hypot(*np.meshgrid(*[np.fft.fftfreq(64)] * 2))).astype(int).ravel())
    # Parseval: the sum over all samples / (H W) is the mean square under the window, 1/2
    assert (power * samples[1 : len(power) + 1]).sum() / 64**2 == pytest.approx(0.5, rel=1e-3)
    assert len(frequencies) == len(samples) - 1


def test_a_filter_shapes_the_spectrum_by_the_square_of_its_response(noise):
    frequencies, before = radial_spectrum(noise)
    _, after = radial_spectrum(gaussian_filter(noise, (0, 1, 1), mode="wrap"))
    middle = (frequencies > 0.1) & (frequencies < 0.35)
    expected = np.exp(-4 * np.pi**2 * frequencies**2)
    assert (after / before)[middle] == pytest.approx(expected[middle], rel=0.3)


@pytest.mark.parametrize("shape", [(1, 8, 8), (1, 9, 31), (2, 40, 16), (1, 33, 33)])
def test_no_ring_is_without_samples(shape):
    frequencies, power = radial_spectrum(np.random.default_rng(0).normal(size=shape))
    assert np.isfinite(frequencies).all()
    assert (power > 0).all()
    assert np.diff(frequencies).max() < 1.7 / min(shape[1:])


@pytest.mark.parametrize(("frequency", "expected"), [(0.1, 0), (0.25, 0), (0.45, 1)])
@pytest.mark.parametrize("angle", [0, 37])
def test_a_wave_is_wholly_below_or_above_the_cutoff(frequency, angle, expected):
    assert power_above(wave(frequency, angle=angle, offset=-3)) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("cutoff", [0.1, 0.35, 0.5])
def test_white_noise_has_the_part_of_the_area(noise, cutoff):
    assert power_above(noise, cutoff=cutoff) == pytest.approx(1 - np.pi * cutoff**2, abs=0.01)


def test_parts_add_up_by_power():
    images = wave(0.1) + 0.5 * wave(0.45, angle=90)
    assert power_above(images) == pytest.approx(0.2, abs=1e-3)
    assert power_above(np.concatenate([wave(0.1), 0.5 * wave(0.45)])) == pytest.approx(0.2, abs=1e-3)


def test_borders_that_do_not_fit_together_leak_little():
    ramp = np.broadcast_to(np.linspace(-1, 1, 64), (1, 64, 64))
    assert power_above(ramp) < 1e-6


@pytest.mark.parametrize("value", [-1.0, 0.1, 1e6 + 0.3])
def test_constant_images_have_no_power(value):
    images = np.full((2, 24, 20), value, dtype=np.float32)
    assert np.isnan(power_above(images))
    assert (radial_spectrum(images)[1] == 0).all()
    assert excess_power(prediction=images, target=np.random.default_rng(0).normal(size=images.shape)) == -np.inf
    assert np.isnan(excess_power(prediction=images, target=images))


def test_the_excess_is_the_ratio_beyond_the_cutoff_only():
    target = wave(0.1) + 0.1 * wave(0.45)
    assert excess_power(prediction=target, target=target) == 0
    assert excess_power(prediction=9 * wave(0.1) + 0.2 * wave(0.45), target=target) == pytest.approx(6.02, abs=0.01)
    assert excess_power(prediction=wave(0.1) + 0.01 * wave(0.45), target=target) == pytest.approx(-20, abs=0.1)
    assert excess_power(prediction=3 * target, target=target, cutoff=0.2) == pytest.approx(20 * np.log10(3))


def test_blur_is_below_zero_and_noise_above(noise):
    truth = gaussian_filter(noise, (0, 0.6, 0.6))
    assert excess_power(prediction=gaussian_filter(truth, (0, 1, 1)), target=truth) < -10
    assert excess_power(prediction=truth + 0.5 * noise[::-1], target=truth) > 3


def test_tensors_are_measured_like_arrays(noise):
    assert power_above(torch.from_numpy(noise)) == power_above(noise)
    assert excess_power(prediction=torch.from_numpy(noise), target=torch.from_numpy(2 * noise)) == pytest.approx(
        -6.0206
    )


def test_the_measure_takes_slices_that_hold_foreground_and_are_evaluated(noise):
    prediction, target = noise[:10].astype(np.float32), noise[10:20].astype(np.float32)
    foreground = np.zeros(target.shape, bool)
    foreground[2:6, 20, 20] = True
    measure = HighFrequencies()
    assert [(column.name, column.unit, column.better) for column in measure.columns] == [
        ("high_frequencies", "dB", "none")
    ]
    assert measure.note == ""
    case = CaseVolumes(prediction, target, foreground)
    assert measure(case) == {"high_frequencies": excess_power(prediction=prediction[2:6], target=target[2:6])}
    case = CaseVolumes(prediction, target, foreground, evaluated_slices=np.array([0, 3, 5, 9]))
    kept = {"prediction": prediction[[3, 5]], "target": target[[3, 5]]}
    assert measure(case) == {"high_frequencies": excess_power(**kept)}
    assert HighFrequencies(cutoff=0.2)(case) == {"high_frequencies": excess_power(**kept, cutoff=0.2)}
    for slices in ([0, 9], []):
        case = CaseVolumes(prediction, target, foreground, evaluated_slices=np.array(slices, dtype=int))
        assert np.isnan(measure(case)["high_frequencies"])


@pytest.mark.parametrize("cutoff", [0, -0.1, 0.71, 128, float("nan")])
def test_a_cutoff_that_is_no_frequency_of_the_image_is_refused(cutoff, noise):
    with pytest.raises(ValueError, match="cutoff is"):
        HighFrequencies(cutoff=cutoff)
    with pytest.raises(ValueError, match="cutoff is"):
        power_above(noise, cutoff=cutoff)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((8, 8)), r"\(N, H, W\)"),
        (np.zeros((0, 8, 8)), "N >= 1"),
        (np.zeros((1, 8, 7)), ">= 8"),
        (np.full((1, 8, 8), np.nan), "64 of 64"),
    ],
)
def test_images_without_a_spectrum_are_refused(images, message):
    for measure in (radial_spectrum, power_above):
        with pytest.raises(ValueError, match=message):
            measure(images)


def test_images_on_different_grids_are_not_compared(noise):
    with pytest.raises(ValueError, match="same grid"):
        excess_power(prediction=noise, target=noise[1:])


@pytest.mark.skipif(not REAL.is_file(), reason=f"the real scan is not there: {REAL}")
def test_real_slices_hold_little_beyond_the_safe_band():
    import nibabel

    slices = np.moveaxis(nibabel.load(REAL).get_fdata(dtype=np.float32), 2, 0)[60:80]
    assert 1e-3 < power_above(slices) < 0.02
    frequencies, power = radial_spectrum(slices)
    assert (np.diff(power[(frequencies > 0.05) & (frequencies < 0.5)]) < 0).mean() > 0.8
