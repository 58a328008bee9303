import nibabel as nib
import numpy as np
import pytest
import torch
from monai.data import DataLoader, decollate_batch
from nibabel.orientations import aff2axcodes

from unicoal_components.data.intensity import percentile_range, scale_to_unit
from unicoal_components.transforms.stack import SOURCE, LoadStackd

AFFINE = np.array([[-0.7, 0, 0, 20], [0, 0, 3.0, -30], [0, -0.8, 0.1, 5], [0, 0, 0, 1]])


@pytest.fixture
def scan(tmp_path):
    volume = np.random.default_rng(0).integers(0, 1000, (5, 6, 7)).astype(np.int16)
    nib.save(nib.Nifti1Image(volume, AFFINE), tmp_path / "p01.nii.gz")
    return tmp_path / "p01.nii.gz", volume


def test_the_stack_has_its_slices_first_and_the_range_of_the_training_data(scan):
    path, volume = scan
    item = LoadStackd()({"image": str(path), "other": 1})
    assert item["image"].shape == (1, 7, 6, 5) and item["image"].dtype == torch.float32 and item["other"] == 1
    low, high = percentile_range(volume)
    want = scale_to_unit(volume[:, :, 3], low, high)  # LIA, so its coronal slices (L, I) lie as they are
    np.testing.assert_allclose(item["image"][0, 3].numpy(), want.T, atol=1e-6)
    assert type(item["image"]) is torch.Tensor


def test_what_the_way_back_needs_survives_a_data_loader(scan):
    path, volume = scan
    item = LoadStackd()({"image": str(path)})
    loaded = decollate_batch(next(iter(DataLoader([item], batch_size=1))))[0]
    source = loaded[SOURCE]
    assert source["path"] == str(path) and source["plane"] == "coronal" and source["orientation"] == "LIA"
    assert (float(source["low"]), float(source["high"])) == percentile_range(volume)
    assert source["affine"].dtype == torch.float64
    torch.testing.assert_close(source["affine"], item[SOURCE]["affine"])
    assert "".join(aff2axcodes(source["affine"].numpy())) == "LIP"


@pytest.mark.parametrize(("plane", "shape"), [("axial", (6, 7, 5)), ("coronal", (7, 6, 5)), ("sagittal", (5, 6, 7))])
def test_a_named_plane_is_taken_whatever_the_spacing(scan, plane, shape):
    assert LoadStackd(through_plane=plane)({"image": str(scan[0])})["image"].shape == (1, *shape)


def test_an_unknown_plane_is_refused_at_once():
    with pytest.raises(ValueError, match="through_plane is 'oblique'"):
        LoadStackd(through_plane="oblique")


def test_a_mask_and_a_nearly_constant_volume_are_refused_by_name(tmp_path):
    mask = (np.random.default_rng(0).random((20, 20, 20)) > 0.5).astype(np.uint8)
    flat = mask.copy()
    flat[0, 0, 0] = 2
    for name, volume, message in (("mask.nii.gz", mask, "mask"), ("flat.nii.gz", flat, "nearly constant")):
        nib.save(nib.Nifti1Image(volume, AFFINE), tmp_path / name)
        with pytest.raises(ValueError, match=f"{name}.*{message}"):
            LoadStackd()({"image": str(tmp_path / name)})


def test_a_missing_file_is_refused_with_its_name(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere.nii"):
        LoadStackd()({"image": str(tmp_path / "nowhere.nii")})
