import json

import nibabel as nib
import numpy as np
import pytest

from unicoal_components.scans.bids_sidecar import sidecar_facts, sidecar_thickness
from unicoal_components.scans.read_volume import read_image


def facts_of(tmp_path, name="scan.nii.gz", **facts):
    (tmp_path / f"{name.split('.')[0]}.json").write_text(json.dumps(facts))
    return sidecar_facts(tmp_path / name)


@pytest.mark.parametrize(
    ("facts", "modality"),
    [
        ({"SeriesDescription": "AX T2 TSE"}, "t2"),
        ({"ProtocolName": "t1_mprage_sag"}, "t1"),
        ({"RepetitionTime": 9.0, "EchoTime": 0.09, "InversionTime": 2.5, "ScanningSequence": "SE_IR"}, "flair"),
        ({}, None),
    ],
)
def test_the_modality_comes_from_descriptions_and_times(tmp_path, facts, modality):
    assert facts_of(tmp_path, **facts)[0] == modality


def test_the_modality_comes_from_the_name_if_the_json_has_none(tmp_path):
    assert facts_of(tmp_path, "sub-1_T2w.nii.gz")[0] == "t2"
    assert sidecar_facts(tmp_path / "sub-2_FLAIR.nii.gz") == ("flair", [])


@pytest.mark.parametrize(("code", "word"), [("P", "phase"), ("ADC", "ADC")])
def test_a_phase_image_or_a_map_is_of_no_modality_and_warned_of(tmp_path, code, word):
    modality, (warning,) = facts_of(tmp_path, "sub-1_T1w.nii.gz", ImageType=["ORIGINAL", "PRIMARY", code, "ND"])
    assert modality is None and word in warning


def test_a_large_gap_gives_a_warning_and_a_small_one_does_not(tmp_path):
    (warning,) = facts_of(tmp_path, SliceThickness=5, SpacingBetweenSlices=6.5)[1]
    assert "slices of 5.00 mm at a distance of 6.50 mm" in warning and "gaps of 1.50 mm" in warning
    assert facts_of(tmp_path, SliceThickness=5, SpacingBetweenSlices=5.5)[1] == []


@pytest.mark.parametrize("content", ["[1, 2]", "no json", '{"SliceThickness": "thick", "SpacingBetweenSlices": 1}'])
def test_a_json_of_another_kind_is_ignored(tmp_path, content):
    (tmp_path / "scan.json").write_text(content)
    modality, (warning,) = sidecar_facts(tmp_path / "scan.nii.gz")
    assert modality is None and ("scan.json" in warning or "SliceThickness 'thick'" in warning)


def test_a_scan_is_read_with_the_facts_of_its_json(tmp_path):
    volume = np.random.default_rng(0).integers(1, 99, (5, 6, 7)).astype(np.int16)
    nib.save(nib.Nifti1Image(volume, np.diag([1, 1, 6.5, 1])), tmp_path / "scan.nii.gz")
    (tmp_path / "scan.json").write_text(
        json.dumps({"SeriesDescription": "T1 SE", "SliceThickness": 5, "SpacingBetweenSlices": 6.5})
    )
    read = read_image(tmp_path / "scan.nii.gz")
    assert read.modality == "t1" and "gaps of 1.50 mm" in read.warnings[0]
    assert read.slice_thickness == 5


@pytest.mark.parametrize("thickness", [0, -1, "thick", None, [3], "nan"])
def test_an_invalid_thickness_is_unknown(tmp_path, thickness):
    (tmp_path / "scan.json").write_text(json.dumps({"SliceThickness": thickness}))
    assert sidecar_thickness(tmp_path / "scan.nii.gz") is None
    assert sidecar_thickness(tmp_path / "other.nii.gz") is None
