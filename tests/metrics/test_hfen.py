"""The high-frequency error norm against a filter written out."""

import numpy as np
import pytest
from scipy.ndimage import convolve

from unicoal_components.metrics.hfen import RADIUS, edges, hfen


def log_kernel(dimensions):
    """The Laplacian of Gaussian with 15 taps and sigma 1.5 as its formula says."""
    grids = np.meshgrid(*[np.arange(-7.0, 8.0)] * dimensions, indexing="ij")
    square = sum(grid**2 for grid in grids)
    gauss = np.exp(-square / (2 * 1.5**2))
    return gauss / gauss.sum() * (square - dimensions * 1.5**2) / 1.5**4


@pytest.fixture
def pair():
    rng = np.random.default_rng(0)
    target = rng.uniform(0, 1, (9, 10, 8))
    return target + rng.normal(0, 0.2, target.shape), target


def test_it_agrees_with_the_filter_of_15_x_15_x_15_taps(pair):
    prediction, target = pair
    mask = np.zeros(target.shape, dtype=bool)
    mask[2:6, 3:, :5] = True
    p, t = (convolve(volume, log_kernel(3), mode="reflect")[mask] for volume in pair)
    expected = np.sqrt(((p - t) ** 2).sum() / (t**2).sum())
    assert hfen(prediction=prediction, target=target, mask=mask) == pytest.approx(expected, rel=1e-9)


def test_a_single_slice_is_filtered_in_2d(pair):
    oracle = convolve(pair[1][0], log_kernel(2), mode="reflect")
    np.testing.assert_allclose(edges(pair[1][:1])[0], oracle, atol=1e-4)


def test_a_prediction_without_detail_gets_1_and_an_equal_one_0(pair):
    assert hfen(prediction=np.full((9, 10, 8), 0.3), target=pair[1]) == pytest.approx(1, abs=1e-4)
    assert hfen(prediction=pair[1], target=pair[1]) == 0


def test_the_error_of_a_contrast_is_what_the_contrast_is_off_by(pair):
    assert hfen(prediction=1.3 * pair[1] + 0.2, target=pair[1]) == pytest.approx(0.3, abs=1e-4)


def test_the_scale_does_not_matter_as_long_as_it_is_one(pair):
    once = hfen(prediction=pair[0], target=pair[1])
    assert hfen(prediction=50 * pair[0] - 7, target=50 * pair[1] - 7) == pytest.approx(once, rel=1e-6)


def test_voxels_further_from_the_mask_than_the_filter_reaches_do_not_count(pair):
    target = np.pad(pair[1], ((0, 0), (0, 0), (0, 9)))
    prediction = np.pad(pair[0], ((0, 0), (0, 0), (0, 9)))
    mask = np.zeros(target.shape, dtype=bool)
    mask[..., :4] = True
    results = []
    for distance in (RADIUS + 1, RADIUS):
        other = prediction.copy()
        other[..., 3 + distance] += 100
        results.append(hfen(prediction=other, target=target, mask=mask))
    once = hfen(prediction=prediction, target=target, mask=mask)
    assert results[0] == pytest.approx(once, rel=1e-12)
    assert results[1] != pytest.approx(once, rel=1e-4)


def test_where_the_target_has_no_detail_there_is_no_number(pair):
    assert np.isnan(hfen(prediction=pair[0], target=np.full((9, 10, 8), 0.4)))
    half = np.concatenate([np.zeros_like(pair[1]), pair[1]])
    mask = np.zeros(half.shape, dtype=bool)
    mask[0] = True
    assert np.isnan(hfen(prediction=half, target=half, mask=mask))
