import bz2
import gzip
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from unicoal_components.geometry.itk_image import to_itk
from unicoal_components.scans.read_volume import check_affine, read_image

SHARED = Path(__file__).parents[2] / ".." / "shared" / "cases"
AFFINE = np.array([[-1.0, 0, 0, 20], [0, 2.0, 0, -30], [0, 0, 3.0, 5], [0, 0, 0, 1]])


def scan(shape=(5, 6, 7)):
    return np.random.default_rng(0).integers(1, 1000, shape).astype(np.float32)


def save(path, volume, affine=AFFINE):
    nib.save(nib.Nifti1Image(volume, affine), path)
    return path


@pytest.mark.parametrize("name", ["a.mgz", "a.mgh", "a.hdr"])
def test_freesurfer_and_analyze_files_are_read_as_nibabel_does(tmp_path, name, caplog):
    want = nib.AnalyzeImage(scan(), None) if name == "a.hdr" else nib.MGHImage(scan(), AFFINE)
    nib.save(want, tmp_path / name)
    want = nib.load(tmp_path / name) if name == "a.hdr" else want
    volume = read_image(tmp_path / name)
    np.testing.assert_array_equal(volume.voxels, want.get_fdata())
    np.testing.assert_allclose(volume.affine, want.affine)
    assert volume.format == name[2:] and ("Analyze file" in caplog.text) == (name == "a.hdr")


def test_minc_has_the_affine_that_nibabel_reads():
    path = SHARED / "minc" / "small.mnc"
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    volume = read_image(path)
    np.testing.assert_allclose(volume.affine, nib.load(path).affine)
    np.testing.assert_allclose(volume.voxels, nib.load(path).get_fdata(), rtol=1e-6)


def test_other_suffixes_are_refused_with_the_known_ones(tmp_path):
    (tmp_path / "a.xyz").write_bytes(b"anything")
    with pytest.raises(ValueError, match=r"a\.xyz.*unknown suffix.*\.nii\.gz.*\.mnc"):
        read_image(tmp_path / "a.xyz")


@pytest.mark.parametrize("kind", [nib.Nifti1Image, nib.Nifti2Image])
@pytest.mark.parametrize("compressed", [True, False])
def test_compression_is_seen_in_the_content(tmp_path, kind, compressed):
    nib.save(kind(scan(), AFFINE), tmp_path / "right.nii")
    content = (tmp_path / "right.nii").read_bytes()
    path = tmp_path / ("wrong.nii" if compressed else "wrong.nii.gz")
    path.write_bytes(gzip.compress(content) if compressed else content)
    volume = read_image(path)
    np.testing.assert_array_equal(volume.voxels, scan())
    np.testing.assert_allclose(volume.affine, AFFINE)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"/annex/objects/MD5E-s123--abc.nii.gz\n", "git-annex pointer.*datalad get"),
        (b"../.git/annex/objects/aa/bb/MD5E-s1--c.nii.gz", "git-annex pointer"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "Git LFS pointer.*git lfs pull"),
        (b"PK\x03\x04anything", "zip archive. Unpack"),
        (gzip.compress(bytes(257) + b"ustar\x0000"), "tar archive. Unpack"),
        (bz2.compress(b"anything"), "bzip2. Unpack"),
        (b"\n<!DOCTYPE HTML><html>", "web page"),
        (b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X", "macOS"),
        (bytes(128) + b"DICM\x02\x00\x02\x00UI\x14\x001.2.840.10008.1.3.10", "DICOMDIR.*folder"),
    ],
    ids=["annex", "annex link", "LFS", "zip", "tar", "bzip2", "web page", "macOS", "DICOMDIR"],
)
def test_what_stands_for_a_scan_is_named(tmp_path, content, message):
    (tmp_path / "a.nii.gz").write_bytes(content)
    with pytest.raises(ValueError, match=rf"a\.nii\.gz.*{message}"):
        read_image(tmp_path / "a.nii.gz")


@pytest.mark.parametrize(("unit", "length"), [("micron", 1000.0), ("meter", 0.001)])
def test_lengths_are_converted_to_mm_where_that_is_plausible(tmp_path, unit, length, caplog):
    for scale, words in ((length, "converted to mm"), (1.0, "not plausible")):
        image = nib.Nifti1Image(scan(), np.diag([scale, scale, scale, 1.0]) @ AFFINE)
        image.header.set_xyzt_units(unit)
        nib.save(image, tmp_path / "a.nii")
        np.testing.assert_allclose(read_image(tmp_path / "a.nii").affine, AFFINE, rtol=1e-6)
        assert words in caplog.text


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_a_nifti_file_comes_back_with_its_affine(tmp_path, name):
    volume = read_image(save(tmp_path / name, scan()))
    assert volume.voxels.dtype == np.float32 and volume.affine.dtype == np.float64
    assert (volume.path, volume.format, volume.files) == (str(tmp_path / name), "nifti", (tmp_path / name,))
    np.testing.assert_array_equal(volume.voxels, scan())
    np.testing.assert_allclose(volume.affine, AFFINE)


def test_scale_factors_of_the_header_are_applied(tmp_path):
    image = nib.Nifti1Image(scan().astype(np.int16), AFFINE)
    image.header.set_slope_inter(0.5, 10)
    nib.save(image, tmp_path / "a.nii.gz")
    want = nib.load(tmp_path / "a.nii.gz").get_fdata()
    np.testing.assert_allclose(read_image(tmp_path / "a.nii.gz").voxels, want, rtol=1e-6)


def test_a_metaimage_goes_through_itk_to_the_same_volume_and_affine(tmp_path):
    itk = pytest.importorskip("itk")
    image = itk.image_from_array(np.ascontiguousarray(scan().transpose(2, 1, 0)))
    image.SetSpacing([1.0, 2.0, 3.0])
    image.SetOrigin([-20.0, 30.0, 5.0])  # LPS
    image.SetDirection(itk.matrix_from_array(np.diag([1.0, -1.0, 1.0])))
    itk.imwrite(image, str(tmp_path / "a.mha"))
    volume = read_image(tmp_path / "a.mha")
    assert volume.format == "mha" and volume.storage.dtype == "float32"
    np.testing.assert_array_equal(volume.voxels, scan())
    np.testing.assert_allclose(volume.affine, AFFINE, atol=1e-5)


def test_a_fourth_axis_of_length_one_is_dropped(tmp_path):
    assert read_image(save(tmp_path / "a.nii", scan((5, 6, 7, 1)))).voxels.shape == (5, 6, 7)


@pytest.mark.parametrize(
    ("volume", "message"),
    [
        (scan((5, 6, 7, 2)), "4 dimensions"),
        (scan((5, 6)), r"shape \(5, 6\).*3D volume"),
        (scan((5, 6, 1)), r"shape \(5, 6, 1\).*3D volume"),
        (np.zeros((5, 6, 7), np.float32), "empty: every voxel is 0"),
        (np.full((5, 6, 7), 3, np.int16), "constant: every non-zero voxel is 3"),
        (np.where(scan() > 900, np.nan, scan()), "NaN"),
    ],
)
def test_an_unusable_volume_is_refused_with_the_name_of_its_file(tmp_path, volume, message):
    path = save(tmp_path / "bad.nii.gz", volume)
    with pytest.raises(ValueError, match=message) as error:
        read_image(path)
    assert "bad.nii.gz" in str(error.value)


@pytest.mark.parametrize("name", ["a.nii.gz", "a.nii", "a.mgz", "a.mha", "a.hdr"])
def test_a_folder_named_like_the_home_folder_is_not_it(tmp_path, monkeypatch, name):
    """nibabel takes '~' for the home folder also where the shell did not."""
    (tmp_path / "home").mkdir()
    (tmp_path / "~").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    for folder, values in (("home", 2 * scan()), ("~", scan())):
        image = nib.Nifti1Image(values, AFFINE)
        if name == "a.mha":
            itk = pytest.importorskip("itk")
            itk.imwrite(to_itk(values, AFFINE), str(tmp_path / folder / name))
        elif name == "a.mgz":
            nib.save(nib.MGHImage(values, AFFINE), tmp_path / folder / name)
        else:
            nib.save(image if ".nii" in name else nib.Nifti1Pair(values, AFFINE), tmp_path / folder / name)
    np.testing.assert_allclose(read_image(Path("~") / name).voxels, scan())


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere.nii.gz"):
        read_image(tmp_path / "nowhere.nii.gz")
    with pytest.raises(FileNotFoundError, match="no DICOM image"):
        read_image(tmp_path)


@pytest.mark.parametrize("keep", [0, 20, 200, 0.5, 0.999])
def test_a_truncated_file_is_refused(tmp_path, keep):
    whole = save(tmp_path / "whole.nii.gz", scan((20, 20, 20))).read_bytes()
    cut = tmp_path / "cut.nii.gz"
    cut.write_bytes(whole[: keep if keep > 1 else int(keep * len(whole))])
    with pytest.raises(OSError, match="cut.nii.gz.*(truncated|empty)"):
        read_image(cut)


def test_a_truncated_uncompressed_file_and_a_text_file_are_refused(tmp_path):
    whole = save(tmp_path / "whole.nii", scan()).read_bytes()
    for name, content in {"cut.nii": whole[:-100], "text.nii": b"hello" * 100, "text.mha": b"hello" * 100}.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(OSError, match=f"{name}.*truncated"):
            read_image(tmp_path / name)
    (tmp_path / "text.nii.gz").write_bytes(gzip.compress(b"hello" * 100))
    with pytest.raises(OSError, match="text.nii.gz"):
        read_image(tmp_path / "text.nii.gz")


def test_color_voxels_are_refused(tmp_path):
    rgb = np.zeros((5, 6, 7), dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])
    with pytest.raises(ValueError, match="not real numbers"):
        read_image(save(tmp_path / "rgb.nii", rgb))


@pytest.mark.parametrize("column", [[0, 0, 0], [1, 0, 0], [1, 1, 0], [np.nan, 0, 0]])
def test_a_singular_affine_is_refused(column):
    affine = np.eye(4)
    affine[:3, 2] = column
    with pytest.raises(ValueError, match="a.nii.*unusable affine"):
        check_affine(affine, "a.nii")


def test_a_file_with_zero_spacing_is_refused(tmp_path):
    image = nib.Nifti1Image(scan(), None)
    image.header["pixdim"][1:4] = [1, 1, 0]
    image.header["sform_code"], image.header["qform_code"] = 1, 0
    image.header["srow_x"], image.header["srow_y"], image.header["srow_z"] = [1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0]
    (tmp_path / "flat.nii").write_bytes(image.header.binaryblock + bytes(4) + scan().tobytes(order="F"))
    with pytest.raises(ValueError, match="flat.nii"):
        read_image(tmp_path / "flat.nii")


def test_a_file_without_orientation_is_read_with_a_warning(tmp_path, caplog):
    image = nib.Nifti1Image(scan(), None)
    nib.save(image, tmp_path / "plain.nii")
    assert read_image(tmp_path / "plain.nii").voxels.shape == (5, 6, 7)
    assert "plain.nii" in caplog.text and "left and right" in caplog.text


def test_nan_is_background_on_request_with_a_warning(tmp_path):
    volume = scan()
    volume[0] = np.nan
    path = save(tmp_path / "brain.nii.gz", volume)
    with pytest.raises(ValueError, match=r"brain\.nii\.gz.*--nan_background true"):
        read_image(path)
    read = read_image(path, nan_background=True)
    np.testing.assert_array_equal(read.voxels, np.nan_to_num(volume))
    assert "20.0 % of its voxels are NaN" in read.warnings[0]
    volume[1, 0, 0] = np.inf
    with pytest.raises(ValueError, match="infinite"):
        read_image(save(tmp_path / "brain.nii.gz", volume), nan_background=True)


def test_a_dicom_file_is_told_to_be_given_by_its_folder(tmp_path, dicom_series):
    folder = dicom_series(3)
    with pytest.raises(ValueError, match="folder"):
        read_image(min(folder.iterdir()))
    (tmp_path / "list").mkdir()
    (tmp_path / "list" / "DICOMDIR").write_bytes(bytes(128) + b"DICM")
    with pytest.raises(ValueError, match=r"DICOMDIR.*folder"):
        read_image(tmp_path / "list" / "DICOMDIR")
    with pytest.raises(FileNotFoundError, match="DICOMDIR"):
        read_image(tmp_path / "list")
