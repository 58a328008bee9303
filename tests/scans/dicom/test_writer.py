import errno
import shutil
import subprocess
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
from monai.data.image_reader import ITKReader, PydicomReader

from unicoal_components.scans.dicom.series import choose_series
from unicoal_components.scans.dicom.volume import read_series
from unicoal_components.scans.dicom.writer import series_scale, write_derived_series

DCIODVFY = shutil.which("dciodvfy")
NOT_YET_KNOWN = "(0x0008,0x001c)"
"""Some releases of dciodvfy do not know SyntheticData yet."""


@pytest.fixture
def volume(dicom_series):
    return read_series(choose_series(dicom_series(5)))


@pytest.fixture(scope="module")
def real_thin(real_dicom, tmp_path_factory):
    """The folder, volume and affine of a thin series derived from the real one."""
    volume = read_series(choose_series(real_dicom))
    voxels, affine = thin(volume)
    return write(tmp_path_factory.mktemp("written") / "out", volume, voxels, affine), voxels, affine


@pytest.fixture
def fake_thin(volume, tmp_path):
    voxels, affine = thin(volume)
    return write(tmp_path / "written", volume, voxels, affine), voxels, affine


def thin(volume, factor=2):
    """Return a volume of twice as many slices, of other values than the source, and its affine."""
    affine = volume.affine.copy()
    affine[:3, 2] /= factor
    count = (volume.voxels.shape[2] - 1) * factor + 1
    voxels = np.stack([volume.voxels[:, :, z // factor] / 7 - 20 + z for z in range(count)], axis=-1)
    return voxels.astype(np.float32), affine


def write(folder, volume, voxels=None, affine=None, **options):
    voxels = volume.voxels if voxels is None else voxels
    options = {"target_modality": "t2", "source_modality": "t1", "versions": ["pkg 1.0"]} | options
    affine = volume.affine if affine is None else affine
    return write_derived_series(folder, voxels=voxels, affine=affine, source=volume.source, **options)


def real_values(read):
    """Apply RealWorldValueMappingSequence of the first slice to a volume that was read."""
    mapping = read.source[0].RealWorldValueMappingSequence[0]
    return read.voxels * mapping.RealWorldValueSlope + mapping.RealWorldValueIntercept


def files(folder):
    return [pydicom.dcmread(path) for path in sorted(Path(folder).iterdir())]


@pytest.mark.parametrize("written", ["fake_thin", "real_thin"])
def test_values_and_positions_come_back(request, written):
    folder, voxels, affine = request.getfixturevalue(written)
    read = read_series(choose_series(folder))
    np.testing.assert_allclose(read.affine, affine, atol=1e-6)
    step = np.ptp(voxels) / 4095
    assert np.abs(real_values(read) - voxels).max() <= step / 2 * 1.001
    assert read.voxels.min() == 0 and read.voxels.max() == 4095
    assert [header.InstanceNumber for header in read.source] == list(range(1, voxels.shape[2] + 1))
    assert read.series.modality == "t2" and read.stored_dtype == "uint16"
    assert len(read.warnings) == 1 and "itself synthetic" in read.warnings[0]


def test_itk_and_monai_read_the_same_volume_at_the_same_position(tmp_path, volume):
    voxels, affine = thin(volume)
    folder = write(tmp_path / "out", volume, voxels, affine)
    for reader in (PydicomReader(), ITKReader(affine_lps_to_ras=True)):
        found, meta = reader.get_data(reader.read(str(folder)))
        want = read_series(choose_series(folder)).voxels
        np.testing.assert_allclose(meta["affine"], affine, atol=1e-4)
        np.testing.assert_array_equal(np.asarray(found), want)


@pytest.mark.parametrize("written", ["fake_thin", "real_thin"])
def test_dcm2niix_gives_the_stored_values_at_the_same_position_without_a_warning(tmp_path, dcm2niix, request, written):
    folder, voxels, affine = request.getfixturevalue(written)
    command = [dcm2niix, "-z", "n", "-b", "n", "-f", "out", "-o", str(tmp_path), str(folder)]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    of_the_source = ("Unable to determine manufacturer", "Patient Position (0018,5100) not specified")
    warnings = [
        line for line in said.splitlines() if "Warning" in line and not any(known in line for known in of_the_source)
    ]
    assert not warnings, said
    image = nib.load(tmp_path / "out.nii")
    stored = read_series(choose_series(folder)).voxels
    index = np.stack([np.random.default_rng(0).integers(0, n, 300) for n in voxels.shape] + [np.ones(300, int)])
    there = np.linalg.inv(image.affine) @ affine @ index
    np.testing.assert_allclose(there, np.rint(there), atol=2e-3)
    found = np.asarray(image.dataobj)[tuple(np.rint(there).astype(int)[:3])]
    np.testing.assert_array_equal(found, stored[tuple(index[:3])])


@pytest.mark.skipif(DCIODVFY is None, reason="dciodvfy is not installed")
@pytest.mark.parametrize("options", [{}, {"deidentify": True}, {"target_modality": "t1"}], ids=["t2", "nameless", "sr"])
def test_the_validator_finds_no_error(tmp_path, volume, options):
    check_valid(write(tmp_path / "out", volume, *thin(volume), **options))


@pytest.mark.skipif(DCIODVFY is None, reason="dciodvfy is not installed")
def test_the_validator_finds_no_error_though_a_real_source_has_many(real_thin):
    check_valid(real_thin[0])


def check_valid(folder):
    for path in sorted(folder.iterdir())[:2]:
        said = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, check=False)
        lines = (said.stdout + said.stderr).splitlines()
        assert "MRImage" in lines
        assert not [line for line in lines if line.startswith("Error") and NOT_YET_KNOWN not in line]


def test_unchanged_elements_are_copied_literally(tmp_path, volume):
    written = files(write(tmp_path / "same", volume))
    for new, old in zip(written, volume.source, strict=True):
        for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"):
            assert [v.original_string for v in new[keyword].value] == [v.original_string for v in old[keyword].value]
        assert new.SliceThickness.original_string == old.SliceThickness.original_string == "3.6"
        assert new.SpacingBetweenSlices.original_string == old.SpacingBetweenSlices.original_string
    written = files(write(tmp_path / "thin", volume, *thin(volume)))
    for new, old in zip(written[::2], volume.source, strict=True):
        assert [v.original_string for v in new.ImagePositionPatient] == [
            v.original_string for v in old.ImagePositionPatient
        ]
    assert float(written[1].SliceThickness) == float(written[1].SpacingBetweenSlices) == 2


def test_uids_are_new_valid_and_refer_to_the_source(tmp_path, volume):
    written = files(write(tmp_path / "out", volume, *thin(volume)))
    instances = {str(one.SOPInstanceUID) for one in written}
    assert len(instances) == len(written) and not instances & {str(one.SOPInstanceUID) for one in volume.source}
    assert len({str(one.SeriesInstanceUID) for one in written}) == 1
    assert written[0].SeriesInstanceUID != volume.source[0].SeriesInstanceUID
    assert {str(one.FrameOfReferenceUID) for one in written} == {str(volume.source[0].FrameOfReferenceUID)}
    for z, one in enumerate(written):
        referred = [str(item.ReferencedSOPInstanceUID) for item in one.SourceImageSequence]
        want = volume.source[z // 2 : z // 2 + 1 + z % 2]
        assert referred == [str(header.SOPInstanceUID) for header in want]
        assert one.file_meta.MediaStorageSOPInstanceUID == one.SOPInstanceUID


def test_a_seed_repeats_the_uids_and_none_gives_new_ones(tmp_path, volume):
    def uids(name, seed, **options):
        return {str(one.SOPInstanceUID) for one in files(write(tmp_path / name, volume, uid_seed=seed, **options))}

    assert uids("a", "run 1") == uids("b", "run 1") != uids("c", "run 2")
    assert not uids("d", "run 1", target_modality="flair") & uids("a", "run 1")
    assert not uids("e", None) & uids("f", None)


def test_pixels_have_twelve_bits_on_one_scale_and_no_rescale_elements(tmp_path, volume):
    for one in files(write(tmp_path / "out", volume, *thin(volume))):
        assert (one.BitsAllocated, one.BitsStored, one.HighBit, one.PixelRepresentation) == (16, 12, 11, 0)
        assert not {"RescaleSlope", "RescaleIntercept", "SmallestImagePixelValue", "LargestImagePixelValue"} & set(
            one.dir()
        )
        assert not any(element.tag.is_private for element in one)
        assert (float(one.WindowCenter), float(one.WindowWidth)) == (2048, 4096)


def test_the_window_is_given_in_units_of_the_volume(tmp_path, volume):
    voxels = np.linspace(-1, 1, volume.voxels.size).reshape(volume.voxels.shape)
    (one, *_) = files(write(tmp_path / "out", volume, voxels, window=(-0.5, 0.5)))
    mapping = one.RealWorldValueMappingSequence[0]
    low = float(one.WindowCenter) - 0.5 - (float(one.WindowWidth) - 1) / 2  # PS3.3 C.11.2.1.2.1
    high = float(one.WindowCenter) - 0.5 + (float(one.WindowWidth) - 1) / 2
    real = np.array([low, high]) * mapping.RealWorldValueSlope + mapping.RealWorldValueIntercept
    np.testing.assert_allclose(real, [-0.5, 0.5], atol=1e-6)
    with pytest.raises(ValueError, match="window is"):
        write(tmp_path / "other", volume, voxels, window=(0.5, 0.5))
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("value", [0.0, -3.25, 1e-30, 4e8])
def test_a_constant_volume_comes_back(tmp_path, volume, value):
    folder = write(tmp_path / "out", volume, np.full(volume.voxels.shape, value))
    read = read_series(choose_series(folder))
    np.testing.assert_allclose(real_values(read), value, rtol=1e-7)
    assert float(read.source[0].WindowWidth) >= 1


@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e9])
def test_the_scale_fits_any_range(scale):
    voxels = scale * (np.random.default_rng(0).random((4, 5, 6)) - 0.3)
    line = series_scale(voxels)
    back = line.stored(voxels) * line.slope + line.intercept
    assert np.abs(back - voxels).max() <= line.slope / 2 * 1.0001
    assert line.stored(voxels).max() == 4095 and line.stored(voxels).min() == 0


def test_values_that_are_not_finite_are_logged_and_clipped(caplog):
    voxels = np.arange(24.0).reshape(2, 3, 4)
    voxels[0, 0, :3] = np.nan, np.inf, -np.inf
    line = series_scale(voxels)
    assert "3 voxels are not finite" in caplog.text
    assert line.stored(voxels)[0, 0, :3].tolist() == [0, 4095, 0]
    with pytest.raises(ValueError, match="no finite value"):
        series_scale(np.full((2, 2, 2), np.nan))


def test_a_memory_map_is_read_slice_by_slice(tmp_path, volume):
    class OneSliceAtATime:
        shape, ndim = volume.voxels.shape, 3

        def __getitem__(self, key):
            assert isinstance(key[2], int)
            return volume.voxels[key]

    read = read_series(choose_series(write(tmp_path / "out", volume, OneSliceAtATime())))
    assert np.abs(real_values(read) - volume.voxels).max() < 0.2


def test_names_keep_their_letters(tmp_path, volume):
    for name, notes in (("latin", ()), ("utf8", ("Grüße",))):
        (one, *_) = files(write(tmp_path / name, volume, notes=notes))
        assert str(one.PatientName) == "Müller^Jürgen"
    assert one.SpecificCharacterSet == "ISO_IR 192" and "Grüße" in one.ImageComments


def test_a_deidentified_series_does_not_identify_the_patient(tmp_path, volume):
    folder = write(tmp_path / "a", volume, *thin(volume), deidentify=True)
    other = write(tmp_path / "b", volume, target_modality="flair", deidentify=True)
    old = {str(header.SOPInstanceUID) for header in volume.source}
    old |= {str(volume.source[0][k].value) for k in ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID")}
    words = [*old, "PID-123456", "ller^J", "Secret", "Hospital", "SN-4711", "20210304", "19600203", "ACC-77", "Roe"]
    for path in folder.iterdir():
        content = path.read_bytes()
        assert not [word for word in words if word.encode() + b"\0" in content or word.encode() + b" " in content]
        assert not [word for word in words[len(old) :] if word.encode() in content]
        assert pydicom.dcmread(path).PatientIdentityRemoved == "YES"
        assert "ContentDate" not in pydicom.dcmread(path)
    one, two = files(folder)[0], files(other)[0]
    assert one.StudyInstanceUID == two.StudyInstanceUID and one.FrameOfReferenceUID == two.FrameOfReferenceUID
    assert one.PatientID == two.PatientID and one.SeriesInstanceUID != two.SeriesInstanceUID
    assert one.SourceImageSequence[0].ReferencedSOPInstanceUID == two.SourceImageSequence[0].ReferencedSOPInstanceUID


def test_a_full_disk_leaves_the_old_series_and_nothing_else(tmp_path, volume, monkeypatch):
    out = tmp_path / "results" / "out"
    write(out, volume)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    save, calls = pydicom.Dataset.save_as, []

    def full(self, *args, **options):
        calls.append(1)
        if len(calls) > 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        return save(self, *args, **options)

    monkeypatch.setattr(pydicom.Dataset, "save_as", full)
    with pytest.raises(OSError, match=f"{out}.*No space left"):
        write(out, volume, *thin(volume))
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    assert [path.name for path in out.parent.iterdir()] == ["out"]


def test_a_series_written_before_is_replaced_as_a_whole(tmp_path, volume):
    write(tmp_path / "out", volume, *thin(volume))
    assert len(files(write(tmp_path / "out", volume))) == 5


def test_a_folder_of_anything_else_is_never_replaced(tmp_path, volume):
    source = volume.series.files[0].parent
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "text.txt").write_text("keep me")
    (tmp_path / "acquired").mkdir()
    shutil.copy(volume.series.files[0], tmp_path / "acquired" / "0001.dcm")
    (tmp_path / "file").touch()
    for folder in (source, tmp_path / "notes", tmp_path / "acquired", tmp_path / "file"):
        with pytest.raises(ValueError, match=f"'{folder}'.*no earlier result"):
            write(folder, volume)
        assert folder.is_file() or list(folder.iterdir())
    (tmp_path / "empty").mkdir()
    assert len(files(write(tmp_path / "empty", volume))) == 5


def test_a_volume_of_another_plane_is_placed_by_its_affine(tmp_path, volume):
    turned = volume.affine[:, [1, 2, 0, 3]]  # slices along the columns of the source
    turned[:3, 2] *= 0.5
    voxels = np.repeat(volume.voxels.transpose(1, 2, 0), 2, axis=2)
    folder = write_derived_series(
        tmp_path / "out", voxels=voxels, affine=turned, source=volume.source, target_modality="t2"
    )
    back = read_series(choose_series(folder))
    np.testing.assert_allclose(back.affine, turned, atol=1e-4)
    assert back.voxels.shape == voxels.shape


def test_other_dimensions_are_refused(tmp_path, volume):
    with pytest.raises(ValueError, match="2 dimensions"):
        write(tmp_path / "out", volume, volume.voxels[:, :, 0])
    assert not (tmp_path / "out").exists()


def test_a_japanese_name_is_kept(tmp_path, dicom_series):
    tags = {"SpecificCharacterSet": ["", "ISO 2022 IR 87"], "PatientName": "Yamada^Tarou=山田^太郎"}
    source = read_series(choose_series(dicom_series(3, tags=tags)))
    (first, *_) = files(write(tmp_path / "out", source))
    assert str(first.PatientName) == "Yamada^Tarou=山田^太郎"


def test_integers_are_kept_if_they_fit(tmp_path, volume):
    kept = files(write(tmp_path / "kept", volume, keep_integers=True))[0]
    np.testing.assert_array_equal(kept.pixel_array, volume.voxels[:, :, 0].T)
    for name, voxels in {
        "large": volume.voxels * 5,
        "negative": volume.voxels - 9,
        "fine": volume.voxels / 1000,
    }.items():
        mapping = files(write(tmp_path / name, volume, voxels, keep_integers=True))[0].RealWorldValueMappingSequence[0]
        assert mapping.RealWorldValueSlope != 1
