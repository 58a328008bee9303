"""Enhanced multi-frame MR: what Philips, Canon and Siemens XA write."""

import shutil
import subprocess
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
from pydicom import Dataset
from pydicom.uid import EnhancedMRImageStorage

from unicoal_components.scans.dicom.frames import frame_headers
from unicoal_components.scans.dicom.series import choose_series, find_series
from unicoal_components.scans.dicom.volume import read_series
from unicoal_components.scans.dicom.writer import write_derived_series

SAMPLES = Path(__file__).parents[3] / ".." / "shared" / "data" / "dicom_enhanced"
VOLUMES = {"philips_fieldmap_64frames": 2, "siemens_xa10_epi_6frames": 1, "siemens_xa30_sagittal_63frames": 1}

GROUPS = {
    "PlanePositionSequence": ["ImagePositionPatient"],
    "PlaneOrientationSequence": ["ImageOrientationPatient"],
    "PixelMeasuresSequence": ["PixelSpacing", "SliceThickness", "SpacingBetweenSlices"],
    "PixelValueTransformationSequence": ["RescaleSlope", "RescaleIntercept"],
    "MREchoSequence": [],
    "MRImageFrameTypeSequence": [],
}
MOVED = {keyword for keywords in GROUPS.values() for keyword in keywords} | {"EchoTime", "ImageType", "InstanceNumber"}


def enhance(folders, path, *, shared=("PlaneOrientationSequence", "PixelMeasuresSequence"), change=None):
    """Put the slices of single-frame series into one enhanced object, frames of all series in turn."""
    series = [[pydicom.dcmread(file) for file in sorted(folder.iterdir())] for folder in folders]
    slices = [one for group in zip(*series, strict=True) for one in group]
    whole = Dataset()
    whole.update({element.tag: element for element in slices[0] if element.keyword not in MOVED})
    whole.SOPClassUID, whole.NumberOfFrames = EnhancedMRImageStorage, len(slices)
    whole.ImageType = ["ORIGINAL", "PRIMARY", "MIXED", "NONE"]
    groups = []
    for one in slices:
        groups.append({name: Dataset() for name in GROUPS})
        for name, keywords in GROUPS.items():
            for keyword in keywords:
                if keyword in one:
                    groups[-1][name][keyword] = one[keyword]
        groups[-1]["MREchoSequence"].EffectiveEchoTime = float(one.EchoTime)
        groups[-1]["MRImageFrameTypeSequence"].FrameType = one.ImageType
        if change is not None:
            change(len(groups) - 1, groups[-1])
    common, frames = Dataset(), []
    for name in shared:
        setattr(common, name, [groups[0][name]])
    for group in groups:
        frames.append(Dataset())
        for name, item in group.items():
            if name not in shared and item is not None:
                setattr(frames[-1], name, [item])
    whole.SharedFunctionalGroupsSequence, whole.PerFrameFunctionalGroupsSequence = [common], frames
    whole.PixelData = b"".join(one.PixelData for one in slices)
    whole.file_meta = slices[0].file_meta
    whole.file_meta.MediaStorageSOPClassUID = EnhancedMRImageStorage
    path.mkdir()
    whole.save_as(path / "enhanced.dcm", enforce_file_format=True)
    return path


@pytest.fixture
def magnitude(dicom_series):
    return dicom_series(5, tags={"RescaleSlope": "2", "RescaleIntercept": "-10"})


def test_an_enhanced_object_is_the_volume_of_its_single_frames(tmp_path, magnitude):
    want = read_series(choose_series(magnitude))
    read = read_series(choose_series(enhance([magnitude], tmp_path / "in")))
    np.testing.assert_array_equal(read.voxels, want.voxels)
    np.testing.assert_allclose(read.affine, want.affine)
    assert (read.rescale, read.slice_thickness, read.stored_dtype) == ((2, -10), 3.6, want.stored_dtype)
    assert len(read.checksums) == 1 and read.series.modality == want.series.modality


def test_volumes_in_one_object_are_parts_that_are_chosen_like_series(tmp_path, dicom_series, magnitude):
    tags = {"EchoTime": "30", "ImageType": ["ORIGINAL", "PRIMARY", "P", "NONE"], "RescaleSlope": "0.5"}
    phase = dicom_series(5, tags=tags)
    folder = enhance([magnitude, phase], tmp_path / "in")
    first, second = find_series(folder)
    assert (first.part, second.part) == (1, 2) and set(first.files) == {folder / "enhanced.dcm"}
    assert (first.frames, second.frames) == ((1, 3, 5, 7, 9), (2, 4, 6, 8, 10))
    for part, source in ((first, magnitude), (second, phase)):
        read = read_series(choose_series(folder, uid=part.key))
        np.testing.assert_array_equal(read.voxels, read_series(choose_series(source)).voxels)
        assert set(read.source[0].ImageType) == set(read_series(choose_series(source)).source[0].ImageType)


def test_objects_of_one_series_that_no_element_tells_apart_are_parts(tmp_path, dicom_series):
    folder = enhance([dicom_series(4)], tmp_path / "in")
    other = enhance([dicom_series(4)], tmp_path / "other") / "enhanced.dcm"
    shutil.move(other, folder / "second.dcm")
    assert [set(series.files) for series in find_series(folder)] == [
        {folder / "enhanced.dcm"},
        {folder / "second.dcm"},
    ]


def test_a_frame_comes_before_what_frames_share_and_that_before_the_object(tmp_path, magnitude):
    def change(index, group):
        if index == 2:
            group["MREchoSequence"] = None
        group["MRTimingAndRelatedParametersSequence"] = Dataset()
        group["MRTimingAndRelatedParametersSequence"].RepetitionTime = 100.0 + index

    whole = pydicom.dcmread(enhance([magnitude], tmp_path / "in", change=change) / "enhanced.dcm")
    whole.EchoTime, whole.EchoPulseSequence = "99", "SPIN"
    del whole.ScanningSequence
    modifier = Dataset()
    modifier.InversionRecovery, modifier.InversionTimes = "YES", [2500.0]
    whole.SharedFunctionalGroupsSequence[0].MRModifierSequence = [modifier]
    frames = list(frame_headers(whole))
    assert [frame.RepetitionTime for frame in frames] == [100, 101, 102, 103, 104]
    assert [float(frame.EchoTime) for frame in frames] == [12, 12, 99, 12, 12]
    assert [frame.InstanceNumber for frame in frames] == [1, 2, 3, 4, 5]
    assert frames[0].InversionTime == 2500 and list(frames[0].ScanningSequence) == ["SE", "IR"]
    assert not any(element.tag.is_private for element in frames[0])


@pytest.mark.parametrize("lacking", ["PlanePositionSequence", "PixelMeasuresSequence"])
def test_a_frame_without_its_place_is_named(tmp_path, magnitude, lacking):
    def change(index, group):
        if index == 3:
            group[lacking] = None

    folder = enhance([magnitude], tmp_path / "in", shared=("PlaneOrientationSequence",), change=change)
    with pytest.raises(ValueError, match=r"enhanced.dcm, frame 4.*(ImagePositionPatient|PixelSpacing)"):
        read_series(choose_series(folder))


def test_more_frames_than_functional_groups_are_refused(tmp_path, magnitude):
    folder = enhance([magnitude], tmp_path / "in")
    whole = pydicom.dcmread(folder / "enhanced.dcm")
    whole.PerFrameFunctionalGroupsSequence = whole.PerFrameFunctionalGroupsSequence[:4]
    whole.save_as(folder / "enhanced.dcm", enforce_file_format=True)
    with pytest.raises(ValueError, match=r"enhanced.dcm.*5 frames.*for 4"):
        read_series(choose_series(folder))


def test_a_derived_series_refers_to_frames(tmp_path, magnitude):
    source = read_series(choose_series(enhance([magnitude], tmp_path / "in")))
    options = {"affine": source.affine, "source": source.source, "target_modality": "t1", "source_modality": "t1"}
    folder = write_derived_series(tmp_path / "out", voxels=source.voxels, **options)
    made = read_series(choose_series(folder))
    np.testing.assert_allclose(made.affine, source.affine, atol=1e-6)
    for one, frame in zip(made.source, source.source, strict=True):
        (reference,) = one.SourceImageSequence
        assert reference.ReferencedSOPInstanceUID == frame.SOPInstanceUID
        assert reference.ReferencedSOPClassUID == EnhancedMRImageStorage
        assert reference.ReferencedFrameNumber == frame.ReferencedFrameNumber
        assert one.StudyInstanceUID == frame.StudyInstanceUID and "NumberOfFrames" not in one


@pytest.mark.parametrize("name", VOLUMES)
def test_real_objects_are_where_dcm2niix_puts_them(tmp_path, dcm2niix, name):
    path = SAMPLES / f"{name}.dcm"
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    (tmp_path / "in").mkdir()
    shutil.copy(path, tmp_path / "in")
    command = [dcm2niix, "-z", "n", "-b", "n", "-f", "%e_%p", "-o", str(tmp_path), str(tmp_path / "in")]
    subprocess.run(command, check=True, capture_output=True)
    references = [nib.load(file) for file in sorted(tmp_path.glob("*.nii"))]
    found = find_series(tmp_path / "in")
    assert len(found) == len(references) == VOLUMES[name]
    for series, reference in zip(found, references, strict=True):
        volume = read_series(series)
        grid = np.indices(volume.voxels.shape).reshape(3, -1).T
        voxels = nib.affines.apply_affine(np.linalg.inv(reference.affine) @ volume.affine, grid)
        np.testing.assert_allclose(voxels, np.rint(voxels), atol=1e-4)
        x, y, z = np.rint(voxels).astype(int).T
        np.testing.assert_allclose(volume.voxels.reshape(-1), reference.get_fdata()[x, y, z], atol=1e-3)
