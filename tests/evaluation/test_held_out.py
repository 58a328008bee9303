"""Evaluation refuses subjects that the training has seen, or warns of them."""

import json
import shutil

import h5py
import numpy as np
import pytest

from unicoal_components.datasets.datalist import write_datalist
from unicoal_components.datasets.fingerprint import scan_fingerprints
from unicoal_components.datasets.hdf5 import write_subject
from unicoal_components.datasets.training_record import (
    read_record,
    read_selected_by,
    record_path,
    training_subjects,
    write_record,
)
from unicoal_components.evaluation.held_out import HeldOutSubjects


def write(path, volumes, **more):
    names = dict.fromkeys(volumes, "")
    limits = dict.fromkeys(volumes, (0, 1))
    write_subject(path, volumes=volumes, affine=np.eye(4), intensity=limits, sources=names, **more)


@pytest.fixture
def datalist(tmp_path):
    rng = np.random.default_rng(0)
    for name in "abc":
        write(tmp_path / f"{name}.h5", {m: rng.integers(0, 256, (5, 4, 3), dtype=np.uint8) for m in ("t1", "t2")})
    return sections(tmp_path, training="a", validation="b", test="c")


def sections(folder, **names):
    entries = {section: [{"subject": n, "path": f"{n}.h5"} for n in group] for section, group in names.items()}
    write_datalist(folder / "datalist.json", sections=entries, modalities=["t1", "t2"])
    return folder / "datalist.json"


def entry(folder, name):
    return {"subject": name, "path": str(folder / f"{name}.h5")}


def test_those_of_another_section_are_evaluated(datalist, tmp_path):
    held_out = HeldOutSubjects(path=datalist, section="test")
    assert (held_out.data, held_out.marks) == ([entry(tmp_path, "c")], [])


def test_the_training_section_is_refused_unless_allowed_with_a_warning(datalist):
    with pytest.raises(
        ValueError, match="1 of the 1 subjects.*'a' .*section 'training'.*--allow_training_subjects true"
    ):
        HeldOutSubjects(path=datalist, section="training")
    allowed = HeldOutSubjects(path=datalist, section="training", allow_training_subjects=True)
    assert [mark.split(":")[0] for mark in allowed.marks] == ["Evaluated on subjects that were not held out (a)"]


@pytest.mark.parametrize("original", ["a", "b"])
def test_a_scan_of_another_section_under_another_name_is_refused(datalist, tmp_path, original):
    with_scan = {"t1": np.ones((5, 4, 3), np.uint8), "flair": _voxels(tmp_path / f"{original}.h5", "t2")}
    write(tmp_path / "d.h5", with_scan)  # one scan is the same under another name, next to a new one
    sections(tmp_path, training="a", validation="b", test="cd")
    with pytest.raises(ValueError, match=f"'d' has a scan of '{original}' in section"):
        HeldOutSubjects(path=datalist, section="test")


def test_a_scan_that_was_prepared_in_another_way_is_refused_too(datalist, tmp_path):
    rng = np.random.default_rng(1)
    for name in "de":
        volumes = {"t1": rng.integers(0, 256, (5, 4, 3), dtype=np.uint8)}
        history = json.dumps({"recipe": {}, "modalities": {"t1": {"sha256": "of the scanner's file"}}})
        write(tmp_path / f"{name}.h5", volumes, history=history)
    sections(tmp_path, training="d", test="e")
    with pytest.raises(ValueError, match="'e' has a scan of 'd' in section 'training'"):
        HeldOutSubjects(path=datalist, section="test")


def test_the_record_next_to_the_weights_has_subjects_of_another_datalist(datalist, tmp_path):
    weights = tmp_path / "model.pt"
    seen = training_subjects(data=[entry(tmp_path, "c")])
    write_record(weights, subjects={"person 7": seen["c"]}, images_seen=3)
    with pytest.raises(ValueError, match=r"'c' has a scan of 'person 7' in the record '.*model.training.json'"):
        HeldOutSubjects(path=datalist, section="test", weights=[weights, None])


@pytest.mark.parametrize("name", ["c", "earlier c", "earlier earlier c"])
def test_the_same_name_with_other_scans_gives_a_warning_and_is_not_refused(datalist, tmp_path, name):
    write_record(tmp_path / "model.pt", subjects={name: {"t1": "other"}, "a": {"t1": "x"}}, images_seen=3)
    (mark,) = HeldOutSubjects(path=datalist, section="test", weights=[tmp_path / "model.pt"]).marks
    assert mark.startswith("model.pt ") and "same names with other scans (c)" in mark


def test_the_same_name_with_the_same_scans_gives_one_warning(datalist, tmp_path):
    write_record(tmp_path / "model.pt", subjects=training_subjects(data=[entry(tmp_path, "c")]), images_seen=3)
    options = {"weights": [tmp_path / "model.pt"], "allow_training_subjects": True}
    (mark,) = HeldOutSubjects(path=datalist, section="test", **options).marks
    assert mark.startswith("Evaluated on subjects that were not held out (c)")


def test_weights_without_a_record_and_missing_files_give_warnings(datalist, tmp_path):
    (tmp_path / "a.h5").unlink()
    marks = HeldOutSubjects(path=datalist, section="test", weights=[tmp_path / "model.pt"]).marks
    assert ["section 'training'" in marks[0], marks[1].startswith("model.pt has no record")] == [True, True]


def test_a_pretraining_counts_too_and_separates_equal_names(datalist, tmp_path):
    write_record(tmp_path / "first.pt", subjects={"a": {"t1": "x"}, "b": {"t1": "y"}}, images_seen=3)
    subjects = training_subjects(data=[entry(tmp_path, "a")], pretrained=tmp_path / "first.pt")
    assert list(subjects) == ["a", "earlier a", "b"]
    write_record(tmp_path / "second.pt", subjects=subjects, images_seen=8)
    assert read_record(tmp_path / "second.pt") == subjects
    assert json.loads(record_path(tmp_path / "second.pt").read_text())["images_seen"] == 8


def test_a_pretraining_without_a_record_gives_a_warning(datalist, tmp_path):
    subjects = training_subjects(data=[entry(tmp_path, "a")], pretrained=tmp_path / "found.pt")
    write_record(tmp_path / "model.pt", subjects=subjects, images_seen=3)
    (mark,) = HeldOutSubjects(path=datalist, section="test", weights=[tmp_path / "model.pt"]).marks
    assert mark.startswith("model.pt was also trained on") and "found.pt" in mark


def test_subjects_that_may_have_selected_the_weights_give_a_warning(datalist, tmp_path):
    write_record(tmp_path / "model.pt", subjects={}, images_seen=3)
    (mark,) = HeldOutSubjects(path=datalist, section="validation", weights=[tmp_path / "model.pt"]).marks
    assert mark.startswith("model.pt may have been selected by") and "section validation" in mark


@pytest.mark.parametrize("section", ["validation", "test", "training"])
def test_subjects_that_selected_the_weights_give_a_warning_in_any_section_and_under_any_name(
    datalist, tmp_path, section
):
    name = {"training": "a", "validation": "b", "test": "c"}[section]
    scans = training_subjects(data=[entry(tmp_path, name)])[name]
    write_record(tmp_path / "model.pt", subjects={}, selected_by={"person 7": scans}, images_seen=3)
    options = {"weights": [tmp_path / "model.pt"], "allow_training_subjects": section == "training"}
    mark = HeldOutSubjects(path=datalist, section=section, **options).marks[-1]
    assert mark.startswith("model.pt was selected by") and f"({name})" in mark


def test_subjects_of_section_validation_that_did_not_select_the_weights_give_no_warning(datalist, tmp_path):
    write_record(tmp_path / "model.pt", subjects={}, selected_by={"b": {"t1": "other"}}, images_seen=3)
    assert HeldOutSubjects(path=datalist, section="validation", weights=[tmp_path / "model.pt"]).marks == []


def test_a_record_names_no_subject_twice_and_distinguishes_none_from_unknown(tmp_path):
    subjects = {"a": {"t1": "x"}}
    write_record(tmp_path / "m.pt", subjects=subjects, selected_by=subjects | {"b": {"t1": "y"}}, images_seen=3)
    assert (read_record(tmp_path / "m.pt"), read_selected_by(tmp_path / "m.pt")) == (subjects, {"b": {"t1": "y"}})
    write_record(tmp_path / "m.pt", subjects=subjects, selected_by=subjects, images_seen=3)
    assert read_selected_by(tmp_path / "m.pt") == {}
    write_record(tmp_path / "m.pt", subjects=subjects, images_seen=3)
    assert read_selected_by(tmp_path / "m.pt") is None
    assert read_selected_by(tmp_path / "without.pt") is None


def test_a_fingerprint_distinguishes_scans_and_ignores_the_name_of_the_file(datalist, tmp_path):
    shutil.copy(tmp_path / "a.h5", tmp_path / "z.h5")
    assert scan_fingerprints(tmp_path / "a.h5") == scan_fingerprints(tmp_path / "z.h5")
    every = [scan for name in "abc" for scan in scan_fingerprints(tmp_path / f"{name}.h5").values()]
    assert len(set(every)) == 6


def test_an_empty_middle_slice_has_no_fingerprint(tmp_path):
    write(tmp_path / "e.h5", {"t1": np.zeros((3, 2, 2), np.uint8), "t2": np.ones((3, 2, 2), np.uint8)})
    assert list(scan_fingerprints(tmp_path / "e.h5")) == ["t2"]


@pytest.mark.parametrize("content", ["[]", "{}", '{"subjects": null}', '{"subjects": {}, "selected_by": 3}'])
def test_a_file_that_is_no_record_is_an_error_that_names_it(tmp_path, content):
    record_path(tmp_path / "model.pt").write_text(content)
    with pytest.raises(ValueError, match=r"model.training.json' is no record"):
        read_record(tmp_path / "model.pt")


def _voxels(path, modality):

    with h5py.File(path) as file:
        return file[modality][:]
