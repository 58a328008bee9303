"""The campaign of damaged files: what it counts, on readers that behave in each way."""

import os
import runpy
import signal
import sys
import time
from pathlib import Path

import numpy as np
import pytest

TOOLS = Path(__file__).parents[2] / "tools"


@pytest.fixture(scope="module")
def fuzz():
    """Return the names of the command, which imports its files from its own folder."""
    sys.path.insert(0, str(TOOLS))
    try:
        yield runpy.run_path(str(TOOLS / "fuzz_readers.py"))
    finally:
        sys.path.remove(str(TOOLS))


def wrong(error):
    raise error


@pytest.mark.parametrize(
    ("read", "outcome"),
    [
        (lambda path: 1, "value"),
        (lambda path: wrong(ValueError(f"{path} is damaged")), "error"),
        (lambda path: wrong(ValueError("damaged")), "unclear"),
        (lambda path: wrong(KeyError(f"{path}")), "unclear"),
        (lambda path: os.kill(os.getpid(), signal.SIGKILL), "crash"),
        (lambda path: time.sleep(30), "hang"),
        (lambda path: np.ones(5 * 10**9, np.uint8), "memory"),
    ],
)
def test_each_outcome_is_told_from_the_others(fuzz, tmp_path, read, outcome):
    fuzz["attempt"].__globals__["SECONDS"] = 1.0 if outcome == "hang" else 20.0
    assert fuzz["attempt"](fuzz["Kind"](None, read), tmp_path / "scan.nii", tmp_path)[0] == outcome


def test_the_same_seed_gives_the_same_counts_and_every_kind_is_changed(fuzz):
    for name in ("NIfTI, gzip", "subject file"):
        counts, bad = fuzz["campaign"](name, 3, 5)
        assert counts.total() == 3 and (counts, bad) == fuzz["campaign"](name, 3, 5)
        assert bad == [] or {one["outcome"] for one in bad} == {"other"}


def test_all_kinds_are_read_when_whole(fuzz, tmp_path):
    for number, (name, kind) in enumerate(fuzz["KINDS"].items()):
        folder = tmp_path / str(number)
        folder.mkdir()
        assert fuzz["attempt"](kind, kind.make(folder), folder)[0] == "value", name
