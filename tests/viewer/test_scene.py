"""The grid of a page and the places of its volumes."""

import itertools
import json

import nibabel as nib
import numpy as np
import pytest

from unicoal_components.scans.read_volume import Volume
from unicoal_components.viewer.scene import Layer, Scene

SHAPE = (5, 6, 7)
FLIPS = [
    (order, signs) for order in itertools.permutations(range(3)) for signs in itertools.product((1.0, -1.0), repeat=3)
]


def volume(affine, shape=SHAPE):
    return Volume("a", "nifti", np.zeros(shape, np.float32), np.asarray(affine, float), (), "")


def tilted(order, signs):
    """Voxel to world of axes in an order, with spacing 1, 2 and 3 mm, tilted by 20 degrees."""
    angle = np.deg2rad(20)
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    affine = np.eye(4)
    affine[:3, :3] = turn @ (np.eye(3)[:, list(order)] * np.array(signs) * (1.0, 2.0, 3.0))
    affine[:3, 3] = 4, -5, 6
    return affine


def matrix(rows):
    return np.vstack([np.reshape(rows, (3, 4)), [0, 0, 0, 1]])


@pytest.mark.parametrize(("order", "signs"), FLIPS)
def test_the_grid_points_to_r_a_s_and_leads_to_voxels_at_the_same_place(order, signs):
    base, other = volume(tilted(order, signs)), volume(tilted((0, 1, 2), (1.0, 1.0, 1.0)), (8, 9, 10))
    content = Scene([[Layer("a", base, (0, 1))], [Layer("b", other, (0, 1))]], base).content(3)
    world = matrix(content["world"])
    assert nib.aff2axcodes(world) == ("R", "A", "S")
    for column, each in zip(content["columns"], (base, other), strict=True):
        layer = column["layers"][0]
        np.testing.assert_allclose(each.affine @ matrix(layer["from_grid"]), world, atol=1e-7)
        assert layer["shape"] == list(each.voxels.shape)
    corners = np.array(list(itertools.product(*((0, size - 1) for size in content["shape"]))))
    found = nib.affines.apply_affine(matrix(content["columns"][0]["layers"][0]["from_grid"]), corners)
    expected = set(itertools.product(*((0, size - 1) for size in SHAPE)))
    assert set(map(tuple, found.round().astype(int))) == expected
    np.testing.assert_allclose(found, found.round(), atol=1e-9)  # every position of the grid is a voxel of the base
    np.testing.assert_allclose(content["spacing"], nib.affines.voxel_sizes(world))


def test_volumes_have_the_names_that_the_content_gives():
    layers = [Layer(name, volume(np.eye(4)), (0, 1)) for name in "abc"]
    scene = Scene([layers[:1], layers[1:]], layers[0].volume, wipe=False, facts=["f"], notes=["n"])
    content = json.loads(json.dumps(scene.content(7)))
    names = [layer["volume"] for column in content["columns"] for layer in column["layers"]]
    assert names == list(scene.volumes(7)) == ["volume-7-0-0", "volume-7-1-0", "volume-7-1-1"]
    assert content["facts"] == ["f"] and content["notes"] == ["n"] and content["wipe"] is False
