import itertools

import numpy as np
import pytest
from nibabel.orientations import aff2axcodes

from unicoal_components.geometry.orientation import PLANES, choose_plane, from_stack, spacing_of, thin_affine, to_stack

ORIENTATIONS = [
    "".join(signs) for order in itertools.permutations(["LR", "PA", "IS"]) for signs in itertools.product(*order)
]


def affine_of(orientation, spacing=(1.0, 1.5, 3.0), tilt=0.0):
    """An affine whose voxel axes point to `orientation`, rotated by `tilt` degrees about an oblique axis."""
    directions = {"R": (1, 0, 0), "L": (-1, 0, 0), "A": (0, 1, 0), "P": (0, -1, 0), "S": (0, 0, 1), "I": (0, 0, -1)}
    angle, axis = np.deg2rad(tilt), np.array([1.0, 2.0, -1.0]) / np.sqrt(6)
    cross = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    rotation = np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
    affine = np.eye(4)
    affine[:3, :3] = rotation @ np.array([directions[code] for code in orientation]).T * np.array(spacing)
    affine[:3, 3] = [13.0, -27.5, 41.25]
    return affine


def world_values(shape, affine):
    """A linear function of the world position of every voxel of an (x, y, z) volume."""
    grid = np.stack(np.meshgrid(*(np.arange(n) for n in shape), indexing="ij"), axis=-1)
    return (grid @ affine[:3, :3].T + affine[:3, 3]) @ np.array([1.0, 0.37, -0.61])


def test_there_are_48_orientations():
    assert len(set(ORIENTATIONS)) == 48
    assert all("".join(aff2axcodes(affine_of(name, tilt=20))) == name for name in ORIENTATIONS)


@pytest.mark.parametrize("tilt", [0.0, 20.0])
@pytest.mark.parametrize("plane", ["auto", *PLANES])
@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_every_voxel_keeps_its_world_position_both_ways(orientation, plane, tilt):
    affine = affine_of(orientation, tilt=tilt)
    volume = world_values((4, 5, 6), affine)
    stack = to_stack(volume, affine, plane)
    assert "".join(aff2axcodes(stack.affine)) == PLANES[stack.plane] and stack.orientation == orientation
    np.testing.assert_allclose(
        stack.slices.transpose(2, 1, 0), world_values(stack.slices.shape[::-1], stack.affine), atol=1e-9
    )
    back, back_affine = from_stack(stack.slices, stack.affine, plane=stack.plane, orientation=orientation)
    np.testing.assert_array_equal(back, volume)
    np.testing.assert_allclose(back_affine, affine, atol=1e-9)


@pytest.mark.parametrize("factor", [1.0, 2.0, 2.5])
@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_the_thin_grid_is_returned_in_the_original_orientation_and_position(orientation, factor):
    affine = affine_of(orientation, tilt=20)
    stack = to_stack(np.zeros((4, 5, 6)), affine)
    thin = thin_affine(stack.affine, factor)
    shape = (round(len(stack.slices) * factor), *stack.slices.shape[1:])
    slices = np.ascontiguousarray(world_values(shape[::-1], thin).transpose(2, 1, 0))
    volume, volume_affine = from_stack(slices, thin, plane=stack.plane, orientation=orientation)
    assert "".join(aff2axcodes(volume_affine)) == orientation
    np.testing.assert_allclose(volume, world_values(volume.shape, volume_affine), atol=1e-9)
    np.testing.assert_allclose(spacing_of(volume_affine), [1.0, 1.5, 3.0 / factor])


def test_the_center_of_the_first_slice_stays():
    affine = affine_of("LPS", tilt=20)
    for factor, index in [(2.0, 4), (2.5, 5)]:
        thin = thin_affine(affine, factor)
        np.testing.assert_allclose(thin @ [3, 2, 0, 1], affine @ [3, 2, 0, 1])
        np.testing.assert_allclose(thin @ [3, 2, index, 1], affine @ [3, 2, index / factor, 1])


@pytest.mark.parametrize(
    ("orientation", "spacing", "plane"),
    [
        ("RAS", (1, 1, 3), "axial"),
        ("RAS", (1, 3, 1), "coronal"),
        ("RAS", (3, 1, 1), "sagittal"),
        ("PIL", (1, 1, 3), "sagittal"),
        ("LSA", (0.7, 0.7, 5), "coronal"),
        ("SRA", (1, 1.05, 1.12), "axial"),
        ("SRA", (1, 1, 1.12), "coronal"),
        ("ASR", (1, 1, 1), "axial"),
        ("RAS", (3, 3, 1), "axial"),
    ],
)
def test_the_coarsest_axis_is_the_thick_one_if_it_is_clearly_coarser(orientation, spacing, plane):
    assert choose_plane(affine_of(orientation, spacing, tilt=15)) == plane


def test_an_unknown_plane_is_refused_with_those_known():
    with pytest.raises(ValueError, match="through_plane is 'z'.*axial"):
        to_stack(np.zeros((2, 2, 2)), np.eye(4), "z")


def test_a_sheared_affine_keeps_its_shear():
    affine = affine_of("RAS")
    affine[0, 2] = 0.8
    volume = world_values((4, 5, 6), affine)
    stack = to_stack(volume, affine)
    np.testing.assert_allclose(stack.slices.transpose(2, 1, 0), world_values((4, 5, 6), stack.affine), atol=1e-9)
