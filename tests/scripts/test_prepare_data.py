import os
import runpy
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from unicoal_components.data.datalist import read_datalist, read_modalities

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "scripts" / "prepare_data.py"
AFFINE = np.diag([1.0, 1.0, 2.0, 1.0])


@pytest.fixture
def run(monkeypatch, caplog):
    """Run the script in this process; give its exit status and everything it said."""

    def call(*arguments):
        monkeypatch.setattr("sys.argv", [str(SCRIPT), *map(str, arguments)])
        caplog.set_level("INFO")
        try:
            runpy.run_path(str(SCRIPT), run_name="__main__")
        except SystemExit as stop:
            return (1, stop.code) if isinstance(stop.code, str) else (stop.code, caplog.text)
        return 0, caplog.text

    return call


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
    status, said = run(
        *("--input", scans, "--modalities", "t1,flair", "--names", "t1=T1w"),
        *("--output", tmp_path / "out", "--split", "0.5,0,0.5", "--seed", 1),
    )
    assert status == 1
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
        [sys.executable, str(SCRIPT), "--table", str(table), "--output", str(tmp_path / "out")],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert "3 training, 0 validation, 0 test" in result.stderr
    assert "3/3" in result.stderr
    assert read_modalities(tmp_path / "out" / "datalist.json") == ["flair", "t1"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--modalities", "t1,pd", "--names", "t1=T1w"), "for modality 'pd'"),
        (("--modalities", "T1w,flair"), "lower-case words"),
        (("--modalities", "flair", "--pattern", "{modality}.nii"), "must contain {subject}"),
        (("--modalities", "flair", "--names", "T1w"), "pairs such as"),
        (("--modalities", "flair", "--split", "0.5"), "three fractions"),
        (("--modalities", "flair", "--table", "x.csv"), "either --input"),
        ((), "needs --modalities"),
    ],
)
def test_wrong_options_are_one_line(scans, tmp_path, run, arguments, message):
    status, said = run("--input", scans, "--output", tmp_path / "out", *arguments)
    assert status == 1
    assert said.startswith("error: ")
    assert "\n" not in said
    assert message in said


def test_a_misspelled_option_is_an_error_before_any_work(scans, tmp_path, run):
    status, _ = run("--input", scans, "--modalities", "flair", "--output", tmp_path / "out", "--splitt", "1,0,0")
    assert status == 2
    assert not (tmp_path / "out").exists()


def test_the_output_of_another_data_set_is_refused(scans, tmp_path, run):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "other.h5").touch()
    status, said = run("--input", scans, "--modalities", "flair", "--output", tmp_path / "out", "--overwrite")
    assert status == 1
    assert "files of other subjects, such as 'other.h5'" in said
