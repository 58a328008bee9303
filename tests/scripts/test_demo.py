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
    *simulate_cohort*) mkdir -p "$(sed 's/.*--output \\([^ ]*\\).*/\\1/' <<< "$*")" ;;
    "-c "*) echo sim_0003 ;;
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


def test_all_steps_run_from_any_folder_and_under_a_path_with_spaces(demo):
    process, calls = demo()
    assert process.returncode == 0, process.stderr
    steps = ("pip install", "simulate_cohort", "train.json", "evaluate.json", "-c ", "make_thick", "inference.json")
    assert [step in call for step, call in zip((*steps, "draw_panel"), calls, strict=True)] == [True] * 8
    assert "sim_0003/t1.nii.gz" in calls[5]


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
    process, calls = demo(FAILS="train.json")
    assert process.returncode == 1
    assert "train.json" in calls[-1]
    assert "Done" not in process.stdout


@pytest.mark.parametrize("arguments", [["--fast"], ["--quick", "--fast"]])
def test_an_unknown_option_is_refused_before_anything_is_done(demo, arguments):
    process, calls = demo(*arguments)
    assert (process.returncode, calls) == (2, [])
    assert "--quick" in process.stderr
