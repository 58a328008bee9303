import re
import shutil
import subprocess
from dataclasses import replace

import nibabel as nib
import numpy as np
import pydicom
import pytest
from monai.data.image_reader import PydicomReader
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless

from unicoal_components.scans.dicom import files
from unicoal_components.scans.dicom import pixels as dicom_pixels
from unicoal_components.scans.dicom.series import choose_series, find_series
from unicoal_components.scans.dicom.volume import read_series


def read(folder):
    return read_series(choose_series(folder))


def rescaled(index, dataset):
    dataset.RescaleSlope, dataset.RescaleIntercept = str(1.25 + index / 7)[:14], "-3.5"


def test_voxels_and_affine_are_those_of_monai(dicom_series):
    folder = dicom_series(6, each=rescaled)
    volume = read(folder)
    reader = PydicomReader()
    voxels, meta = reader.get_data(reader.read(str(folder)))
    np.testing.assert_allclose(volume.voxels, voxels, rtol=1e-6)
    np.testing.assert_allclose(volume.affine, meta["affine"], atol=1e-5)
    assert volume.voxels.dtype == np.float32 and volume.affine.dtype == np.float64
    assert volume.stored_dtype == "int16" and volume.warnings == ()


def test_each_slice_has_its_own_scale(dicom_series):
    stored = np.random.default_rng(1).integers(-5, 1000, (10, 12, 3)).astype(np.int16)
    volume = read(dicom_series(3, voxels=stored, each=rescaled))
    slopes = [float(header.RescaleSlope) for header in volume.source]
    np.testing.assert_array_equal(volume.voxels, (stored * np.array(slopes) - 3.5).astype(np.float32))
    assert len(set(slopes)) == 3


def test_a_real_world_mapping_is_not_applied(dicom_series):
    def mapped(index, dataset):
        item = pydicom.Dataset()
        item.RealWorldValueSlope, item.RealWorldValueIntercept = 2.0, 5.0
        dataset.RealWorldValueMappingSequence = [item]

    stored = np.arange(240).reshape(10, 8, 3).astype(np.int16)
    np.testing.assert_array_equal(read(dicom_series(3, voxels=stored, each=mapped)).voxels, stored)


def test_the_order_is_that_of_the_positions_not_of_the_instances(dicom_series):
    def backwards(index, dataset):
        dataset.InstanceNumber = 50 - index

    stored = np.arange(480).reshape(10, 8, 6).astype(np.int16)
    volume = read(dicom_series(6, voxels=stored, each=backwards))
    np.testing.assert_array_equal(volume.voxels, stored)
    assert [header.InstanceNumber for header in volume.source] == list(range(50, 44, -1))
    assert all("PixelData" not in header for header in volume.source)


def world_values(voxels, affine, points):
    index = np.rint(np.linalg.inv(affine) @ points).astype(int)[:3]
    return voxels[tuple(index)]


@pytest.mark.parametrize("source", ["fake", "real"])
def test_voxels_are_where_dcm2niix_puts_them(tmp_path, dcm2niix, dicom_series, source, request):
    folder = request.getfixturevalue("real_dicom") if source == "real" else dicom_series(6)
    volume = read(folder)
    command = [dcm2niix, "-z", "n", "-b", "n", "-f", "out", "-o", str(tmp_path), str(folder)]
    subprocess.run(command, check=True, capture_output=True)
    image = nib.load(tmp_path / "out.nii")
    rng = np.random.default_rng(0)
    index = np.stack([rng.integers(0, n, 500) for n in volume.voxels.shape] + [np.ones(500, int)])
    want = volume.voxels[tuple(index[:3])]
    np.testing.assert_array_equal(world_values(image.get_fdata(), image.affine, volume.affine @ index), want)
    flip = np.eye(4)
    flip[1, 1], flip[1, 3] = -1, volume.voxels.shape[1] - 1  # dcm2niix turns rows upside down
    reached = volume.affine @ flip
    if np.sign(image.affine[2, 2]) != np.sign(reached[2, 2]):
        flip[2, 2], flip[2, 3] = -1, volume.voxels.shape[2] - 1
    np.testing.assert_allclose(image.affine, volume.affine @ flip, atol=1e-3)


@pytest.mark.filterwarnings("ignore:PydicomReader")  # numbers of more than 16 characters: it drops them, and the affine
def test_a_real_series_agrees_with_monai(real_dicom):
    volume = read(real_dicom)
    reader = PydicomReader()
    voxels, _ = reader.get_data(reader.read(str(real_dicom)))
    np.testing.assert_array_equal(volume.voxels, voxels)
    for z, header in enumerate(volume.source):
        position = np.asarray(header.ImagePositionPatient, float) * [-1, -1, 1]
        np.testing.assert_allclose((volume.affine @ [0, 0, z, 1])[:3], position, atol=1e-3)
    assert volume.series.modality == "t1" and volume.warnings == ()


def test_run_length_encoding_is_decoded(dicom_series):
    folder = dicom_series(3)
    plain = read(folder).voxels
    for path in folder.iterdir():
        dataset = pydicom.dcmread(path)
        dataset.compress(RLELossless, generate_instance_uid=False)
        dataset.save_as(path)
    np.testing.assert_array_equal(read(folder).voxels, plain)


def test_an_undecodable_compression_is_named_with_a_remedy(dicom_series, monkeypatch):
    folder = dicom_series(3)
    for path in folder.iterdir():
        dataset = pydicom.dcmread(path)
        dataset.compress(RLELossless, generate_instance_uid=False)
        dataset.save_as(path)

    class Missing:
        is_available = False

    monkeypatch.setattr(dicom_pixels, "get_decoder", lambda uid: Missing())
    with pytest.raises(OSError, match=r"RLE Lossless \(1.2.840.10008.1.2.5\).*pip install pylibjpeg.*gdcmconv --raw"):
        read(folder)


def test_a_truncated_or_changed_file_is_named(dicom_series):
    for keep in (-50, -1):
        folder = dicom_series(4)
        victim = sorted(folder.iterdir())[1]
        victim.write_bytes(victim.read_bytes()[:keep])
        with pytest.raises(OSError, match=f"{victim.name}.*truncated or damaged"):
            read(folder)


def test_a_missing_file_is_named(dicom_series):
    series = choose_series(dicom_series(4))
    series.files[2].unlink()
    with pytest.raises(OSError, match=series.files[2].name):
        read_series(series)


def change(**values):
    def each(index, dataset):
        for keyword, value in values.items():
            setattr(dataset, keyword, value)

    return each


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"NumberOfFrames": "3"}, "3 frames without functional groups"),
        ({"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB"}, "color image .*RGB"),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, "color image .*PALETTE"),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "M", "MOSAIC"]}, "is a mosaic.*dcm2niix"),
        ({"PhotometricInterpretation": "MONOCHROME1"}, "MONOCHROME1.*MONOCHROME2"),
        ({"ImagePositionPatient": None}, "ImagePositionPatient"),
        ({"PixelSpacing": ["0", "0.5"]}, "PixelSpacing"),
    ],
)
def test_a_series_that_is_not_gray_and_single_frame_is_refused(dicom_series, values, message):
    with pytest.raises(ValueError, match=message):
        read(dicom_series(3, each=change(**values)))


def test_a_series_with_a_gap_or_one_slice_is_refused_by_name(dicom_series):
    folder = dicom_series(6)
    gone = next(path for path in folder.iterdir() if path.name.endswith("_3"))
    gone.unlink()
    with pytest.raises(ValueError, match="1.2.840.*lacks 1 slices at .* mm along the slice normal.*_2'.*_4'"):
        read(folder)
    with pytest.raises(ValueError, match="single slice"):
        read(dicom_series(1))


def test_files_of_several_series_or_matrices_are_refused(tmp_path, dicom_series):
    one = choose_series(dicom_series(3))
    other = choose_series(dicom_series(3, tags={"SeriesInstanceUID": "1.9"}))
    with pytest.raises(ValueError, match=r"belongs to the series 1\.9"):
        read_series(replace(one, files=one.files + other.files, frames=one.frames + other.frames))
    larger = choose_series(dicom_series(3, shape=(14, 14)))
    with pytest.raises(ValueError, match="mixes matrices.*14 x 14"):
        read_series(replace(one, files=one.files + larger.files, frames=one.frames + larger.frames))


def test_parts_of_a_series_are_read_one_by_one(dicom_series):
    folder = dicom_series(3, tags={"EchoTime": "12"})
    dicom_series(3, folder=folder, prefix="B", tags={"EchoTime": "80"}, first=4)
    volumes = [read_series(part) for part in find_series(folder)]
    assert [float(volume.source[0].EchoTime) for volume in volumes] == [12, 80]
    assert not any(volume.warnings for volume in volumes)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"thickness": 3.0, "spacing": 4.5}, "3.00 mm at a distance of 4.50 mm.*1.50 mm"),
        ({"tags": {"Modality": "CT"}}, "Modality CT, not MR"),
        ({"tags": {"SyntheticData": "YES"}}, "itself synthetic"),
        ({"each": lambda i, dataset: setattr(dataset, "PatientID", f"P{i > 2}")}, "name 2 patients"),
        ({"tags": {"ImagesInAcquisition": 9}}, "6 slices, but ImagesInAcquisition is 9"),
        ({"each": lambda i, dataset: setattr(dataset, "InstanceNumber", i + 1 + (i > 3))}, "gaps in InstanceNumber"),
    ],
)
def test_suspicious_series_are_read_with_a_warning(dicom_series, options, message):
    (warning,) = read(dicom_series(6, **options)).warnings
    assert re.search(message, warning) and "1.2.840" not in warning  # the UID would identify the patient


def test_overlapping_slices_are_not_a_gap(dicom_series):
    assert read(dicom_series(3, thickness=4, spacing=2)).warnings == ()


def test_the_rescale_that_all_slices_share_is_kept(dicom_series):
    tags = {"RescaleSlope": "0.25", "RescaleIntercept": "-3"}
    assert read(dicom_series(3, tags=tags)).rescale == (0.25, -3.0)
    assert read(dicom_series(3)).rescale == (1.0, 0.0)

    def each(index, dataset):
        dataset.RescaleSlope, dataset.RescaleIntercept = str(1 + index), "0"

    assert read(dicom_series(3, each=each)).rescale is None


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian])
def test_slices_without_preamble_and_file_meta_are_read(dicom_series, syntax):
    folder = dicom_series(4)
    want = read(folder)
    for path in folder.iterdir():
        dataset = pydicom.dcmread(path)
        del dataset.file_meta
        dataset.preamble = None
        implicit = syntax == ImplicitVRLittleEndian
        dataset.save_as(path, implicit_vr=implicit, little_endian=True, enforce_file_format=False)
        assert path.read_bytes()[128:132] != b"DICM"
    np.testing.assert_array_equal(read(folder).voxels, want.voxels)


def test_a_copied_file_is_left_out_with_a_warning_but_no_other_slice_at_its_place(dicom_series):
    folder = dicom_series(4)
    first = min(folder.iterdir())
    shutil.copy(first, folder / "copy (1)")
    volume = read(folder)
    assert volume.voxels.shape[2] == 4 and any("is a copy of" in warning for warning in volume.warnings)
    dataset = pydicom.dcmread(first)
    dataset.PixelData = bytes(len(dataset.PixelData))
    dataset.save_as(folder / "copy (1)")
    with pytest.raises(ValueError, match="position of another.*copy|copy.*position of another"):
        read(folder)


@pytest.mark.parametrize(
    "tags", [{"ImageType": ["ORIGINAL", "PRIMARY", "P", "ND"]}, {"ComplexImageComponent": "PHASE"}]
)
def test_a_phase_image_is_of_no_modality_and_warned_of(dicom_series, tags):
    folder = dicom_series(4, tags=tags | {"SeriesDescription": "t1_se_tra"})
    assert choose_series(folder).modality is None
    assert any("phase image" in warning for warning in read(folder).warnings)


@pytest.mark.parametrize("code", ["ADC", "PROJECTION IMAGE", "PHASE MAP"])
def test_a_map_or_projection_is_of_no_modality_and_warned_of(dicom_series, code):
    folder = dicom_series(4, tags={"ImageType": ["DERIVED", "SECONDARY", code], "SeriesDescription": "t1_se_tra"})
    assert choose_series(folder).modality is None
    assert any(f"names {code}" in warning for warning in read(folder).warnings)


def raw(keyword, text, kind):
    """Return a change of a slice: an element with a value as a damaged or odd file has it, unchecked."""

    def change(index, dataset):
        tag = pydicom.tag.Tag(keyword)
        dataset._dict[tag] = pydicom.dataelem.RawDataElement(tag, kind, len(text), text, 0, False, True)

    return change


@pytest.mark.parametrize(
    ("keyword", "text", "kind"),
    [
        ("Rows", b"12\\13", "IS"),
        ("Modality", b"MR\\CT", "CS"),
        ("RescaleSlope", b"nan", "DS"),
        ("RescaleSlope", b"text", "LO"),
        ("RescaleIntercept", b"1\\2", "DS"),
        ("PixelSpacing", b"nan\\1", "DS"),
        ("PixelSpacing", b"-1\\1", "DS"),
        ("ImagePositionPatient", b"a\\b\\c", "LO"),
        ("BitsAllocated", bytes(2), "US"),
        ("InstanceNumber", b"1e400", "DS"),
        ("ContrastBolusAgent", b"1\\2", "DS"),
        ("ImageType", b"\x05\x00", "US"),
        ("EchoTime", b"a\\b", "LO"),
    ],
)
def test_a_value_of_a_wrong_kind_is_read_or_named(dicom_series, keyword, text, kind):
    folder = dicom_series(3, each=raw(keyword, text, kind))
    try:
        volume = read(folder)
    except (ValueError, OSError) as error:
        assert str(folder) in str(error)
    else:
        assert volume.voxels.shape == (12, 10, 3) and np.isfinite(volume.affine).all()


def test_an_unknown_character_set_is_one_warning_and_no_log(dicom_series, caplog):
    volume = read(dicom_series(6, tags={"SpecificCharacterSet": "ISO_IR 666"}))
    assert sum("ISO_IR 666" in warning for warning in volume.warnings) == 1
    assert "Unknown encoding" not in caplog.text


def test_a_file_that_inflates_to_far_more_is_refused(dicom_series, monkeypatch):
    def deflate(index, dataset):
        dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian

    folder = dicom_series(3, each=deflate)
    assert read(folder).voxels.shape == (12, 10, 3)
    files._read_header.cache_clear()
    monkeypatch.setattr(files, "INFLATED", 100)
    with pytest.raises(OSError, match=str(folder)):
        read(folder)


def test_a_header_that_states_more_pixels_than_the_file_can_hold_is_refused(dicom_series):
    folder = dicom_series(3, tags={}, each=change(Rows=60000, Columns=60000))
    with pytest.raises((OSError, ValueError), match=str(folder)):
        read(folder)
