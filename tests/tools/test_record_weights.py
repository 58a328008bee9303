"""The command that records the checksums of weights."""

import json
import runpy
from pathlib import Path

import pytest
import torch

from unicoal_components.files.checksum import file_sha256
from unicoal_components.runtime.weights import save_weights

record_weights = runpy.run_path(str(Path(__file__).parents[2] / "tools" / "record_weights.py"))["record_weights"]


def test_checksums_are_recorded_for_all_files(tmp_path):
    paths = [tmp_path / name for name in ("a.pt", "b.pt")]
    for path in paths:
        save_weights({"weight": torch.ones(2)}, path)
    record_weights(*map(str, paths))
    for path in paths:
        assert json.loads(path.with_suffix(".training.json").read_text()) == {"sha256": file_sha256(path)}


def test_without_files_there_is_an_error():
    with pytest.raises(ValueError, match=r"model\.pt"):
        record_weights()
