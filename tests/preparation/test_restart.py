import csv
import errno
import os
import signal
from dataclasses import replace

import h5py
import nibabel as nib
import numpy as np
import pytest

from unicoal_components.datasets.datalist import read_datalist
from unicoal_components.datasets.hdf5 import read_history
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


def test_a_full_disk_leaves_nothing_half_written(prepare, tmp_path, monkeypatch):
    create = h5py.Group.create_dataset

    def full(self, name, **options):
        if name == "t2" and "p1" in self.file.filename:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return create(self, name, **options)

    monkeypatch.setattr(h5py.Group, "create_dataset", full)
    report = prepare()
    assert list(report.failed) == ["p1"]
    assert "p1.h5': No space left on device" in report.failed["p1"]
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["datalist.json", "manifest.csv", "p0.h5", "p2.h5"]


def test_partial_files_of_killed_processes_are_removed(prepare, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / ".p0.h5.123.partial").write_text("half")
    prepare()
    assert not list((tmp_path / "out").glob(".*"))


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
    assert float(row["seconds"]) >= 0


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
