from pathlib import Path

import itk
import nibabel as nib
import numpy as np
import pytest
from nibabel.orientations import apply_orientation, axcodes2ornt, inv_ornt_aff, ornt_transform

from unicoal_components.scans.scan import read_scan

SHARED = Path(__file__).parents[2] / ".." / "shared" / "data"
LPS = np.array([[-0.5, 0, 0, 10], [0, -0.75, 0, 20], [0, 0, 3.0, -30], [0, 0, 0, 1]])


def volume(shape=(6, 7, 5)):
    return np.random.default_rng(1).integers(1, 1000, shape).astype(np.int16)


def save(path, array, affine=LPS):
    nib.save(nib.Nifti1Image(array, affine), path)
    return path


@pytest.mark.parametrize("codes", ["LPS", "RAS", "LAS", "PSR", "ILA", "SRP", "AIL"])
def test_any_orientation_gives_the_same_stack_and_affine(tmp_path, codes):
    array = volume()
    turn = ornt_transform(axcodes2ornt("LPS"), axcodes2ornt(codes))
    path = save(tmp_path / "t1.nii.gz", apply_orientation(array, turn), LPS @ inv_ornt_aff(turn, array.shape))
    assert nib.aff2axcodes(nib.load(path).affine) == tuple(codes)
    scan = read_scan(path)
    np.testing.assert_array_equal(scan.stack, array.transpose(2, 1, 0))
    np.testing.assert_allclose(scan.affine, LPS, atol=1e-5)
    np.testing.assert_allclose(scan.spacing, [0.5, 0.75, 3.0], rtol=1e-6)


def test_an_oblique_scan_keeps_every_voxel_at_its_world_position(tmp_path):
    rotation = nib.eulerangles.euler2mat(0.2, 0.1, -0.3) @ np.diag([1, 1.5, 2.0])
    affine = nib.affines.from_matvec(rotation, [3, -4, 5])
    array = volume()
    scan = read_scan(save(tmp_path / "t1.nii", array, affine))
    for index in ((0, 0, 0), (3, 2, 4), (5, 6, 1)):
        world = affine @ [*index, 1]
        w, h, d = np.rint(np.linalg.solve(scan.affine, world)[:3]).astype(int)
        np.testing.assert_allclose(scan.affine @ [w, h, d, 1], world, atol=1e-3)
        assert scan.stack[d, h, w] == array[index]


@pytest.mark.parametrize("suffix", [".mha", ".nrrd", ".nii", ".nii.gz"])
def test_itk_formats_land_on_the_same_world_grid(tmp_path, suffix):
    array = volume().transpose(2, 1, 0).astype(np.float32)
    image = itk.image_from_array(np.ascontiguousarray(array))
    image.SetSpacing([0.5, 0.75, 3.0])
    image.SetOrigin([-10.0, -20.0, -30.0])
    path = tmp_path / f"t1{suffix}"
    itk.imwrite(image, str(path))
    scan = read_scan(path)
    np.testing.assert_array_equal(scan.stack, array)
    np.testing.assert_allclose(scan.affine, LPS, atol=1e-5)


def test_a_singleton_fourth_axis_is_accepted(tmp_path):
    array = volume()
    scan = read_scan(save(tmp_path / "t1.nii.gz", array[..., None]))
    np.testing.assert_array_equal(scan.stack, array.transpose(2, 1, 0))


def changed(value, where=(2, 3, 1)):
    array = volume().astype(np.float32)
    array[where] = value
    return array


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (volume((6, 7, 5, 2)), "4 dimensions .*fslroi"),
        (volume((6, 7)), "3D volume.*Stack"),
        (volume((6, 7, 1)), "3D volume.*Stack"),
        (volume((0, 7, 5)), "shape .0.*3D volume"),
        (np.zeros((6, 7, 5), np.int16), "every voxel is 0.*subject"),
        (np.full((6, 7, 5), 4, np.int16), "constant: every non-zero voxel is 4.*mask"),
        ((volume() > 500).astype(np.uint8), "constant.*mask"),
        (changed(np.nan), "1 NaN or infinite voxels.*replace"),
        (changed(-np.inf), "1 NaN or infinite voxels.*replace"),
        (volume().astype(np.complex64), "complex64.*magnitude"),
    ],
)
def test_unusable_volumes_are_named_with_a_remedy_in_one_paragraph(tmp_path, array, message):
    path = save(tmp_path / "p01_t1.nii.gz", array)
    with pytest.raises(ValueError, match=rf"p01_t1\.nii\.gz.*{message}") as error:
        read_scan(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("suffix", [".nii.gz", ".nii", ".mha", ".nrrd"])
@pytest.mark.parametrize("kept", [0.0, 0.02, 0.7, 0.99])
def test_a_truncated_scan_is_named_in_one_paragraph(tmp_path, suffix, kept):
    path = tmp_path / f"p01{suffix}"
    itk.imwrite(itk.image_from_array(volume((20, 20, 20))), str(path))
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * kept)])
    with pytest.raises(OSError, match=r"scan '.*p01.*(truncated, damaged|empty).*again") as error:
        read_scan(path)
    assert "\n" not in str(error.value)


def test_changed_bytes_in_a_gzip_file_are_found(tmp_path):
    path = save(tmp_path / "t1.nii.gz", volume((20, 20, 20)))
    content = bytearray(path.read_bytes())
    content[-8] ^= 1
    path.write_bytes(content)
    with pytest.raises(OSError, match=r"t1\.nii\.gz.*damaged"):
        read_scan(path)


@pytest.mark.parametrize(("name", "error"), [("t1.nii.gz", OSError), ("t1.txt", ValueError)])
def test_files_of_unknown_format_are_named(tmp_path, name, error):
    (tmp_path / name).write_text("not a scan")
    with pytest.raises(error, match=rf"{name}.*unknown (format|suffix)"):
        read_scan(tmp_path / name)


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.nii"):
        read_scan(tmp_path / "none.nii")
    with pytest.raises(FileNotFoundError, match="no DICOM image"):
        read_scan(tmp_path)


def test_an_unusable_affine_is_named(tmp_path):
    image = nib.Nifti1Image(volume(), None)
    image.header["sform_code"] = 1
    image.header["srow_x"] = image.header["srow_y"] = image.header["srow_z"] = 0
    path = tmp_path / "t1.nii"
    image.header.set_data_shape((6, 7, 5))
    path.write_bytes(image.header.binaryblock + b"\0" * 4 + volume().tobytes(order="F"))
    with pytest.raises(ValueError, match=r"t1\.nii.*unusable affine"):
        read_scan(path)


def test_a_file_without_orientation_gives_a_warning(tmp_path, caplog):
    read_scan(save(tmp_path / "t1.nii", volume(), None))
    assert "does not state its orientation" in caplog.text


@pytest.mark.skipif(not SHARED.is_dir(), reason="the real scans are not next to the repository")
def test_the_real_scans_keep_intensity_at_world_position():
    path = SHARED / "lesjak_ms_mni" / "p26_T1.nii.gz"
    image = nib.load(path)
    assert nib.aff2axcodes(image.affine) == ("L", "A", "S")
    scan = read_scan(path)
    assert nib.aff2axcodes(scan.affine) == ("L", "P", "S")
    array = np.asarray(image.dataobj, dtype=np.float32)
    for index in np.argwhere(array > np.percentile(array, 99.9))[::500]:
        w, h, d = np.rint(np.linalg.solve(scan.affine, image.affine @ [*index, 1])[:3]).astype(int)
        assert scan.stack[d, h, w] == array[tuple(index)]
