"""Any scan in, any thickness out, as a user runs it: formats, spacing, units, samples, record."""

import errno
import hashlib
import json
import os
import sys
from collections import Counter

import nibabel as nib
import numpy as np
import pydicom
import pytest
import torch

from unicoal_components.files import scratch
from unicoal_components.scans.dicom.series import choose_series
from unicoal_components.scans.dicom.volume import read_series

AFFINE = np.array([[-0.5, 0, 0, 9], [0, 0.5, 0.1, -7], [0, 0, 4.9, 3], [0, 0, 0, 1]])


def brain(shape=(24, 20, 5), seed=0):
    volume = np.zeros(shape, np.int16)
    inside = volume[3:-3, 3:-3]
    inside[:] = np.random.default_rng(seed).integers(50, 900, inside.shape)
    return volume


@pytest.fixture
def infer(bundle, weights, tmp_path):
    """Run inference with a tiny network; give the folder of its outputs."""

    def call(input, **options):
        values = {"ckpt_path": str(weights), "output_dir": str(tmp_path / "out"), "inference_batch_size": 4}
        bundle.run("inference.json", input=input, **values | options)
        return tmp_path / "out"

    return call


@pytest.fixture
def scan(tmp_path):
    nib.save(nib.Nifti1Image(brain(), AFFINE), tmp_path / "p01.nii.gz")
    return tmp_path / "p01.nii.gz"


def test_super_resolution_to_a_spacing_comes_back_in_units_type_and_place(infer, scan):
    image = nib.load(infer(str(scan), target_modality="t1", output_spacing=1.0) / "p01_t1.nii.gz")
    spacing = np.linalg.norm(AFFINE[:3, 2])
    assert image.shape == (24, 20, round(5 * spacing)) and image.get_data_dtype() == np.int16
    np.testing.assert_allclose(nib.affines.voxel_sizes(image.affine), [0.5, 0.5, 1.0], atol=1e-5)
    np.testing.assert_allclose(image.affine[:3, 3], AFFINE[:3, 3], atol=1e-5)
    np.testing.assert_allclose(image.affine[:3, 2], AFFINE[:3, 2] / spacing, atol=1e-5)
    assert image.get_fdata().min() >= 0 and 500 < image.get_fdata().max() <= 900


def test_the_record_beside_the_output_tells_where_it_comes_from(infer, scan, weights, bundle):
    out = infer(str(scan), factor=2.5, in_plane_spacing=1.0)
    told = json.loads((out / "p01_t2.json").read_text())
    assert told["input"]["sha256"] == hashlib.sha256(scan.read_bytes()).hexdigest()
    assert told["input"]["path"] == str(scan) and told["input"]["dtype"] == "int16"
    assert told["weights"] == {"sha256": hashlib.sha256(weights.read_bytes()).hexdigest()}
    assert told["bundle"] == {"name": "Uni-COAL unified", "version": bundle_version(bundle)}
    assert told["task"] == {
        "source_modality": "t1",
        "target_modality": "t2",
        "factor": 2.5,
        "planes": 1,
        "slice_thickness": None,
        "relative_thickness": 1.0,
        "through_plane": "axial",
    }
    geometry = told["output_geometry"]
    image = nib.load(out / told["outputs"]["image"])
    assert geometry["matrix"] == list(image.shape) == [24, 20, 12] and geometry["orientation"] == "LAS"
    np.testing.assert_allclose(geometry["affine"], image.affine, atol=1e-5)
    assert told["input_geometry"]["matrix"] == [24, 20, 5]
    assert told["intensity"]["range"] == [0, 1] and told["options"]["in_plane_spacing"] == 1.0
    assert set(told["seconds"]) == {"reading", "synthesis", "writing"} and min(told["seconds"].values()) >= 0
    assert any("slice spacing of 1.96" in warning for warning in told["warnings"])
    assert "not for diagnosis" in told["note"]
    error = told["expected_error"]
    assert error["in_units"] == pytest.approx(error["part_of_range"]) and 0.001 < error["part_of_range"] < 0.5


def test_another_modality_on_thin_slices_is_averaged_over_three_planes_unless_told_otherwise(infer, tmp_path):
    nib.save(nib.Nifti1Image(brain((16, 16, 16)), np.eye(4)), tmp_path / "thin.nii.gz")
    made = {}
    for planes, options in ((3, {}), (1, {"average_planes": False})):
        infer(str(tmp_path / "thin.nii.gz"), output_dir=str(tmp_path / str(planes)), **options)
        told = json.loads((tmp_path / str(planes) / "thin_t2.json").read_text(encoding="utf-8"))
        assert told["task"]["planes"] == planes
        made[planes] = nib.load(tmp_path / str(planes) / "thin_t2.nii.gz").get_fdata()
    assert made[3].shape == made[1].shape and np.abs(made[3] - made[1]).max() > 1e-3


def bundle_version(bundle):
    return json.loads((bundle.configs / "metadata.json").read_text())["version"]


def test_samples_give_a_mean_and_a_deviation_that_depend_on_the_seed_alone(infer, scan, tmp_path):
    def run(name, **options):
        out = infer(str(scan), num_samples=3, output_dir=str(tmp_path / name), **options)
        assert sorted(os.listdir(tmp_path / name)) == ["p01_t2.json", "p01_t2.nii.gz", "p01_t2_std.nii.gz"]
        return [(tmp_path / name / f"p01_t2{role}.nii.gz").read_bytes() for role in ("", "_std")], out

    (first, _), (again, _), (other, _) = run("a"), run("b"), run("c", seed=1)
    assert first == again and first[0] != other[0] and first[1] != other[1]
    deviation = nib.load(tmp_path / "a" / "p01_t2_std.nii.gz").get_fdata()
    mean = nib.load(tmp_path / "a" / "p01_t2.nii.gz").get_fdata()
    assert deviation.min() >= 0 and deviation.max() > 0 and deviation.shape == mean.shape
    told = json.loads((tmp_path / "a" / "p01_t2.json").read_text())
    assert told["outputs"] == {"image": "p01_t2.nii.gz", "standard_deviation": "p01_t2_std.nii.gz"}
    assert told["options"]["num_samples"] == 3 and told["options"]["seed"] == 0


def test_an_error_map_is_written_where_it_is_asked_for(infer, scan):
    out = infer(str(scan), error_map=True, synthesis_range=[0, 200], slice_thickness=4.0, factor=2)
    assert sorted(os.listdir(out)) == ["p01_t2.json", "p01_t2.nii.gz", "p01_t2_error.nii.gz"]
    error = nib.load(out / "p01_t2_error.nii.gz").get_fdata()
    inside = brain() > 0
    start = 0.05 * 200 / 2  # of untrained weights
    np.testing.assert_allclose(error[..., ::2][inside], start, rtol=0.02)
    assert error[..., ::2][brain().max(axis=2) == 0].max() == 0
    told = json.loads((out / "p01_t2.json").read_text())
    assert told["expected_error"]["in_units"] == pytest.approx(start, rel=0.02)
    spacing = np.linalg.norm(AFFINE[:3, 2])
    assert told["task"]["slice_thickness"] == 4.0
    assert told["task"]["relative_thickness"] == pytest.approx(4.0 / spacing)
    assert told["options"]["error_map"] is True and told["options"]["slice_thickness"] == 4.0


def test_a_map_of_a_network_that_predicts_no_error_is_refused_with_the_way_out(bundle, weights, scan, tmp_path):
    options = {"input": str(scan), "ckpt_path": str(weights), "output_dir": str(tmp_path / "out"), "error_map": True}
    words = bundle.mistake("inference.json", error_output=False, **options)
    assert "error_map is true, but the network does not predict its error" in words and "error_map to false" in words
    state = torch.load(weights, weights_only=True)
    torch.save({name: value for name, value in state.items() if ".error_tail." not in name}, tmp_path / "plain.pt")
    words = bundle.mistake("inference.json", **options | {"ckpt_path": str(tmp_path / "plain.pt")})
    assert "across.error_tail" in words and "is missing in the file" in words
    assert not (tmp_path / "out").exists() or list((tmp_path / "out").iterdir()) == []


def test_another_modality_is_on_the_scale_that_is_asked_for(infer, scan):
    image = nib.load(infer(str(scan), synthesis_range=[0, 4095]) / "p01_t2.nii.gz")
    assert 1 < image.get_fdata().max() <= 4095 and image.header["cal_max"] == 4095
    assert image.header["descrip"].item().decode().endswith("factor 1, scale 0-4095")


def test_a_list_of_files_and_folders_runs_through(infer, scan, dicom_series, tmp_path):
    (tmp_path / "list.txt").write_text(f"p01.nii.gz\n{dicom_series(4, folder=tmp_path / 'p02')}\n")
    out = infer(str(tmp_path / "list.txt"), factor=2)
    assert sorted(os.listdir(out)) == ["p01_t2.json", "p01_t2.nii.gz", "p02_t2", "p02_t2.json"]
    assert len(os.listdir(out / "p02_t2")) == 8


def test_a_dicom_series_comes_back_as_a_derived_one(infer, dicom_series):
    folder = dicom_series(5)
    out = infer(str(folder), target_modality="t1", factor=2) / f"{folder.name}_t1"
    source, made = (read_series(choose_series(place)) for place in (folder, out))
    want = source.affine.copy()
    want[:3, 2] /= 2
    np.testing.assert_allclose(made.affine, want, atol=1e-4)
    header = made.source[0]
    assert header.PatientID == source.source[0].PatientID
    assert header.StudyInstanceUID == source.source[0].StudyInstanceUID
    assert header.FrameOfReferenceUID == source.source[0].FrameOfReferenceUID
    assert header.SeriesInstanceUID != source.source[0].SeriesInstanceUID
    assert list(header.ImageType)[:2] == ["DERIVED", "SECONDARY"]
    assert "synthesized" in header.SeriesDescription and header.SeriesDescription.endswith("NOT FOR DIAGNOSIS")
    versions = " ".join(str(item.SoftwareVersions) for item in header.ContributingEquipmentSequence)
    assert "unicoal_components" in versions and "Uni-COAL unified" in versions
    mapping = header.RealWorldValueMappingSequence[0]
    values = made.voxels * mapping.RealWorldValueSlope + mapping.RealWorldValueIntercept
    step = mapping.RealWorldValueSlope
    assert abs(values.max() - source.voxels.max()) <= max(step, 1) or values.max() < source.voxels.max()
    assert json.loads(out.with_suffix(".json").read_text())["input"]["format"] == "dicom"


OPENED = []


def test_a_dicom_file_is_opened_twice_once_for_its_header_and_once_for_all_of_it(infer, dicom_series):
    folder = dicom_series(6)
    # an audit hook cannot be taken away again
    sys.addaudithook(lambda event, args: OPENED.append(str(args[0])) if event == "open" else None)
    infer(str(folder), target_modality="t2", factor=2, num_samples=2)
    times = Counter(path for path in OPENED if path.startswith(f"{folder}{os.sep}"))
    assert len(times) == 6 and set(times.values()) == {2}


@pytest.mark.parametrize("plane", ["coronal", "sagittal"])
def test_a_dicom_series_can_be_made_thin_along_another_axis(infer, dicom_series, plane):
    folder = dicom_series(6, spacing=1.0, thickness=1.0, pixel_spacing=(1.0, 1.0))
    out = infer(str(folder), target_modality="t1", factor=2, through_plane=plane) / f"{folder.name}_t1"
    source, made = (read_series(choose_series(place)) for place in (folder, out))
    axis = {"sagittal": 0, "coronal": 1}[plane]
    want = source.affine.copy()
    want[:3, axis] /= 2
    np.testing.assert_allclose(made.affine, want, atol=1e-4)
    assert made.voxels.shape[axis] == 2 * source.voxels.shape[axis]


def test_a_dicom_series_can_be_written_as_nifti(infer, dicom_series):
    folder = dicom_series(4)
    out = infer(str(folder), target_modality="t1", output_format="nifti")
    image = nib.load(out / f"{folder.name}_t1.nii.gz")
    assert image.get_data_dtype() == np.int16
    np.testing.assert_allclose(image.affine, read_series(choose_series(folder)).affine, atol=1e-4)


@pytest.mark.parametrize(("slope", "intercept"), [("0.001", "0"), ("4", "-30000")])
def test_rescaled_dicom_comes_back_in_its_units_as_nifti(infer, dicom_series, slope, intercept):
    folder = dicom_series(4, tags={"RescaleSlope": slope, "RescaleIntercept": intercept})
    out = infer(str(folder), target_modality="t1", output_format="nifti")
    values, want = nib.load(out / f"{folder.name}_t1.nii.gz").get_fdata(), read_series(choose_series(folder)).voxels
    assert abs(values.mean() - want.mean()) < 0.2 * np.ptp(want)  # by untrained weights
    assert want.min() - float(slope) <= values.min() < values.max() <= want.max() + float(slope)
    assert len(np.unique(values)) > 100


def test_whole_numbers_stay_what_they_are_in_a_derived_series(infer, dicom_series):
    folder = dicom_series(4)
    made = read_series(choose_series(infer(str(folder), target_modality="t1") / f"{folder.name}_t1"))
    mapping = made.source[0].RealWorldValueMappingSequence[0]
    assert (mapping.RealWorldValueSlope, mapping.RealWorldValueIntercept) == (1, 0)


def test_image_and_deviation_are_two_series_of_one_study(infer, dicom_series):
    folder = dicom_series(4)
    out = infer(str(folder), num_samples=2, deidentify=True)
    image, deviation = (read_series(choose_series(path)).source[0] for path in sorted(out.iterdir()) if path.is_dir())
    assert image.StudyInstanceUID == deviation.StudyInstanceUID
    assert image.FrameOfReferenceUID == deviation.FrameOfReferenceUID
    assert image.SeriesNumber != deviation.SeriesNumber and image.SeriesInstanceUID != deviation.SeriesInstanceUID


def test_a_measured_scan_and_its_record_are_never_replaced(bundle, weights, scan, tmp_path):
    options = {"ckpt_path": str(weights), "output_dir": str(tmp_path)}
    for name, content in (("p01_t2.nii.gz", scan.read_bytes()), ("p01_t2.json", b'{"EchoTime": 0.1}')):
        (tmp_path / name).write_bytes(content)
        words = bundle.mistake("inference.json", input=str(scan), **options)
        assert f"{name}', which is no earlier result" in words
        assert (tmp_path / name).read_bytes() == content
        (tmp_path / name).unlink()
    for _ in range(2):
        bundle.run("inference.json", input=str(scan), **options)  # an earlier output is


def test_an_earlier_deviation_does_not_stay_beside_a_new_image(infer, scan):
    out = infer(str(scan), num_samples=2)
    infer(str(scan))
    assert sorted(os.listdir(out)) == ["p01_t2.json", "p01_t2.nii.gz"]


def test_no_image_stays_without_its_record(bundle, weights, scan, tmp_path, monkeypatch):
    def full(*arguments, **options):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("unicoal_components.inference.save_stack.write_sidecar", full)
    options = {"ckpt_path": str(weights), "output_dir": str(tmp_path / "out")}
    assert "No space left" in bundle.mistake("inference.json", input=str(scan), **options)
    assert list((tmp_path / "out").iterdir()) == []


def test_the_series_of_the_source_modality_is_taken_of_a_study(infer, dicom_series, tmp_path):
    for number, words in enumerate(("AX T1 SE", "AX T2 TSE", "Localizer")):
        tags = {"SeriesDescription": words, "SeriesInstanceUID": f"1.2.3.{number}", "SeriesNumber": number}
        dicom_series(4, folder=tmp_path / "study" / f"series{number}", tags=tags)
    out = infer(str(tmp_path / "study"), source_modality="t2", target_modality="t2")
    told = json.loads((out / "study_t2.json").read_text())
    assert told["input"]["path"].endswith("study::1.2.3.1")
    assert not any("says that it is" in warning for warning in told["warnings"])
    out = infer(f"{tmp_path / 'study'}::1.2.3.0", source_modality="t2", target_modality="t2", output_format="nifti")
    told = json.loads((out / "study_t2.json").read_text())
    assert any("says that it is t1, not t2" in warning for warning in told["warnings"])


def test_nobody_can_be_known_by_a_deidentified_output(infer, dicom_series, tmp_path):
    folder = dicom_series(4, folder=tmp_path / "Müller_Jürgen", thickness=2.0)  # with a gap to be warned of
    out = infer(str(folder), deidentify=True)
    (series,) = (path for path in out.iterdir() if path.is_dir())
    assert "Jürgen" not in series.name
    assert "nothing was measured in the gaps" in series.with_suffix(".json").read_text()
    record = series.with_suffix(".json").read_text(encoding="utf-8")
    header = pydicom.dcmread(next(series.iterdir()), stop_before_pixels=True)
    for secret in ("Müller", "M\\u00fcller", "PID-123456", "1.2.840.99999.7", "ACC-77", "Secrets"):
        assert secret not in str(header) and secret not in record
    assert header.PatientIdentityRemoved == "YES"


def test_dicom_of_something_else_is_refused(bundle, weights, scan, tmp_path):
    options = {"ckpt_path": str(weights), "output_dir": str(tmp_path / "out"), "output_format": "dicom"}
    words = bundle.mistake("inference.json", input=str(scan), **options)
    assert "output_format is 'dicom', but" in words and "choose 'nifti'" in words


@pytest.mark.parametrize("place", ["scratch", "gzip"])
def test_a_full_disk_leaves_nothing_half_written(bundle, weights, scan, tmp_path, monkeypatch, place):
    def full(*arguments):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    if place == "scratch":
        monkeypatch.setattr(scratch, "reserve", full)
    else:
        monkeypatch.setattr("gzip.GzipFile.write", full)
    options = {"ckpt_path": str(weights), "output_dir": str(tmp_path / "out")}
    words = bundle.mistake("inference.json", input=str(scan), **options)
    assert "cannot write" in words and "No space left on device" in words and "space left" in words
    assert list((tmp_path / "out").iterdir()) == []
