"""The campaign of stopped commands: what it counts as whole, unfinished, the same and said, and its table."""

import gzip
import importlib
import inspect
import json
import runpy
import signal
import subprocess
import sys
from pathlib import Path

import h5py
import nibabel as nib
import numpy as np
import pytest
import torch

from unicoal_components.commands.app import COMMANDS

TOOLS = Path(__file__).parents[2] / "tools"


@pytest.fixture(scope="module")
def tool():
    """Return the names of the command and of its checks; it imports its files from its own folder."""
    sys.path.insert(0, str(TOOLS))
    try:
        yield runpy.run_path(str(TOOLS / "interrupt_checks.py")) | runpy.run_path(str(TOOLS / "interrupt_commands.py"))
    finally:
        sys.path.remove(str(TOOLS))


@pytest.fixture
def written(tmp_path):
    """A folder with a whole file of every kind."""
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("t1", data=np.arange(4000.0), chunks=(100,), compression="gzip")
    torch.save({"weight": torch.arange(1000.0)}, tmp_path / "model.pt")
    nib.save(nib.Nifti1Image(np.random.default_rng(0).normal(size=(8, 8, 8)), np.eye(4)), tmp_path / "scan.nii.gz")
    (tmp_path / "datalist.json").write_text(json.dumps({"training": list(range(100))}))
    (tmp_path / "manifest.csv").write_text("subject,modality\n" + "p0,t1\n" * 100)
    (tmp_path / "index.html").write_text("<html>" + "<p>\n" * 100 + "</html>\n")
    return tmp_path


def test_a_file_of_any_kind_that_is_cut_is_named_and_whole_ones_are_not(tool, written):
    assert tool["damaged"](written) == []
    for path in sorted(written.iterdir()):
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) * 2 // 3])
        assert [name.partition(":")[0] for name in tool["damaged"](written)] == [path.name]
        path.write_bytes(whole)


def test_unfinished_names_are_found_and_not_read(tool, written):
    (written / "sub").mkdir()
    (written / "sub" / ".a.h5.host-1.partial").write_text("half")
    (written / ".unicoal.lock").touch()
    assert tool["unfinished"](written) == [".unicoal.lock", "sub/.a.h5.host-1.partial"]
    assert tool["damaged"](written) == []


def test_files_that_change_are_seen_but_not_the_lock(tool, written):
    (written / ".unicoal.lock").touch()
    before = tool["states"](written)
    assert "model.pt" in before and ".unicoal.lock" not in before
    (written / "error.log").write_text("refused")
    (written / "model.pt").write_bytes(b"")
    assert {name for name, _ in before.items() ^ tool["states"](written).items()} == {"error.log", "model.pt"}


def test_values_are_the_same_of_files_with_other_bytes(tool, written):
    before = [tool["content"](written, ["*.gz", "*.csv"], as_bytes=how) for how in (True, False)]
    assert sorted(before[0]) == ["manifest.csv", "scan.nii.gz"]
    plain = gzip.decompress((written / "scan.nii.gz").read_bytes())
    (written / "scan.nii.gz").write_bytes(gzip.compress(plain, 1))
    after = [tool["content"](written, ["*.gz", "*.csv"], as_bytes=how) for how in (True, False)]
    assert after[0] != before[0] and after[1] == before[1]
    image = nib.load(written / "scan.nii.gz")
    nib.save(nib.Nifti1Image(np.asarray(image.dataobj) + 1, image.affine), written / "scan.nii.gz")
    assert tool["content"](written, ["*.gz"], as_bytes=False)["scan.nii.gz"] != before[1]["scan.nii.gz"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Epoch 1\n\nstopped by SIGTERM: epoch 1 is saved.\n", ""),
        ("Traceback (most recent call last):\n\nstopped by SIGTERM: saved.\n", "traceback"),
        ("Epoch 1\n", "silent"),
        ("stopped by SIGTERM: saved.\nmore\n", "no last line"),
    ],
)
def test_what_a_stopped_command_says_is_judged(tool, text, reason):
    assert tool["said_of_stop"](text, "SIGTERM") == reason


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("error: cannot write '/o/a.h5': No space left on device. Choose\n", ""),
        ("Traceback (most recent call last):\nerror: '/o/a.h5': No space left on device\n", "traceback"),
        ("error: cannot write: No space left on device\n", "file not named"),
        ("error: cannot write '/o/a.h5'\n", "cause not named"),
        ("", "file not named"),
    ],
)
def test_what_a_command_without_space_says_is_judged(tool, text, reason):
    assert tool["said_of_disk"](text, Path("/o")) == reason


def test_moments_are_spread_over_the_run_and_repeat_with_the_seed(tool):
    found = tool["moments"](6, [1, 2])
    assert [int(moment * 6) for moment in found] == list(range(6))
    assert found == tool["moments"](6, [1, 2]) != tool["moments"](6, [2, 2])


def test_the_table_counts_each_goal_and_names_what_failed(tool):
    row = tool["Row"]("train", "SIGINT")
    row.count(clean="", status="", resumed="", same="")
    row.count(clean="", status="1 at 0.50", resumed="", same="model.pt")
    lines = tool["table"]([row]).splitlines()
    assert lines[2] == "| train | SIGINT | 2 | 2 | 1 | 2 | 1 |"
    assert lines[4:] == ["- train, SIGINT: status: 1 at 0.50", "- train, SIGINT: same: model.pt"]


def test_every_command_of_the_campaign_exists_and_a_bundle_has_its_options(tool, tmp_path):
    root = TOOLS.parent
    for case in tool["CASES"].values():
        words = case.words(tmp_path, tmp_path / "out")
        options = [word.removeprefix("--") for word in words if word.startswith("--")]
        if words[:2] == ["-m", "unicoal_components"]:
            module, function = COMMANDS[words[2]][0].split(":")
            command = getattr(importlib.import_module(f"unicoal_components.commands.{module}"), function)
            assert set(options) <= set(inspect.signature(command).parameters)
        elif words[0] == "-m":
            files = [root / "bundles/unified/configs" / name for name in ("train.json", "inference.json")]
            known = {"config_file"}.union(*(json.loads(file.read_text()) for file in files))
            assert set(options) <= known
        else:
            assert (root / words[0]).is_file()


def test_processes_that_a_command_leaves_are_ended_and_the_status_is_that_of_a_shell(tool, tmp_path):
    code = "import subprocess, time; subprocess.Popen(['sleep', '60']); print('started', flush=True); time.sleep(60)"
    running = tool["start_cold"](["-c", code], tmp_path / "log.txt")
    try:
        while "started" not in running.log.read_text():
            assert not running.ends_within(0.01)
    finally:
        subprocess.run(["kill", "-TERM", str(running.pid)], check=True)
    assert running.ends_within(20) and running.status() == 128 + signal.SIGTERM
    assert not running.others_end_within(0.1)
    assert running.others_end_within(20)
