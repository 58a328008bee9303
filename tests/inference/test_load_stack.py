import hashlib
import math

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.data import DataLoader, decollate_batch
from nibabel.orientations import aff2axcodes

from unicoal_components.geometry.orientation import to_stack
from unicoal_components.inference.load_stack import LoadStackd
from unicoal_components.inference.loaded_scan import NATIVE, LoadedScan
from unicoal_components.scans.intensity import percentile_range, scale_to_unit

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
    want = scale_to_unit(volume[:, :, 3], low, high)  # LIA, so its coronal slices (L, I) need no change
    np.testing.assert_allclose(item["image"][0, 3].numpy(), want.T, atol=1e-6)
    assert type(item["image"]) is torch.Tensor


@pytest.mark.parametrize("pixel", [None, 2.0])
def test_the_darkest_tissue_is_not_blank_but_exact_zeros_are(tmp_path, pixel):
    volume = np.zeros((40, 40, 6), np.float32)
    volume[10:30, 10:30] = np.random.default_rng(0).uniform(500, 900, (20, 20, 6))
    volume[16:24, 16:24] = np.random.default_rng(1).uniform(0.1, 1, (8, 8, 6))  # fluid
    volume[18:20, 18:20] = 0.01  # below the lower percentile
    nib.save(nib.Nifti1Image(volume, np.eye(4)), tmp_path / "a.nii.gz")
    image = LoadStackd(in_plane_spacing=pixel, through_plane="axial")({"image": str(tmp_path / "a.nii.gz")})["image"]
    step = 1 if pixel is None else 2
    tissue = image[0, :, 12 // step : 28 // step, 12 // step : 28 // step]
    assert -0.9922 < tissue.min() < -0.98 and (image[0, :, : 8 // step] == -1).all()


def test_the_loaded_scan_survives_a_data_loader(scan):
    path, volume = scan
    item = LoadStackd()({"image": str(path)})
    loaded = decollate_batch(next(iter(DataLoader([item], batch_size=1))))[0]
    source = LoadedScan.from_item(loaded)
    assert source.path == str(path) and source.plane == "coronal" and source.orientation == "LIA"
    assert (source.low, source.high) == percentile_range(volume)
    assert source.storage.dtype == "int16" and source.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    np.testing.assert_array_equal(source.affine, nib.load(path).affine)
    assert "".join(aff2axcodes(np.array(source.stack_affine))) == "LIP"
    np.testing.assert_array_equal(loaded[NATIVE], to_stack(volume, nib.load(path).affine).slices)


@pytest.mark.parametrize("pixel", [0.5, 1.0, 2.0])
def test_pixels_of_another_size_become_those_of_the_network(scan, pixel):
    path, volume = scan  # rows 0.806 mm, columns 0.7 mm
    item = LoadStackd(in_plane_spacing=pixel)({"image": str(path)})
    want = (1, 7, math.ceil(6 * np.hypot(0.8, 0.1) / pixel), math.ceil(5 * 0.7 / pixel))
    assert item["image"].shape == want and item["image"].abs().max() <= 1
    assert item[NATIVE].shape == (7, 6, 5)


def test_pixels_outside_a_range_are_resampled_to_its_nearest_size(scan):
    path, _ = scan  # rows 0.806 mm, columns 0.7 mm
    item = LoadStackd(in_plane_spacing=[0.8, 1.33])({"image": str(path)})
    assert item["image"].shape == (1, 7, 6, math.ceil(5 * 0.7 / 0.8))
    assert LoadedScan.from_item(item).in_plane_spacing == [0.8, 1.33]


def test_a_blank_background_stays_blank_through_resampling(tmp_path):
    volume = np.zeros((40, 40, 4), np.float32)
    volume[15:25, 12:28] = np.random.default_rng(0).uniform(300, 1000, (10, 16, 4))
    nib.save(nib.Nifti1Image(volume, np.diag([0.45, 0.45, 5, 1])), tmp_path / "a.nii.gz")
    image = LoadStackd(in_plane_spacing=1.0)({"image": str(tmp_path / "a.nii.gz")})["image"][0]
    assert (image[:, :4] == -1).all() and (image[:, :, :4] == -1).all() and (image[:, 8:10, 8:10] > -1).all()


def test_a_name_of_another_modality_gives_a_warning(scan, tmp_path, caplog):
    path = tmp_path / "sub-01_T2w.nii.gz"
    path.write_bytes(scan[0].read_bytes())
    source = LoadedScan.from_item(LoadStackd(modality="t1")({"image": str(path)}))
    assert len(source.warnings) == 1 and "says that it is t2, not t1 (source_modality)" in source.warnings[0]
    assert source.warnings[0] in caplog.text
    assert LoadedScan.from_item(LoadStackd(modality="t2")({"image": str(path)})).warnings == ()
    assert LoadedScan.from_item(LoadStackd(modality="t1")({"image": str(scan[0])})).warnings == ()


@pytest.mark.parametrize("pixel", [0, -1.0, float("inf")])
def test_an_invalid_pixel_size_is_refused(pixel):
    with pytest.raises(ValueError, match="in_plane_spacing is .*positive"):
        LoadStackd(in_plane_spacing=pixel)


@pytest.mark.parametrize(("plane", "shape"), [("axial", (6, 7, 5)), ("coronal", (7, 6, 5)), ("sagittal", (5, 6, 7))])
def test_a_named_plane_is_used_for_any_spacing(scan, plane, shape):
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
