"""Calibration against closed forms of the normal distribution."""

import numpy as np
import pytest
import torch
from scipy.special import erf
from scipy.stats import norm

from unicoal_components.metrics import calibration as module
from unicoal_components.metrics.calibration import EVEN, NOMINAL, calibration, mean_coverage

SHAPE = (10, 60, 60)
EVERYWHERE = np.ones(SHAPE, bool)


@pytest.fixture
def gaussian():
    """Errors with the deviation that each voxel has."""
    rng = np.random.default_rng(0)
    deviation = rng.uniform(0.05, 0.4, SHAPE)
    return rng.normal(0, deviation), deviation


def at(result, nominal):
    return result.observed[int(np.argmin(np.abs(np.array(result.nominal) - nominal)))]


def test_gaussian_errors_with_their_true_deviation_are_calibrated(gaussian):
    result = calibration(error=gaussian[0], deviation=gaussian[1], foreground=EVERYWHERE)
    assert result.nominal == NOMINAL
    assert result.observed == pytest.approx(NOMINAL, abs=0.01)
    assert result.miscalibration < 0.005
    assert result.scale == pytest.approx(1, abs=0.01)
    assert 0.2 < result.spearman < 0.8


@pytest.mark.parametrize("factor", [0.5, 2.0, 3.0])
def test_a_deviation_off_by_a_factor_covers_what_the_normal_distribution_says(gaussian, factor):
    result = calibration(error=gaussian[0], deviation=factor * gaussian[1], foreground=EVERYWHERE)
    assert at(result, 0.6827) == pytest.approx(erf(factor / np.sqrt(2)), abs=0.01)
    expected = 2 * norm.cdf(factor * norm.ppf((1 + np.array(NOMINAL)) / 2)) - 1
    assert result.observed == pytest.approx(expected, abs=0.01)
    assert result.scale == pytest.approx(1 / factor, rel=0.02)
    gap = np.abs(expected - NOMINAL)[np.isin(NOMINAL, EVEN)].mean()
    assert result.miscalibration == pytest.approx(gap, abs=0.005)


def test_the_scale_makes_the_deviation_cover_one_sigma(gaussian):
    error = gaussian[0] ** 3  # far from Gaussian
    scale = calibration(error=error, deviation=gaussian[1], foreground=EVERYWHERE).scale
    assert np.mean(np.abs(error) <= scale * gaussian[1] * (1 + 1e-12)) == pytest.approx(erf(np.sqrt(0.5)), abs=1e-4)


def test_the_scale_is_the_smallest_multiple_that_covers_enough_voxels():
    error = np.arange(1.0, 11.0).reshape(1, 2, 5)  # of ten, seven are the first part of at least 68.27 %
    assert calibration(error=error, deviation=np.full((1, 2, 5), 0.5), foreground=error > 0).scale == 14


def test_the_correlation_sees_where_the_error_is_but_not_its_scale(gaussian):
    size = np.abs(gaussian[0])
    assert calibration(error=gaussian[0], deviation=7 * size**2, foreground=EVERYWHERE).spearman == pytest.approx(1)
    assert calibration(error=gaussian[0], deviation=1 / (size + 1), foreground=EVERYWHERE).spearman == pytest.approx(-1)
    independent = np.random.default_rng(1).uniform(1, 2, SHAPE)
    assert abs(calibration(error=gaussian[0], deviation=independent, foreground=EVERYWHERE).spearman) < 0.02


@pytest.mark.parametrize("constant", ["deviation", "error"])
def test_what_is_constant_has_no_rank_correlation(gaussian, constant):
    volumes = {"error": gaussian[0], "deviation": gaussian[1]} | {constant: np.full(SHAPE, 0.25)}
    result = calibration(**volumes, foreground=EVERYWHERE)
    assert np.isnan(result.spearman)
    assert np.isfinite(result.observed).all()


def test_a_deviation_of_zero_covers_only_an_error_of_zero():
    error, deviation = np.zeros((1, 10, 10)), np.zeros((1, 10, 10))
    foreground = np.ones((1, 10, 10), bool)
    perfect = calibration(error=error, deviation=deviation, foreground=foreground)
    assert set(perfect.observed) == {1.0}
    assert perfect.scale == 0
    assert perfect.miscalibration == pytest.approx(np.mean([1 - c for c in EVEN]))
    error[0, :3] = 0.1  # 30 %, so 68.27 % are still within any multiple
    few = calibration(error=error, deviation=deviation, foreground=foreground)
    assert set(few.observed) == {0.7}
    assert few.scale == 0
    error[0, :4] = 0.1
    assert calibration(error=error, deviation=deviation, foreground=foreground).scale == np.inf
    deviation[0, 3] = 0.05  # two of it are the error of 0.1 there
    assert calibration(error=error, deviation=deviation, foreground=foreground).scale == pytest.approx(2)


def test_only_the_foreground_counts(gaussian):
    foreground = np.zeros(SHAPE, bool)
    foreground[2:5, 10:30] = True
    error, deviation = (np.where(foreground, x, np.nan) for x in gaussian)
    cut = [x[2:5, 10:30] for x in gaussian]
    assert calibration(error=error, deviation=deviation, foreground=foreground) == calibration(
        error=cut[0], deviation=cut[1], foreground=EVERYWHERE[2:5, 10:30]
    )


def test_without_foreground_all_is_nan():
    result = calibration(error=np.zeros(SHAPE), deviation=np.zeros(SHAPE), foreground=~EVERYWHERE)
    assert np.isnan([result.spearman, result.miscalibration, result.scale, *result.observed]).all()


def test_a_draw_of_voxels_ranks_like_all(gaussian, monkeypatch):
    volumes = {"error": gaussian[0], "deviation": gaussian[1], "foreground": EVERYWHERE}
    every = calibration(**volumes)
    monkeypatch.setattr(module, "MAX_RANKED", 5000)
    drawn = calibration(**volumes)
    assert drawn.spearman == pytest.approx(every.spearman, abs=0.03)
    assert drawn.spearman != every.spearman
    assert drawn == calibration(**volumes)
    assert drawn.observed == every.observed


def test_tensors_are_measured_like_arrays(gaussian):
    error, deviation, foreground = (torch.from_numpy(x) for x in (*gaussian, EVERYWHERE))
    assert calibration(error=error.requires_grad_(), deviation=deviation, foreground=foreground) == calibration(
        error=gaussian[0], deviation=gaussian[1], foreground=EVERYWHERE
    )


def test_curves_are_averaged_over_cases(gaussian):
    sure, unsure = (
        calibration(error=gaussian[0], deviation=factor * gaussian[1], foreground=EVERYWHERE) for factor in (0.5, 2)
    )
    mean = mean_coverage([sure, unsure])
    assert mean == pytest.approx((np.array(sure.observed) + unsure.observed) / 2)
    with pytest.raises(ValueError, match="empty"):
        mean_coverage([])


@pytest.mark.parametrize(
    ("error", "deviation", "foreground", "message"),
    [
        (np.zeros((1, 2, 2)), np.zeros((1, 2, 3)), np.ones((1, 2, 2)), r"deviation has shape \(1, 2, 3\)"),
        (np.zeros((2, 2)), np.zeros((2, 2)), np.ones((2, 2)), r"\(D, H, W\)"),
        (np.full((1, 2, 2), np.nan), np.zeros((1, 2, 2)), np.ones((1, 2, 2)), "error: 4 of 4"),
        (np.zeros((1, 2, 2)), np.full((1, 2, 2), np.inf), np.ones((1, 2, 2)), "deviation: 4 of 4"),
        (np.zeros((1, 2, 2)), np.full((1, 2, 2), -0.5), np.ones((1, 2, 2)), "down to -0.5"),
    ],
)
def test_volumes_that_cannot_be_held_against_each_other_are_refused(error, deviation, foreground, message):
    with pytest.raises(ValueError, match=message):
        calibration(error=error, deviation=deviation, foreground=foreground)
