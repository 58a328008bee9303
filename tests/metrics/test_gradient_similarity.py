"""The gradient magnitude similarity against filters written out."""

import numpy as np
import pytest
from scipy.ndimage import convolve

from unicoal_components.metrics.gradient_similarity import gradient_magnitude, gradient_similarity_map

C = 170 / 255**2


def magnitude(volume):
    """Prewitt's filters as arrays: a difference along one axis, means along the others."""
    total = np.zeros(volume.shape)
    for axis in range(volume.ndim):
        kernel = np.full((3,) * volume.ndim, 3.0 ** (1 - volume.ndim))
        kernel *= np.array([1.0, 0.0, -1.0]).reshape([3 if a == axis else 1 for a in range(volume.ndim)])
        total += convolve(volume, kernel, mode="reflect") ** 2
    return np.sqrt(total)


@pytest.fixture
def pair():
    rng = np.random.default_rng(0)
    target = rng.uniform(0, 1, (7, 8, 9))
    return target + rng.normal(0, 0.2, target.shape), target


def test_it_follows_the_formula(pair):
    p, t = (magnitude(volume) for volume in pair)
    expected = (2 * p * t + C) / (p**2 + t**2 + C)
    np.testing.assert_allclose(gradient_similarity_map(prediction=pair[0], target=pair[1]), expected, atol=1e-12)


def test_a_single_slice_has_the_gradient_of_the_papers_2d_filters(pair):
    np.testing.assert_allclose(gradient_magnitude(pair[1][:1])[0], magnitude(pair[1][0]), atol=1e-12)


@pytest.mark.parametrize("slopes", [(0.1, 0, 0), (0, 0.1, 0), (0, 0, -0.1), (0.1, -0.2, 0.2)])
def test_a_ramp_has_twice_its_slope_in_any_direction(slopes):
    ramp = sum(slope * grid for slope, grid in zip(slopes, np.indices((5, 5, 5)), strict=True))
    np.testing.assert_allclose(gradient_magnitude(ramp)[1:-1, 1:-1, 1:-1], 2 * np.linalg.norm(slopes))


def test_equal_volumes_and_volumes_that_differ_by_an_offset_have_1_everywhere(pair):
    np.testing.assert_allclose(gradient_similarity_map(prediction=pair[1], target=pair[1]), 1, atol=1e-12)
    np.testing.assert_allclose(gradient_similarity_map(prediction=pair[1] + 0.3, target=pair[1]), 1, atol=1e-9)


def test_too_smooth_and_too_rough_are_both_seen(pair):
    assert gradient_similarity_map(prediction=0.5 * pair[1], target=pair[1]).mean() < 0.9
    assert gradient_similarity_map(prediction=2.0 * pair[1], target=pair[1]).mean() < 0.9


def test_volumes_of_different_shape_are_refused(pair):
    with pytest.raises(ValueError, match="same grid"):
        gradient_similarity_map(prediction=pair[0][1:], target=pair[1])
