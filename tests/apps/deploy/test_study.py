"""What the app does without the SDK: options, choice of a series, run of a bundle."""

import json
import shutil
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.filterwarnings("ignore:Current stack size")  # of Holoscan, when monai is imported
ROOT = Path(__file__).parents[3]

KNOWN = ("t1", "t2", "pd", "flair")
T2 = {
    "SeriesDescription": "AX T2 TSE",
    "ProtocolName": "t2",
    "SeriesInstanceUID": "1.2.840.99999.7.2",
    "SeriesNumber": 5,
}
LOCALIZER = {"SeriesDescription": "localizer", "SeriesInstanceUID": "1.2.840.99999.7.3", "SeriesNumber": 1}
DERIVED = {"SeriesInstanceUID": "1.2.840.99999.7.4", "SyntheticData": "YES", "SeriesNumber": 1004}


@pytest.fixture
def study(deploy):
    return deploy("study")


@pytest.fixture
def examination(dicom_series, tmp_path):
    """A folder of one study: a T1, a localizer, and a derived T1 of an earlier run."""
    folder = tmp_path / "examination"
    dicom_series(3, folder=folder / "t1")
    dicom_series(2, folder=folder / "localizer", tags=LOCALIZER)
    dicom_series(4, folder=folder / "derived", tags=DERIVED)
    return folder


def choose(study, folder, modality=None):
    return study.choose_source(folder, modality=modality, known=KNOWN)


def test_the_only_series_with_a_known_modality_is_taken(study, examination, dicom_series):
    source = choose(study, examination)
    assert source == study.Source(f"{examination}::{dicom_series.uid}", "t1")


def test_the_modality_chooses_among_series(study, examination, dicom_series):
    dicom_series(3, folder=examination / "t2", tags=T2)
    assert choose(study, examination, "t2") == study.Source(f"{examination}::{T2['SeriesInstanceUID']}", "t2")
    assert choose(study, examination, "t1").path.endswith(dicom_series.uid)


def test_several_candidates_are_listed_with_the_way_out(study, examination, dicom_series):
    dicom_series(3, folder=examination / "t2", tags=T2)
    with pytest.raises(ValueError) as error:
        choose(study, examination)
    said = str(error.value)
    assert dicom_series.uid in said and T2["SeriesInstanceUID"] in said and "source_modality" in said
    assert LOCALIZER["SeriesInstanceUID"] not in said and DERIVED["SeriesInstanceUID"] not in said


def test_a_uid_chooses_a_series_whose_modality_its_header_or_the_user_tells(study, examination, dicom_series):
    dicom_series(3, folder=examination / "t2", tags=T2)
    path = f"{examination}::{T2['SeriesInstanceUID']}"
    assert choose(study, path) == study.Source(path, "t2")
    localizer = f"{examination}::{LOCALIZER['SeriesInstanceUID']}"
    assert choose(study, localizer, "pd") == study.Source(localizer, "pd")
    with pytest.raises(ValueError, match=f"(?s){LOCALIZER['SeriesInstanceUID']}.*source_modality"):
        choose(study, localizer)


def test_no_usable_series_is_an_error_that_lists_what_is_there(study, dicom_series):
    folder = dicom_series(2, tags=LOCALIZER)
    with pytest.raises(ValueError, match=f"(?s){LOCALIZER['SeriesInstanceUID']}.*source_modality"):
        choose(study, folder)


def test_an_unknown_modality_is_an_error_that_lists_the_known_ones(study, dicom_series):
    with pytest.raises(ValueError, match="(?s)source_modality.*'t9'.*flair"):
        choose(study, dicom_series(2), "t9")


@pytest.mark.parametrize("name", ["absent", "empty", "without images"])
def test_a_study_without_images_is_an_error_that_names_the_folder(study, tmp_path, name):
    folder = tmp_path / name
    if name != "absent":
        folder.mkdir()
    if name == "without images":
        (folder / "report.txt").write_text("none")
    with pytest.raises(FileNotFoundError, match=name):
        choose(study, folder)


def test_only_one_study_is_taken(study, tmp_path, dicom_series):
    for name, uid in (("first", "1.2.3"), ("second", "1.2.4")):
        dicom_series(2, folder=tmp_path / "archive" / name, tags={"StudyInstanceUID": uid})
    with pytest.raises(ValueError, match="(?s)2 studies.*first.*second"):
        choose(study, tmp_path / "archive")
    assert choose(study, tmp_path / "archive" / "first").modality == "t1"


def test_other_formats_are_refused(study, tmp_path):
    (tmp_path / "t1.nii.gz").touch()
    with pytest.raises(ValueError, match=r"t1\.nii\.gz' is not DICOM"):
        choose(study, tmp_path)


def test_the_shipped_options_are_values_of_the_bundle(study):
    values = study.read_values(ROOT / "apps" / "deploy" / "app.yaml")
    known = json.loads((ROOT / "bundles" / "unified" / "configs" / "inference.json").read_text())
    assert values.keys() <= known.keys()


@pytest.mark.parametrize(
    ("content", "settings", "named"),
    [
        ("synthesis: {}", ["factor"], "factor"),
        ("synthesis: {}", ["=4"], "=4"),
        ("synthesis: {}", ["factor=[1"], "factor"),
        ("synthesis: {}", ["output_dir=/tmp"], "output_dir"),
        ("synthesis: {input: STUDY}", [], "input"),
        ("synthesis: [", [], "app.yaml"),
        ("application: {}", [], "synthesis"),
        ("", [], "synthesis"),
    ],
)
def test_wrong_options_are_named(study, tmp_path, content, settings, named):
    (tmp_path / "app.yaml").write_text(content)
    with pytest.raises(ValueError, match=named):
        study.read_values(tmp_path / "app.yaml", settings)


def test_a_missing_config_is_named(study, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.yaml"):
        study.read_values(tmp_path / "none.yaml")


def test_the_bundle_is_the_folder_or_the_only_one_in_it(study, bundle, tmp_path):
    assert study.find_bundle(bundle) == bundle and study.find_bundle(tmp_path) == bundle
    with pytest.raises(FileNotFoundError, match="configs"):
        study.find_bundle(bundle / "configs")
    shutil.copytree(bundle, tmp_path / "another")
    with pytest.raises(ValueError, match="a bundle, another"):
        study.find_bundle(tmp_path)


def test_a_bundle_is_run_with_the_values_and_its_own_weights(study, bundle, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    source = study.Source(str(tmp_path / "$x#1 @y"), "t1")
    study.run_bundle(
        bundle, source, tmp_path / "out#1", {"source_modality": None, "target_modality": None, "factor": 4}
    )
    assert json.loads((bundle / "values.json").read_text()) == {
        "input": source.path,
        "output_dir": str(tmp_path / "out#1"),
        "bundle_root": str(bundle),
        "ckpt_path": str(bundle / "models" / "model.pt"),
        "source_modality": "t1",
        "target_modality": "t1",
        "factor": 4,
        "output_format": "dicom",
    }
    study.run_bundle(bundle, source, tmp_path, {"target_modality": "t2", "ckpt_path": "other.pt"})
    found = json.loads((bundle / "values.json").read_text())
    assert (found["target_modality"], found["ckpt_path"]) == ("t2", "other.pt")


def test_the_modalities_are_those_of_the_bundle_or_the_options(study, bundle):
    assert study.known_modalities(bundle, {}) == ["t1", "t2"]
    assert study.known_modalities(bundle, {"modalities": ["pd"]}) == ["pd"]
