import itertools

import numpy as np
import pytest
from scipy import ndimage
from scipy.spatial.transform import Rotation

from unicoal_components.geometry.resample import Grid, reference_grid, resample_to_grid

SIGNED_AXES = [
    (order, signs) for order in itertools.permutations(range(3)) for signs in itertools.product([1, -1], repeat=3)
]
SLOPE = np.array([1.0, 0.37, -0.61])


def turn(degrees, axis=(1.0, 2.0, -1.0)):
    return Rotation.from_rotvec(np.deg2rad(degrees) * np.array(axis) / np.linalg.norm(axis)).as_matrix()


def centered(shape, directions, spacing):
    """An affine that puts the center of a volume at the world point (5, -3, 8)."""
    affine = np.eye(4)
    affine[:3, :3] = directions * np.array(spacing)
    affine[:3, 3] = np.array([5.0, -3.0, 8.0]) - affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    return affine


def world(shape, affine):
    return np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1) @ affine[:3, :3].T + affine[:3, 3]


def corners(shape, affine):
    ends = np.array(list(itertools.product(*[(-0.5, length - 0.5) for length in shape])))
    return ends @ affine[:3, :3].T + affine[:3, 3]


@pytest.mark.parametrize("tilt", [0.0, 20.0])
@pytest.mark.parametrize(("order", "signs"), SIGNED_AXES)
def test_a_ramp_of_the_world_stays_that_ramp_in_every_orientation(order, signs, tilt):
    shape = np.array([40, 36, 24])
    affine = centered(shape, turn(tilt) @ (np.eye(3)[:, list(order)] * signs), (0.9, 1.1, 1.6))
    ramp = 1000 + world(shape, affine) @ SLOPE
    grid = Grid((6, 7, 8), centered((6, 7, 8), turn(10, (0, 1, 3)), (1.0, 1.0, 0.7)))
    move = np.eye(4)
    move[:3, :3], move[:3, 3] = turn(5, (3, 1, 0)), (0.7, -0.4, 0.3)
    expected = 1000 + (world(grid.shape, grid.affine) @ move[:3, :3].T + move[:3, 3]) @ SLOPE
    for interpolation in ("linear", "bspline"):
        result = resample_to_grid(ramp, affine, grid, world_map=move, interpolation=interpolation)
        assert result.dtype == np.float32 and result.shape == grid.shape
        np.testing.assert_allclose(result, expected, atol=1e-3)


def test_the_own_grid_gives_the_volume_itself():
    volume = np.random.default_rng(0).random((7, 8, 9), dtype=np.float32)
    affine = centered(volume.shape, turn(20), (0.5, 0.5, 4.0))
    for interpolation in ("nearest", "linear", "bspline"):
        result = resample_to_grid(volume, affine, reference_grid(volume.shape, affine), interpolation=interpolation)
        np.testing.assert_allclose(result, volume, atol=1e-5)


@pytest.mark.parametrize("spacing", [1.0, (1.0, 2.0, 4.0), 0.3])
def test_the_field_of_view_stays(spacing):
    shape, affine = (20, 16, 9), centered((20, 16, 9), turn(20), (0.5, 0.5, 4.0))
    grid = reference_grid(shape, affine, spacing=spacing)
    np.testing.assert_allclose(np.linalg.norm(grid.affine[:3, :3], axis=0), np.ones(3) * spacing)
    far = np.abs((corners(*grid) - corners(shape, affine)) @ turn(20))
    assert (far < np.ones(3) * spacing / 2).all()
    if spacing == 1.0:
        np.testing.assert_allclose(far, 0, atol=1e-9)


def test_a_flipped_scan_gets_the_same_voxel_centers():
    shape, affine = (10, 11, 7), centered((10, 11, 7), turn(20), (0.7, 0.7, 4.0))
    flipped = affine @ np.array([[-1, 0, 0, 9], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])
    grid, other = reference_grid(shape, affine, spacing=1.0), reference_grid(shape, flipped, spacing=1.0)
    np.testing.assert_allclose(world(*grid), world(*other)[::-1], atol=1e-9)


def test_without_a_spacing_the_grid_is_the_scans():
    affine = centered((5, 6, 7), turn(20), (0.7, 0.8, 4.0))
    grid = reference_grid((5, 6, 7), affine)
    assert grid.shape == (5, 6, 7)
    np.testing.assert_allclose(grid.affine, affine, atol=1e-12)


def test_going_coarser_smooths_that_axis_by_the_stated_gaussian():
    volume = np.zeros((41, 9, 9), dtype=np.float32) + 1
    volume[20] = 101
    grid = reference_grid(volume.shape, np.eye(4), spacing=(4.1, 1.0, 1.0))
    result = resample_to_grid(volume, np.eye(4), grid)
    smooth = ndimage.gaussian_filter1d(volume, np.sqrt(4.1**2 - 1) / 2.3548, axis=0)
    centers = (grid.affine[0, 3] + 4.1 * np.arange(10)).tolist()
    expected = np.interp(centers, np.arange(41), smooth[:, 4, 4])
    np.testing.assert_allclose(result[:, 4, 4], expected, rtol=0.05)


def test_a_pattern_finer_than_the_new_spacing_is_lost_and_not_aliased():
    line = 100 + 50 * np.cos(2 * np.pi * np.arange(120) / 2.2)
    volume = np.broadcast_to(line[:, None, None], (120, 6, 6))
    result = resample_to_grid(volume, np.eye(4), reference_grid(volume.shape, np.eye(4), spacing=(3.0, 1.0, 1.0)))
    assert np.abs(result[3:-3] - 100).max() < 2


def test_thick_axes_are_not_smoothed_when_only_others_get_coarser():
    rng = np.random.default_rng(0)
    volume = np.broadcast_to(rng.random(9)[None, None], (24, 24, 9)).astype(np.float32) + 1
    affine = np.diag([0.5, 0.5, 4.0, 1.0])
    result = resample_to_grid(volume, affine, reference_grid(volume.shape, affine, spacing=(1.0, 1.0, 4.0)))
    np.testing.assert_allclose(result[5, 5], volume[0, 0], atol=1e-5)


@pytest.mark.parametrize("spacing", [0.4, 2.0])
@pytest.mark.parametrize("interpolation", ["linear", "bspline"])
def test_a_stripped_background_stays_exactly_zero_and_nothing_overshoots(spacing, interpolation):
    axes = np.meshgrid(*[np.linspace(-1, 1, 24)] * 3, indexing="ij")
    inside = sum(axis**2 for axis in axes) < 0.6**2
    volume = np.where(inside, np.random.default_rng(0).uniform(400, 500, inside.shape), 0).astype(np.float32)
    grid = reference_grid(volume.shape, np.eye(4), spacing=spacing)
    result = resample_to_grid(volume, np.eye(4), grid, interpolation=interpolation)
    far = np.linalg.norm(world(*grid) - 11.5, axis=-1) > 0.6 * 11.5 + 2 * max(spacing, 1.0)
    assert (result[far] == 0).all() and result.min() >= 0 and result.max() <= volume.max()
    assert np.count_nonzero(result) * spacing**3 == pytest.approx(np.count_nonzero(inside), rel=0.08)


def test_outside_the_field_of_view_is_zero():
    volume = np.full((8, 8, 8), 5.0)
    affine = np.eye(4)
    affine[:3, 3] = 4.0
    for interpolation in ("nearest", "linear", "bspline"):
        result = resample_to_grid(volume, affine, Grid((16, 16, 16), np.eye(4)), interpolation=interpolation)
        expected = np.zeros((16, 16, 16))
        expected[4:12, 4:12, 4:12] = 5
        np.testing.assert_allclose(result, expected, atol=1e-5)


def test_nearest_keeps_labels_and_their_type():
    labels = np.random.default_rng(0).choice(np.array([0, 3, 17], dtype=np.int16), (9, 9, 9))
    grid = reference_grid(labels.shape, np.eye(4), spacing=0.5)
    result = resample_to_grid(labels, np.eye(4), grid, interpolation="nearest")
    np.testing.assert_array_equal(result, labels.repeat(2, 0).repeat(2, 1).repeat(2, 2))
    assert result.dtype == labels.dtype
    mask = resample_to_grid(labels > 0, np.eye(4), grid, interpolation="nearest")
    assert mask.dtype == bool


@pytest.mark.parametrize("spacing", [0, -1.0, (1.0, 2.0), float("nan")])
def test_a_wrong_spacing_is_refused(spacing):
    with pytest.raises(ValueError, match="spacing is"):
        reference_grid((5, 5, 5), np.eye(4), spacing=spacing)


def test_unknown_interpolation_and_a_singular_map_are_refused():
    grid = Grid((4, 4, 4), np.eye(4))
    with pytest.raises(ValueError, match="interpolation is 'cubic'.*nearest"):
        resample_to_grid(np.ones((4, 4, 4)), np.eye(4), grid, interpolation="cubic")
    with pytest.raises(ValueError, match="cannot be inverted"):
        resample_to_grid(np.ones((4, 4, 4)), np.eye(4), grid, world_map=np.zeros((4, 4)))
