import itertools

import itk
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from unicoal_components.geometry.itk_image import from_itk, one_thread, to_itk

SIGNED_AXES = [
    (order, signs) for order in itertools.permutations(range(3)) for signs in itertools.product([1, -1], repeat=3)
]


def affine_of(order, signs, tilt=0.0):
    turn = Rotation.from_rotvec(np.deg2rad(tilt) * np.array([1.0, 2.0, -1.0]) / np.sqrt(6)).as_matrix()
    affine = np.eye(4)
    affine[:3, :3] = turn @ (np.eye(3)[:, list(order)] * signs) * (0.5, 1.25, 4.0)
    affine[:3, 3] = (13.0, -27.5, 41.25)
    return affine


@pytest.mark.parametrize("tilt", [0.0, 20.0])
@pytest.mark.parametrize(("order", "signs"), SIGNED_AXES)
def test_voxels_keep_value_and_position_in_every_orientation(order, signs, tilt):
    affine = affine_of(order, signs, tilt)
    volume = np.random.default_rng(0).random((3, 4, 5), dtype=np.float32)
    image = to_itk(volume, affine)
    index = (2, 1, 4)
    left, posterior, superior = image.TransformIndexToPhysicalPoint(index)
    np.testing.assert_allclose((-left, -posterior, superior), (affine @ [*index, 1])[:3], atol=1e-9)
    assert image.GetPixel(index) == volume[index]
    back, back_affine = from_itk(image)
    np.testing.assert_array_equal(back, volume)
    np.testing.assert_allclose(back_affine, affine, atol=1e-9)


def test_the_image_owns_its_voxels():
    volume = np.zeros((3, 4, 5), dtype=np.float32)
    image = to_itk(volume, np.eye(4))
    volume[:] = 7
    assert from_itk(image)[0].max() == 0


def test_nibabel_and_itk_agree_on_the_position_of_a_file(tmp_path):
    nibabel = pytest.importorskip("nibabel")
    affine = affine_of((1, 0, 2), (1, -1, 1), 20.0)
    volume = np.random.default_rng(0).random((3, 4, 5), dtype=np.float32)
    nibabel.save(nibabel.Nifti1Image(volume, affine), tmp_path / "scan.nii.gz")
    read, read_affine = from_itk(itk.imread(tmp_path / "scan.nii.gz", itk.F))
    np.testing.assert_array_equal(read, volume)
    np.testing.assert_allclose(read_affine, affine, atol=1e-4)


def test_a_sheared_affine_is_refused():
    affine = np.eye(4)
    affine[1, 2] = 0.2
    with pytest.raises(ValueError, match="affine is sheared.*cosine of 0.196.*Resample"):
        to_itk(np.zeros((3, 4, 5)), affine)


def test_four_axes_are_refused():
    with pytest.raises(ValueError, match=r"shape \(3, 4, 5, 1\)"):
        to_itk(np.zeros((3, 4, 5, 1)), np.eye(4))


def test_one_thread_ends_with_its_context_also_after_an_error():
    before = itk.MultiThreaderBase.GetGlobalDefaultNumberOfThreads()
    with pytest.raises(KeyError), one_thread():
        assert itk.MultiThreaderBase.GetGlobalDefaultNumberOfThreads() == 1
        raise KeyError
    assert itk.MultiThreaderBase.GetGlobalDefaultNumberOfThreads() == before
