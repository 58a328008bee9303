"""The local SSIM against scikit-image and the formula."""

import numpy as np
import pytest
from skimage.metrics import structural_similarity

from unicoal_components.metrics.ssim_map import ssim_map

OPTIONS = {"data_range": 1, "gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "full": True}


def pair(shape, seed=0):
    rng = np.random.default_rng(seed)
    target = rng.uniform(0, 1, shape)
    return target + rng.normal(0, 0.2, shape), target


def test_it_is_scikit_images_in_3d():
    prediction, target = pair((12, 14, 13))
    _, oracle = structural_similarity(target, prediction, **OPTIONS)
    np.testing.assert_allclose(ssim_map(prediction=prediction, target=target), oracle, atol=1e-12)


def test_of_a_single_slice_it_is_scikit_images_in_2d():
    prediction, target = pair((1, 14, 13))
    _, oracle = structural_similarity(target[0], prediction[0], **OPTIONS)
    np.testing.assert_allclose(ssim_map(prediction=prediction, target=target)[0], oracle, atol=1e-12)


def test_a_voxel_follows_the_formula_with_weights_written_out():
    prediction, target = pair((11, 11, 11))
    tap = np.exp(-np.square(np.arange(-5, 6)) / (2 * 1.5**2))
    weight = tap[:, None, None] * tap[:, None] * tap
    weight /= weight.sum()
    p, t = (weight * prediction).sum(), (weight * target).sum()
    vp, vt = (weight * (prediction - p) ** 2).sum(), (weight * (target - t) ** 2).sum()
    cov = (weight * (prediction - p) * (target - t)).sum()
    expected = (2 * p * t + 1e-4) * (2 * cov + 9e-4) / ((p * p + t * t + 1e-4) * (vp + vt + 9e-4))
    assert ssim_map(prediction=prediction, target=target)[5, 5, 5] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 5, 2), (5, 16, 16)])
def test_volumes_smaller_than_the_window_are_measured(shape):
    prediction, target = pair(shape)
    assert np.isfinite(ssim_map(prediction=prediction, target=target)).all()
    np.testing.assert_allclose(ssim_map(prediction=target, target=target), 1, atol=1e-9)
