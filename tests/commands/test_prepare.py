import csv
import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from unicoal_components.datasets.datalist import read_datalist, read_modalities
from unicoal_components.datasets.hdf5 import read_header

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "unicoal_components", "prepare"]
AFFINE = np.diag([1.0, 1.0, 2.0, 1.0])


@pytest.fixture
def run(unicoal):
    return partial(unicoal, "prepare")


@pytest.fixture
def scans(tmp_path):
    rng = np.random.default_rng(0)
    for subject in ("p1", "p2", "p3"):
        (tmp_path / "scans" / subject).mkdir(parents=True)
        for name in ("T1w", "flair"):
            array = rng.uniform(1, 900, (6, 7, 5)).astype(np.float32)
            nib.save(nib.Nifti1Image(array, AFFINE), tmp_path / "scans" / subject / f"{name}.nii.gz")
    return tmp_path / "scans"


def test_a_folder_is_prepared_with_spellings_and_a_failed_subject_sets_the_exit_status(scans, tmp_path, run):
    broken = scans / "p2" / "flair.nii.gz"
    broken.write_bytes(broken.read_bytes()[:300])
    options = ["--modalities", "t1,flair", "--names", "t1=T1w", "--split", "0.5,0,0.5", "--seed", 1, "--workers", 1]
    status, said = run("--input", scans, "--output", tmp_path / "out", *options)
    assert status == 3
    assert "FAILED p2: cannot read scan" in said
    datalist = tmp_path / "out" / "datalist.json"
    assert read_modalities(datalist) == ["t1", "flair"]
    subjects = [entry["subject"] for part in ("training", "test") for entry in read_datalist(datalist, part)]
    assert sorted(subjects) == ["p1", "p3"]


def test_a_table_is_prepared_with_status_0(scans, tmp_path):
    table = tmp_path / "subjects.csv"
    rows = [f"{name},scans/{name}/flair.nii.gz,scans/{name}/T1w.nii.gz,training" for name in ("p1", "p2", "p3")]
    table.write_text("\n".join(["subject,flair,t1,section", *rows]))
    result = subprocess.run(
        [*COMMAND, "--table", str(table), "--output", str(tmp_path / "out"), "--workers=1"],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert "3 training, 0 validation, 0 test" in result.stderr
    assert "3/3" in result.stderr
    assert read_modalities(tmp_path / "out" / "datalist.json") == ["flair", "t1"]


def test_a_layout_is_prepared_with_all_its_modalities_in_processes_and_continued(scans, tmp_path, run, caplog):
    for subject in ("p1", "p2", "p3"):
        anat = tmp_path / "bids" / f"sub-{subject}" / "anat"
        anat.mkdir(parents=True)
        for name, suffix in (("T1w", "T1w"), ("flair", "FLAIR")):
            (scans / subject / f"{name}.nii.gz").rename(anat / f"sub-{subject}_{suffix}.nii.gz")
    for workers, expected in ((2, "3 prepared"), (1, "3 up to date")):
        caplog.clear()
        options = ["--layout=bids", "--spacing=2", f"--workers={workers}"]
        status, said = run("--input", tmp_path / "bids", "--output", tmp_path / "out", *options)
        assert status == 0, said
        assert expected in said
    assert read_modalities(tmp_path / "out" / "datalist.json") == ["t1", "flair"]
    pictures = sorted(path.name for path in (tmp_path / "out" / "quality").iterdir())
    assert pictures == ["index.html", "sub-p1.png", "sub-p2.png", "sub-p3.png"]


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_when_stopped_it_keeps_what_is_done_and_says_how_to_go_on(scans, tmp_path, number, status):
    process = subprocess.Popen(
        [*COMMAND, "--input", str(scans), "--modalities=flair", "--output", str(tmp_path / "out")],
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
    )
    said = process.stderr.read(20)  # the progress bar: the work has begun
    process.send_signal(number)
    said += process.communicate(timeout=300)[1]
    assert process.returncode == status, said
    last = said.splitlines()[-1]
    assert f"stopped by {number.name}: " in last and f"3 subjects are done in '{tmp_path / 'out'}'" in last
    assert "Traceback" not in said
    assert not [path for path in (tmp_path / "out").rglob("*") if path.name.startswith(".")]
    assert not (tmp_path / "out" / "datalist.json").exists()


def test_masks_are_found_by_their_pattern(scans, tmp_path, run):
    for subject in ("p1", "p2"):
        array = np.zeros((6, 7, 5), np.uint8)
        array[1:4, 2:5, 1:4] = 1
        nib.save(nib.Nifti1Image(array, AFFINE), scans / subject / "mask.nii.gz")
    options = ["--crop", "brain", "--margin", 0, "--mask", "{subject}/mask.nii.gz", "--workers", 1, "--no-quality"]
    status, said = run("--input", scans, "--modalities", "flair", "--output", tmp_path / "out", *options)
    assert status == 3
    assert "FAILED p3: --crop brain needs a brain mask" in said
    assert read_header(tmp_path / "out" / "p1.h5").shape == (3, 3, 3)
    assert not (tmp_path / "out" / "quality").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--modalities", "flair", "--layout", "bids", "--pattern", "x"), "--layout bids defines where the scans are"),
        (("--layout", "adni"), "ixi, brats, bids, dicom"),
        (("--modalities", "flair", "--register_to", "t1"), "register_to is 't1'"),
        (("--modalities", "flair", "--crop", "head"), "none, foreground, brain"),
        (("--modalities", "flair", "--spacing", "-1"), "spacing is -1"),
        (("--modalities", "flair", "--mask", "{subject}/m.nii", "--crop", "brain"), "matches the mask"),
        (("--modalities", "flair", "--mask", "m.nii", "--crop", "brain"), "must contain {subject}"),
        (("--modalities", "flair", "--mask", "{subject}/m.nii"), "is for --crop brain"),
        (("--modalities", "flair", "--workers", "0"), "workers is 0"),
        (("--modalities", "t1,pd", "--names", "t1=T1w"), "for modality 'pd'"),
        (("--modalities", "T1w,flair"), "lower-case words"),
        (("--modalities", "flair", "--pattern", "{modality}.nii"), "must contain {subject}"),
        (("--modalities", "flair", "--split", "0.5"), "three fractions"),
        (("--modalities", "flair", "--table", "x.csv"), "either --input"),
        (("--modalities", "flair", "--thin_axes", "axial,S"), "planes of axial, coronal, sagittal, each once"),
        (("--modalities", "flair", "--thin_axes", "axial,axial"), "each once"),
        ((), "needs --modalities"),
    ],
)
def test_wrong_options_are_one_line(scans, tmp_path, run, arguments, message):
    status, said = run("--input", scans, "--output", tmp_path / "out", *arguments)
    assert status == 1
    assert said.startswith("error: ")
    assert "\n" not in said
    assert message in said


@pytest.mark.parametrize(
    ("option", "axes", "said"),
    [("sagittal,axial", (0, 2), "flair axial, sagittal (3)"), ("none", (), "in no plane (3)")],
)
def test_thin_axes_can_be_named(scans, tmp_path, run, option, axes, said):
    where = ("--input", scans, "--modalities", "flair", "--output", tmp_path / "out", "--workers", 1, "--no-quality")
    status, log = run(*where, "--thin_axes", option)
    assert (status, read_header(tmp_path / "out" / "p1.h5").thin_axes) == (0, {"flair": axes})
    assert said in log
    assert run(*where)[0] == 0  # another option: rebuilt
    assert read_header(tmp_path / "out" / "p1.h5").thin_axes == {"flair": (0,)}  # too small to measure


def test_a_misspelled_option_is_an_error_before_any_work(scans, tmp_path, run):
    status, _ = run("--input", scans, "--modalities", "flair", "--output", tmp_path / "out", "--splitt", "1,0,0")
    assert status == 2
    assert not (tmp_path / "out").exists()


def test_the_output_of_another_data_set_is_an_error(scans, tmp_path, run):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "other.h5").touch()
    status, said = run("--input", scans, "--modalities", "flair", "--output", tmp_path / "out", "--overwrite")
    assert status == 1
    assert "files of other subjects, such as 'other.h5'" in said


def test_dicom_studies_become_subject_files(run, dicom_series, tmp_path):
    """Each study has a T1, a FLAIR and a localizer; one lacks the FLAIR."""
    for number, subject in enumerate(("p1", "p2", "p3")):
        descriptions = ["AX T1 SE", "AX FLAIR", "LOC"] if subject != "p3" else ["AX T1 SE"]
        for index, description in enumerate(descriptions):
            tags = {"SeriesDescription": description, "ProtocolName": description, "SeriesNumber": index}
            tags["SeriesInstanceUID"] = f"1.2.{number}.{index}"
            dicom_series(4, folder=tmp_path / "scans" / subject / str(index), tags=tags)
    options = ["--input", tmp_path / "scans", "--layout", "dicom", "--modalities", "t1,flair", "--workers", 1]
    status, said = run(*options, "--output", tmp_path / "out")
    assert status == 3 and "FAILED p3: subject 'p3' has no file for ['flair']" in said
    assert sorted(path.name for path in (tmp_path / "out").glob("*.h5")) == ["p1.h5", "p2.h5"]
    status, said = run(*options, "--output", tmp_path / "all", "--allow_missing")
    assert status == 0
    rows = list(csv.DictReader((tmp_path / "all" / "manifest.csv").read_text(encoding="utf-8").splitlines()))
    assert [(row["subject"], row["modality"]) for row in rows if row["status"] == "prepared"] == [
        ("p1", "t1"),
        ("p1", "flair"),
        ("p2", "t1"),
        ("p2", "flair"),
        ("p3", "t1"),
    ]
