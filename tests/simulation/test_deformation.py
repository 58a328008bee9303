import numpy as np
import pytest

from unicoal_components.simulation.deformation import (
    LEVELS,
    random_displacement,
    random_linear,
    warped_coordinates,
)

SHAPE = (48, 56, 52)


def coordinates(displacement):
    return warped_coordinates(displacement.copy(), np.eye(3), np.zeros(3))


def jacobian_determinant(moved):
    """Return the determinant per voxel of a coordinate map `(3, D, H, W)`, positive if the map does not fold."""
    gradients = np.stack([np.stack(np.gradient(component)) for component in moved])
    return np.linalg.det(np.moveaxis(gradients, (0, 1), (-2, -1)))


@pytest.mark.parametrize("seed", range(4))
def test_a_random_deformation_does_not_fold(seed):
    moved = coordinates(random_displacement(SHAPE, (1.0,) * 3, np.random.default_rng(seed)))
    determinant = jacobian_determinant(moved)
    assert determinant.min() > 0.1
    assert determinant.max() < 3


def test_the_levels_stay_below_the_bound_that_rules_out_folding():
    assert sum(movement for _, movement in LEVELS) < 0.4


def test_a_random_deformation_is_smooth():
    displacement = random_displacement(SHAPE, (1.0,) * 3, np.random.default_rng(0))
    second = np.diff(displacement, n=2, axis=1)
    assert np.abs(second).max() < 0.15


def test_a_random_deformation_moves_by_millimeters_whatever_the_voxels_are():
    fine = random_displacement((40, 40, 40), (2.0,) * 3, np.random.default_rng(0))
    coarse = random_displacement((20, 20, 20), (4.0,) * 3, np.random.default_rng(0))
    np.testing.assert_allclose(fine.reshape(3, 20, 2, 20, 2, 20, 2).mean(axis=(2, 4, 6)), coarse, atol=0.1)
    assert 2.0 < np.abs(fine).max() < 9.0


def test_no_strength_is_the_identity():
    assert not random_displacement(SHAPE, (1.0,) * 3, np.random.default_rng(0), strength=0.0).any()
    np.testing.assert_array_equal(random_linear(np.random.default_rng(0), strength=0.0), np.eye(3))


def test_the_linear_part_keeps_handedness_and_changes_the_volume_by_a_third_at_most():
    for seed in range(20):
        assert 0.9 < np.linalg.det(random_linear(np.random.default_rng(seed))) < 1.41


def test_coordinates_are_matrix_times_voxel_plus_offset():
    matrix, offset = np.arange(9.0).reshape(3, 3), np.array([1.0, 2.0, 3.0])
    moved = warped_coordinates(np.zeros((3, 4, 5, 6), np.float32), matrix, offset)
    np.testing.assert_allclose(moved[:, 1, 2, 3], matrix @ (1, 2, 3) + offset)


def test_the_jacobian_of_a_linear_map_is_its_determinant():
    matrix = random_linear(np.random.default_rng(0))
    moved = warped_coordinates(np.zeros((3, 6, 6, 6), np.float32), matrix, np.zeros(3))
    np.testing.assert_allclose(jacobian_determinant(moved), np.linalg.det(matrix), rtol=1e-4)
