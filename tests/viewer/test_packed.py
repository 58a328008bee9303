"""Voxels of any file, without loss."""

import gzip

import nibabel as nib
import numpy as np
import pytest

from unicoal_components.viewer.packed import packed, read_viewed


def unpacked(content, shape):
    stored = np.frombuffer(gzip.decompress(content.content), content.dtype).reshape(shape, order="F")
    return stored * np.float64(content.slope) + content.intercept


@pytest.mark.parametrize(
    ("dtype", "order", "slope", "kept"),
    [
        ("uint8", "<", 1.0, "uint8"),
        ("uint8", "<", 1 / 255, "uint8"),
        ("int16", ">", 0.25, "int16"),
        ("uint16", "<", 1.0, "uint16"),
        ("int32", "<", 1.0, "float32"),
        ("float32", ">", 1.0, "float32"),
        ("float64", "<", 1.0, "float32"),
    ],
)
def test_values_are_those_of_the_file(tmp_path, dtype, order, slope, kept):
    stored = np.random.default_rng(0).uniform(0, 250, (5, 4, 3)).astype(np.dtype(dtype).newbyteorder(order))
    header = nib.Nifti1Header(endianness=order)
    image = nib.Nifti1Image(stored, np.eye(4), header)
    image.header.set_data_dtype(stored.dtype)
    image.header.set_slope_inter(slope, 3)
    nib.save(image, tmp_path / "a.nii")
    volume = read_viewed(tmp_path / "a.nii")
    content = packed(volume.voxels, volume.storage)
    assert content.dtype == kept
    expected = nib.load(tmp_path / "a.nii").get_fdata()
    np.testing.assert_allclose(unpacked(content, (5, 4, 3)), expected, rtol=1e-7)


def test_values_that_the_stored_type_cannot_hold_stay(tmp_path):
    nib.save(nib.Nifti1Image(np.zeros((3, 3, 3), np.uint8), np.eye(4)), tmp_path / "a.nii.gz")
    storage = read_viewed(tmp_path / "a.nii.gz").storage
    for odd in (0.5, 256.0, -1.0, np.nan, np.inf):
        voxels = np.full((2, 2, 2), odd, np.float32)
        np.testing.assert_array_equal(unpacked(packed(voxels, storage), (2, 2, 2)), voxels)


def test_a_constant_map_and_one_with_nan_can_be_looked_at(tmp_path):
    for name, value in (("zero", 0.0), ("nan", np.nan)):
        nib.save(nib.Nifti1Image(np.full((3, 3, 3), value, np.float32), np.eye(4)), tmp_path / f"{name}.nii")
        np.testing.assert_array_equal(read_viewed(tmp_path / f"{name}.nii").voxels, value)


def test_a_singular_affine_is_refused(tmp_path):
    path = tmp_path / "flat.nii"
    image = nib.Nifti1Image(np.ones((3, 3, 3), np.float32), np.eye(4))
    image.header["srow_z"] = image.header["pixdim"][3] = 0
    image.header["sform_code"] = 1
    nib.save(image, path)
    data = bytearray(path.read_bytes())
    data[312:328] = bytes(16)
    path.write_bytes(data)
    with pytest.raises((ValueError, OSError), match="flat.nii"):
        read_viewed(path)
