"""Baselines against least squares and their own definitions."""

import numpy as np
import pytest
import torch

from unicoal_components.evaluation.baselines import affine_map, baseline


def test_the_affine_map_is_the_least_squares_fit():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 3, 4, 5))
    expected = np.polyval(np.polyfit(x.ravel(), y.ravel(), 1), x)
    np.testing.assert_allclose(affine_map(torch.tensor(x), torch.tensor(y)), expected)


def test_a_constant_image_maps_to_the_mean_of_the_truth():
    assert affine_map(torch.ones(2, 2), torch.tensor([[0.0, 1.0], [2.0, 3.0]])).tolist() == [[1.5, 1.5], [1.5, 1.5]]


def test_the_affine_map_fits_and_acts_inside_only():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 6, 5, 4))
    inside = rng.random(x.shape) < 0.5
    mapped = affine_map(torch.tensor(x), torch.tensor(y), inside=torch.tensor(inside)).numpy()
    np.testing.assert_allclose(mapped[inside], np.polyval(np.polyfit(x[inside], y[inside], 1), x[inside]))
    np.testing.assert_array_equal(mapped[~inside], x[~inside])


@pytest.mark.parametrize("name", ["copy", "linear", "cubic"])
def test_baselines_keep_the_measured_slices(name):
    stack = torch.rand(4, 6, 5)
    thin = baseline(name, stack=stack, factor=3, indices=torch.arange(10), target=torch.zeros(10, 6, 5))
    torch.testing.assert_close(thin[::3], stack)


@pytest.mark.parametrize("name", ["copy", "linear", "cubic", "affine"])
def test_no_baseline_leaves_the_range_that_an_output_can_have(name):
    stack = torch.where(torch.arange(6) % 2 == 0, 1.0, -1.0).repeat_interleave(2)[:, None, None].expand(-1, 2, 2)
    target = 3 * torch.rand(23, 2, 2) - 1.5
    thin = baseline(name, stack=stack, factor=2, indices=torch.arange(23), target=target)
    assert thin.abs().max() <= 1


def test_the_linear_row_lies_half_way_between_two_slices():
    stack = torch.tensor([0.0, 0.5]).view(2, 1, 1)
    thin = baseline("linear", stack=stack, factor=2, indices=torch.arange(3), target=torch.zeros(3, 1, 1))
    assert thin.flatten().tolist() == [0, 0.25, 0.5]


def test_an_unknown_baseline_is_an_error_that_lists_the_known():
    with pytest.raises(ValueError, match="copy, linear, cubic, affine"):
        baseline("spline", stack=torch.zeros(1, 1, 1), factor=1, indices=torch.zeros(1), target=torch.zeros(1, 1, 1))
