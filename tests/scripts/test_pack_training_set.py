import logging
import runpy
from pathlib import Path

import numpy as np
import pytest

from unicoal_components.datasets.datalist import read_datalist, write_datalist
from unicoal_components.datasets.hdf5 import write_subject

SCRIPT = Path(__file__).parents[2] / "scripts" / "pack_training_set.py"


@pytest.fixture
def run(monkeypatch, caplog):
    """Run the script in this process; return its log, or the error."""

    def call(*arguments):
        monkeypatch.setattr("sys.argv", [str(SCRIPT), *map(str, arguments)])
        caplog.set_level(logging.INFO)
        try:
            runpy.run_path(str(SCRIPT), run_name="__main__")
        except SystemExit as stop:
            return str(stop.code)
        return caplog.text

    return call


@pytest.fixture
def datalist(tmp_path):
    stack = np.zeros((12, 12, 12), np.uint8)
    stack[3:9, 3:9, 3:9] = 50
    facts = {"affine": np.eye(4), "intensity": {"t1": (0, 1)}, "sources": {"t1": "x"}}
    write_subject(tmp_path / "a.h5", volumes={"t1": stack}, **facts)
    path = tmp_path / "datalist.json"
    write_datalist(path, sections={"training": [{"subject": "a", "path": "a.h5"}]}, modalities=["t1"])
    return path


def test_a_set_is_written_checked_and_summarized(run, datalist, tmp_path):
    log = run("--datalist", datalist, "--output", tmp_path / "set.h5", "--section", "training,validation")
    assert "set.h5: 1 training, 0 validation, 0.0" in log
    assert "left out: borders without foreground cut off" in log
    assert len(read_datalist(tmp_path / "set.h5", "training")) == 1
    assert "set.h5: 1 datasets" in run("--check", tmp_path / "set.h5")


def test_wrong_options_are_named(run, datalist, tmp_path):
    assert "give --datalist and --output" in run("--datalist", datalist)
    assert "--check excludes --datalist" in run("--datalist", datalist, "--check", "set.h5")
    assert "does not exist" in run("--check", tmp_path / "none.h5")


def test_a_full_disk_and_a_folder_that_cannot_be_written_are_named(run, datalist, tmp_path, full_disk):
    before = sorted(tmp_path.iterdir())
    with full_disk("set.h5"):
        assert "set.h5': No space left on device" in run("--datalist", datalist, "--output", tmp_path / "set.h5")
    assert f"cannot write '{tmp_path}/a.h5'" in run("--datalist", datalist, "--output", tmp_path / "a.h5" / "set.h5")
    assert sorted(tmp_path.iterdir()) == before
