"""Earlier results are recognized, left out of folders, and the only files that are replaced."""

import json

import nibabel as nib
import numpy as np
import pytest

from unicoal_components.files.writable import check_replaceable
from unicoal_components.scans.dicom.series import choose_series
from unicoal_components.scans.dicom.volume import read_series
from unicoal_components.scans.dicom.writer import write_derived_series
from unicoal_components.scans.earlier_results import MARK, NOTE, is_result
from unicoal_components.scans.image_paths import check_images, list_images
from unicoal_components.scans.write_nifti import write_nifti

VOXELS = np.random.default_rng(0).normal(size=(4, 5, 6)).astype(np.float32)


def paths(input):
    return [item["image"] for item in list_images(input)]


def scan(folder):
    nib.save(nib.Nifti1Image(VOXELS, np.eye(4)), folder / "scan.nii.gz")
    return folder / "scan.nii.gz"


def outputs(folder):
    """Write what an inference writes for `scan.nii.gz`."""
    for name in ("scan_t2.nii.gz", "scan_t2_error.nii.gz"):
        write_nifti(folder / name, VOXELS.shape, iter(VOXELS.transpose(2, 0, 1)), np.eye(4), f"{MARK}: synthesized")
    (folder / "scan_t2.json").write_text(json.dumps({"note": NOTE}))


def test_outputs_in_the_folder_of_the_input_are_not_taken_as_input(tmp_path, caplog):
    given = str(scan(tmp_path))
    outputs(tmp_path)
    assert paths(tmp_path) == [given]
    check_images(tmp_path)
    named = "scan_t2.json, scan_t2.nii.gz, scan_t2_error.nii.gz"
    assert named in caplog.text and "earlier results" in caplog.text
    assert paths(tmp_path / "scan_t2.nii.gz") == [str(tmp_path / "scan_t2.nii.gz")]  # given by name


def test_a_derived_series_is_not_taken_as_input_unless_it_is_named(tmp_path, dicom_series, caplog):
    study = dicom_series(folder=tmp_path / "studies" / "a")
    series = choose_series(study)
    read = read_series(series)
    facts = {"voxels": read.voxels, "affine": read.affine, "source": read.source, "target_modality": "t1"}
    inside = write_derived_series(study / "a_t1", **facts)
    beside = write_derived_series(tmp_path / "studies" / "a_t1", **facts)
    assert is_result(inside) and not is_result(study)
    assert paths(tmp_path / "studies") == [str(study)]
    check_images(tmp_path / "studies")
    assert "a_t1" in caplog.text
    assert choose_series(study, modality="t1").uid == series.uid
    assert choose_series(beside).synthetic


def test_only_earlier_results_may_be_replaced(tmp_path):
    outputs(tmp_path)
    check_replaceable([*tmp_path.iterdir(), tmp_path / "missing.nii.gz"], is_result)
    for path in (scan(tmp_path), tmp_path / "notes.json"):
        path.touch()
        with pytest.raises(ValueError, match=path.name):
            check_replaceable([path], is_result)


def test_a_name_too_long_for_outputs_is_refused_before_the_run(tmp_path):
    path = tmp_path / f"{'ö' * 110}.nii.gz"
    scan(tmp_path).rename(path)
    with pytest.raises(ValueError, match="200 bytes"):
        check_images(path)
