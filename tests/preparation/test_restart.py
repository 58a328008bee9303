import csv
import errno
import gzip
import json
import os
import shutil
import signal
import socket
from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest

from unicoal_components.datasets.datalist import read_datalist
from unicoal_components.datasets.hdf5 import read_history
from unicoal_components.files.claim import claimed
from unicoal_components.preparation import cohort as preparation
from unicoal_components.preparation.cohort import prepare_cohort
from unicoal_components.preparation.options import PreparationSteps
from unicoal_components.preparation.subject_files import SubjectFiles

AFFINE = np.diag([1.0, 1.0, 2.0, 1.0])
MODALITIES = ["t1", "t2"]
CROPPED = PreparationSteps(crop="foreground", margin=0)


def brain(seed, shape=(12, 13, 9)):
    array = np.zeros(shape, np.float32)
    array[3:-3, 3:-3, 2:-2] = np.random.default_rng(seed).uniform(5, 500, array[3:-3, 3:-3, 2:-2].shape)
    return array


@pytest.fixture
def subjects(tmp_path):
    result = []
    for number in range(3):
        files = {name: tmp_path / "scans" / f"p{number}" / f"{name}.nii.gz" for name in MODALITIES}
        for seed, path in enumerate(files.values()):
            path.parent.mkdir(parents=True, exist_ok=True)
            nib.save(nib.Nifti1Image(brain(10 * number + seed), AFFINE), path)
        result.append(SubjectFiles(f"p{number}", files))
    return result


@pytest.fixture
def prepare(subjects, tmp_path):
    def call(items=subjects, name="out", **options):
        return prepare_cohort(items, modalities=MODALITIES, output=tmp_path / name, **options)

    return call


def statuses(report):
    return {result.item.subject: (result.status, result.reason) for result in report.results}


def content(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.h5"))}


def manifest(tmp_path):
    with (tmp_path / "out" / "manifest.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_finished_subjects_are_left_as_they_are(prepare, tmp_path):
    prepare()
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*.h5")}
    report = prepare()
    assert statuses(report) == dict.fromkeys(("p0", "p1", "p2"), ("up to date", ""))
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*.h5")} == before
    assert sum(map(len, report.sections.values())) == 3


def test_changed_options_and_changed_scans_are_rebuilt_with_a_reason(prepare, subjects, tmp_path):
    prepare()
    nib.save(nib.Nifti1Image(brain(99), AFFINE), subjects[1].files["t2"])
    report = prepare()
    assert statuses(report)["p0"] == ("up to date", "")
    assert statuses(report)["p1"] == ("prepared", "rebuilt because of changed sources")
    report = prepare(steps=CROPPED)
    assert set(statuses(report).values()) == {("prepared", "rebuilt because of changed options")}
    fresh = prepare(name="fresh", steps=CROPPED)
    assert statuses(fresh)["p0"] == ("prepared", "")
    assert content(tmp_path / "out") == content(tmp_path / "fresh")


def test_the_manifest_has_the_same_bytes_after_interruptions_changes_and_with_several_workers(
    prepare, subjects, tmp_path
):
    prepare(steps=CROPPED)
    first = (tmp_path / "out" / "manifest.csv").read_bytes()
    prepare(steps=CROPPED, workers=2)
    assert (tmp_path / "out" / "manifest.csv").read_bytes() == first
    (tmp_path / "out" / "p1.h5").unlink()
    prepare()
    prepare(steps=CROPPED)
    assert (tmp_path / "out" / "manifest.csv").read_bytes() == first


def test_overwrite_rebuilds_all(prepare):
    prepare()
    assert set(statuses(prepare(overwrite=True)).values()) == {("prepared", "rebuilt because of --overwrite")}


def test_subjects_that_failed_are_tried_again(prepare, subjects, tmp_path):
    whole = subjects[2].files["t1"].read_bytes()
    subjects[2].files["t1"].write_bytes(whole[:100])
    assert statuses(prepare())["p2"][0] == "failed"
    assert [row["status"] for row in manifest(tmp_path)] == ["prepared"] * 4 + ["failed"] * 2
    subjects[2].files["t1"].write_bytes(whole)
    report = prepare()
    assert [status for status, _ in statuses(report).values()] == ["up to date", "up to date", "prepared"]


def test_parallel_gives_the_same_bytes_as_serial(prepare, tmp_path):
    prepare(steps=CROPPED)
    report = prepare(steps=CROPPED, name="parallel", workers=2, quality=True)
    assert content(tmp_path / "out") == content(tmp_path / "parallel")
    assert [result.item.subject for result in report.results] == ["p0", "p1", "p2"]
    one, other = ((tmp_path / name / "datalist.json").read_bytes() for name in ("out", "parallel"))
    assert one == other


def kill_p1(job):
    if job.item.subject == "p1":
        os.kill(os.getpid(), signal.SIGKILL)
    return preparation.run_job(job)


def test_a_subject_whose_process_is_killed_fails_alone(prepare, tmp_path, monkeypatch):
    run_jobs = preparation.run_jobs
    monkeypatch.setattr(preparation, "run_jobs", lambda _, *rest, **options: run_jobs(kill_p1, *rest, **options))
    report = prepare(workers=2)
    assert list(report.failed) == ["p1"]
    assert "process that prepared subject 'p1' was killed" in report.failed["p1"]
    assert sorted(content(tmp_path / "out")) == ["p0.h5", "p2.h5"]


def test_an_interruption_leaves_finished_subjects_and_their_manifest(prepare, tmp_path, monkeypatch):
    def interrupted(job):
        if job.item.subject == "p1":
            raise KeyboardInterrupt
        return run_job(job)

    run_job = preparation.run_job
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(preparation, "run_job", interrupted)
        prepare()
    assert list(content(tmp_path / "out")) == ["p0.h5"]
    assert [row["subject"] for row in manifest(tmp_path)] == ["p0", "p0"]
    assert [status for status, _ in statuses(prepare()).values()] == ["up to date", "prepared", "prepared"]


def test_a_full_disk_stops_the_run_with_the_file_and_the_cause_and_the_same_call_goes_on(prepare, tmp_path, full_disk):
    with full_disk("p1.h5"), pytest.raises(OSError, match="p1.h5': No space left on device") as raised:
        prepare()
    assert raised.value.errno == errno.ENOSPC and raised.value.filename.endswith("out/p1.h5")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["manifest.csv", "p0.h5"]
    assert [status for status, _ in statuses(prepare()).values()] == ["up to date", "prepared", "prepared"]


def test_a_disk_without_space_for_the_manifest_either_names_the_first_file(prepare, tmp_path, full_disk):
    with full_disk("p1.h5", "manifest.csv"), pytest.raises(OSError, match="p1.h5': No space left on device"):
        prepare()
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["p0.h5"]


def vanish_after(subject, what):
    """Return `run_job`, which after a subject removes a file or folder."""

    def run(job):
        result = preparation.run_job(job)
        if job.item.subject == subject:
            shutil.rmtree(what) if what.is_dir() else what.unlink()
        return result

    return run


@pytest.mark.parametrize(("what", "named"), [("out", "removed or replaced"), ("out/p0.h5", "'p0.h5'")])
def test_results_that_vanish_meanwhile_are_an_error_and_not_listed(prepare, tmp_path, monkeypatch, what, named):
    with monkeypatch.context() as patch, pytest.raises(OSError, match=f"{tmp_path / 'out'}.*{named}"):
        run_jobs = preparation.run_jobs
        vanishing = vanish_after("p1", tmp_path / what)
        patch.setattr(preparation, "run_jobs", lambda _, *rest, **options: run_jobs(vanishing, *rest, **options))
        prepare()
    assert sum(map(len, prepare().sections.values())) == 3


def test_partial_files_of_killed_processes_are_removed(prepare, tmp_path):
    (tmp_path / "out" / "quality").mkdir(parents=True)
    (tmp_path / "out" / ".p0.h5.123.partial").write_text("half")
    (tmp_path / "out" / ".p9.h5.elsewhere-123.partial").mkdir()
    (tmp_path / "out" / "quality" / f".p0.png.{socket.gethostname()}-{2**22 + 1}.partial").write_text("half")
    prepare()
    assert not list((tmp_path / "out").rglob(".*"))


def test_a_folder_in_use_is_refused_before_anything_is_written(prepare, tmp_path):
    with claimed(tmp_path / "out"), pytest.raises(OSError, match=f"in use: process {os.getpid()} on "):
        prepare()
    assert not list((tmp_path / "out").iterdir())


def test_the_history_records_the_source_of_a_volume_and_its_steps(prepare, subjects, tmp_path):
    prepare(steps=CROPPED)
    history = read_history(tmp_path / "out" / "p0.h5")
    assert history["recipe"]["options"] == {"crop": "foreground", "margin": 0.0}
    known = history["modalities"]["t1"]
    assert (known["source"], known["shape"], known["orientation"]) == ("t1.nii.gz", [12, 13, 9], "RAS")
    assert known["spacing"] == [1.0, 1.0, 2.0]
    assert [record["step"] for record in known["steps"]] == ["reorient", "crop", "scale_intensity"]
    assert known["steps"][1]["box"] == [[3, 9], [3, 10], [2, 7]]
    assert sum(known["histogram"]["counts"]) <= 6 * 7 * 5
    assert not {str(tmp_path), str(subjects[0].files["t1"])} & set(str(history).split("'"))


def test_the_manifest_has_a_row_per_subject_and_modality(prepare, subjects, tmp_path):
    items = [replace(subjects[0], notes=("t1: took the first of 2",)), *subjects[1:]]
    prepare(items, steps=CROPPED)
    rows = manifest(tmp_path)
    assert [(row["subject"], row["modality"]) for row in rows] == [(f"p{n}", m) for n in range(3) for m in MODALITIES]
    row = rows[0]
    assert row["source"] == str(subjects[0].files["t1"])
    assert (row["original_shape"], row["original_spacing"], row["original_orientation"]) == ("12x13x9", "1x1x2", "RAS")
    assert (row["shape"], row["spacing"]) == ("6x7x5", "1x1x2")
    assert row["steps"].startswith("reorient from RAS, to LPS; crop to foreground, of t1, margin 0, box [[3,9],[3,10],")
    assert row["warnings"] == "t1: took the first of 2"
    assert (row["translation_mm"], row["output"]) == ("", "p0.h5")
    assert len(row["sha256"]) == len(row["output_sha256"]) == 64


def test_sessions_of_one_person_share_a_section(prepare, subjects):
    items = [replace(item, person="anna" if item.subject != "p1" else "bert") for item in subjects]
    for seed in range(5):
        report = prepare(items, split=(0.5, 0, 0.5), seed=seed)
        assert sorted(map(sorted, report.sections.values())) == [[], ["p0", "p2"], ["p1"]]


def test_a_person_in_two_given_sections_is_an_error(prepare, subjects):
    items = [
        replace(item, person="anna", section=section)
        for item, section in zip(subjects, ("training", "test", "test"), strict=True)
    ]
    with pytest.raises(ValueError, match="person 'anna' .*several sections.*training.*test"):
        prepare(items)


def test_the_datalist_of_a_restart_lists_all_that_are_finished(prepare, tmp_path):
    prepare()
    report = prepare(split=(1, 0, 0))
    assert len(read_datalist(report.datalist, "training")) == 3


@pytest.mark.parametrize("workers", [0, 1.5, "two"])
def test_a_wrong_number_of_workers_is_an_error(prepare, workers):
    with pytest.raises(ValueError, match=f"workers is {workers!r}; .* at least 1"):
        prepare(workers=workers)


def sidecars(subjects, facts):
    for path in subjects[0].files.values():
        path.with_name(path.name.replace(".nii.gz", ".json")).write_text(json.dumps(facts))


def test_session_and_acquisition_are_kept_without_names_and_a_change_rebuilds(prepare, subjects, tmp_path):
    sidecars(subjects, {"MagneticFieldStrength": 3, "EchoTime": 0.1, "PatientName": "Doe", "ImageType": ["M"]})
    items = [replace(subjects[0], session="ses-02"), *subjects[1:]]
    prepare(items)
    recipe = read_history(tmp_path / "out" / "p0.h5")["recipe"]
    assert recipe["session"] == "ses-02"
    assert recipe["acquisition"] == dict.fromkeys(MODALITIES, {"MagneticFieldStrength": 3, "EchoTime": 0.1})
    assert "session" not in read_history(tmp_path / "out" / "p1.h5")["recipe"]
    row = manifest(tmp_path)[0]
    assert (row["session"], row["acquisition"]) == ("ses-02", "MagneticFieldStrength 3; EchoTime 0.1")
    sidecars(subjects, {"MagneticFieldStrength": 1.5})
    found = statuses(prepare(items))
    assert found["p0"] == ("prepared", "rebuilt because of changed acquisition") and found["p1"][0] == "up to date"


def same_scan(subjects, recompressed=False):
    """Give p2 the T1 of p0, if wanted in another file."""
    path = subjects[2].files["t1"]
    content = subjects[0].files["t1"].read_bytes()
    path.write_bytes(gzip.compress(gzip.decompress(content), 1) if recompressed else content)


@pytest.mark.parametrize("recompressed", [False, True])
def test_a_scan_under_two_subjects_in_different_sections_is_refused(prepare, subjects, tmp_path, recompressed):
    same_scan(subjects, recompressed)
    items = [replace(item, section=part) for item, part in zip(subjects, ("training", "test", "test"), strict=True)]
    with pytest.raises(
        ValueError, match=r"'p0' \(training\) and 'p2' \(test\) have the same scan, t1 .* column person"
    ):
        prepare(items)
    assert not (tmp_path / "out" / "datalist.json").exists()


def test_a_scan_under_two_subjects_in_one_section_is_a_warning_unless_they_are_one_person(prepare, subjects, caplog):
    same_scan(subjects)
    prepare(split=(1, 0, 0))
    assert ["p0" in text and "p2" in text and "column person" in text for text in caplog.messages] == [True]
    caplog.clear()
    prepare([replace(item, person=None if item.subject == "p1" else "anna") for item in subjects])
    assert not caplog.messages


def test_a_modality_that_no_subject_has_is_a_warning(subjects, tmp_path, caplog):
    prepare_cohort(subjects, modalities=["t1", "t2", "pd"], output=tmp_path / "out", allow_missing=True)
    assert ["of pd," in text for text in caplog.messages] == [True]
