"""The shell of the demo; its steps are replaced by a stand-in for python that notes what it is called with."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"
PYTHON = """#!/usr/bin/env bash
echo "$@" >> "$CALLS"
case "$*" in
    simulate*)
        made="$(sed 's/.*--output \\([^ ]*\\).*/\\1/' <<< "$*")/nifti/sim_0000"
        mkdir -p "$made" && touch "$made/t1.nii.gz" "$made/t2.nii.gz"
        ;;
esac
if [ -n "${FAILS:-}" ]; then case "$*" in *$FAILS*) exit 1 ;; esac; fi
"""


@pytest.fixture
def demo(tmp_path):
    """Run the demo in a repository whose path has a space; give the process and the calls of python."""
    root = tmp_path / "a path"
    (root / "bin").mkdir(parents=True)
    (root / "scripts").mkdir()
    for name in ("demo.sh", "install.sh"):
        shutil.copy(SCRIPTS / name, root / "scripts")
    python = root / "bin" / "python"
    python.write_text(PYTHON)
    python.chmod(0o755)
    shutil.copy(python, python.with_name("unicoal"))
    calls = root / "calls"

    def run(*arguments, **environment):
        calls.write_text("")
        given = {"PATH": f"{root / 'bin'}:{os.environ['PATH']}", "VIRTUAL_ENV": str(root), "CALLS": str(calls)}
        command = ["bash", str(root / "scripts" / "demo.sh"), *arguments]
        environment = os.environ | given | environment
        process = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        return process, calls.read_text().splitlines()

    run.root = root
    return run


MAIN_JOB = ["pip install", "simulate", "make_thick", "synthesize"] + ["draw_panel"] * 2 + ["demo_page"]
TRAINING = ["simulate", "train.json", "evaluate.json"]


def steps(calls, expected):
    assert [step in call for step, call in zip(expected, calls, strict=True)] == [True] * len(expected), calls


def test_the_main_job_comes_first_from_any_folder_and_under_a_path_with_spaces(demo):
    process, calls = demo()
    assert process.returncode == 0, process.stderr
    two_heads = [
        *MAIN_JOB[:2],
        "- demo_output/thin/mni152_t1.nii.gz",
        *["make_thick"] * 2,
        "synthesize",
        *["draw_panel"] * 4,
        "demo_page",
    ]
    steps(calls, two_heads)
    person, average = calls[6], calls[8]
    assert "--truth demo_output/thin/person_t1.nii.gz" in person and "--truth" not in average.replace("mni152_t1", "")
    assert "made/person_t1_t1_error.nii.gz" in person and "demo_output/index.html" in process.stdout


def test_a_training_follows_where_it_is_asked_for(demo):
    process, calls = demo("--quick")
    assert process.returncode == 0, process.stderr
    steps(calls, MAIN_JOB + TRAINING)
    steps(demo("--train")[1][-3:], TRAINING)


def test_an_earlier_result_is_kept_and_the_quick_demo_touches_neither(demo):
    (demo.root / "demo_output").mkdir()
    (demo.root / "demo_output" / "panel.png").write_text("mine")
    assert demo("--quick")[0].returncode == 0
    assert (demo.root / "demo_output" / "panel.png").read_text() == "mine"
    process, _ = demo()
    (kept,) = demo.root.glob("demo_output_before_*")
    assert (kept / "panel.png").read_text() == "mine"
    assert kept.name in process.stdout
    assert not (demo.root / "demo_output" / "panel.png").exists()


def test_a_step_that_fails_ends_the_demo(demo):
    process, calls = demo(FAILS="make_thick")
    assert process.returncode == 1
    assert "make_thick" in calls[-1]
    assert "index.html" not in process.stdout


@pytest.mark.parametrize("arguments", [["--fast"], ["--quick", "--train"]])
def test_an_unknown_option_is_refused_before_anything_is_done(demo, arguments):
    process, calls = demo(*arguments)
    assert (process.returncode, calls) == (2, [])
    assert "--quick" in process.stderr
