import numpy as np
import pytest
import torch
from scipy.interpolate import CubicSpline
from scipy.ndimage import map_coordinates

from unicoal_components.slices.interpolation import cubic_interpolation, linear_interpolation, nearest_slices

METHODS = [cubic_interpolation, linear_interpolation, nearest_slices]


def noise(n=7, h=3, w=2):
    return np.random.default_rng(0).standard_normal((n, h, w)).astype(np.float32)


@pytest.mark.parametrize("method", METHODS)
def test_factor_one_is_the_identity_to_the_bit(method):
    stack = noise()
    assert np.array_equal(method(stack, 1.0, range(7)), stack)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("factor", [1.1, 2.0, 2.5, 6.0])
def test_a_tensor_gives_the_same_as_an_array(method, factor):
    stack, indices = noise(), np.arange(round(7 * factor))
    got = method(torch.from_numpy(stack), factor, torch.from_numpy(indices))
    assert got.dtype == torch.float32 and got.shape == (len(indices), 3, 2)
    np.testing.assert_allclose(got.numpy(), method(stack, factor, indices), atol=1e-6)


@pytest.mark.parametrize(("method", "order"), [(cubic_interpolation, 3), (linear_interpolation, 1)])
def test_each_pixel_equals_scipy_on_its_column(method, order):
    stack, indices = noise(), np.arange(17)
    got = method(stack, 2.5, indices)
    for y, x in np.ndindex(3, 2):
        want = map_coordinates(stack[:, y, x].astype(np.float64), [indices / 2.5], order=order, mode="nearest")
        np.testing.assert_allclose(got[:, y, x], want, atol=1e-5)


def test_cubic_interpolation_of_a_smooth_curve_is_near_a_cubic_spline_away_from_the_ends():
    depth = np.arange(24.0)
    stack = np.sin(depth / 3).reshape(-1, 1, 1)
    indices = np.arange(40, 60)
    want = CubicSpline(depth, np.sin(depth / 3))(indices / 4)
    np.testing.assert_allclose(cubic_interpolation(stack, 4.0, indices).ravel(), want, atol=1e-5)


def test_past_the_last_thick_slice_the_last_slice_is_repeated():
    stack = noise()
    for method in (linear_interpolation, nearest_slices):
        np.testing.assert_array_equal(method(stack, 4.0, [24, 25, 27]), stack[[6, 6, 6]])


@pytest.mark.parametrize("method", METHODS)
def test_a_thin_slice_on_a_thick_one_is_that_slice_whatever_the_rounding_of_the_factor(method):
    stack = noise(31)
    assert 33 / 1.1 < 30
    assert np.array_equal(method(stack, 1.1, [33]), stack[[30]])


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("factor", [0.5, 0.0, -1.0, float("nan"), float("inf")])
def test_a_factor_below_one_is_refused_by_name_and_value(method, factor):
    with pytest.raises(ValueError, match="factor is .*>= 1"):
        method(noise(), factor, [0])


@pytest.mark.parametrize("method", METHODS)
def test_a_stack_without_a_depth_axis_is_refused(method):
    with pytest.raises(ValueError, match=r"\(N, H, W\)"):
        method(np.zeros((4, 4), np.float32), 2.0, [0])
    with pytest.raises(ValueError, match="floating point"):
        method(np.zeros((4, 4, 4), np.int16), 2.0, [0])
