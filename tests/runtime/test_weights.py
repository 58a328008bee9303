import errno
import json
import os
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from ignite.engine import Engine

from unicoal_components.files.checksum import file_sha256 as sha256_of
from unicoal_components.networks.generator import Generator
from unicoal_components.runtime.weights import (
    LoadWeights,
    load_weights,
    read_weights,
    record_checksum,
    save_weights,
    sizes,
)

SIZES = {
    "resolution": 16,
    "num_modalities": 4,
    "in_channels": 4,
    "num_layers": 6,
    "channel_base": 256,
    "channel_max": 8,
    "w_dim": 16,
    "image_style_dim": 12,
    "z_dim": 9,
}


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "model.pt"
    save_weights({"a": torch.ones(1)}, path)

    def fail(content, target):
        target.write(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, "save", fail)
    with pytest.raises(KeyboardInterrupt):
        save_weights({"a": torch.zeros(1)}, path)
    assert read_weights(path)["a"].item() == 1
    assert [p.name for p in tmp_path.iterdir()] == ["model.pt"]


def test_weights_load_from_a_model_and_from_a_checkpoint(tmp_path):
    saved, average = torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)
    save_weights(saved.state_dict(), tmp_path / "model.pt")
    save_weights({"generator": saved.state_dict(), "average": average.state_dict()}, tmp_path / "checkpoint.pt")
    network = torch.nn.Linear(2, 2)
    assert torch.equal(load_weights(network=network, path=tmp_path / "model.pt").weight, saved.weight)
    assert torch.equal(load_weights(network=network, path=tmp_path / "checkpoint.pt").weight, average.weight)
    assert not network.training


def test_weights_that_do_not_fit_name_the_first_differences(tmp_path):
    save_weights({"weight": torch.zeros(3, 2), "scale": torch.zeros(1)}, tmp_path / "model.pt")
    network = torch.nn.Linear(2, 2)
    before = network.weight.clone()
    with pytest.raises(ValueError) as error:
        load_weights(network=network, path=tmp_path / "model.pt")
    for part in ("model.pt", "weight is (3, 2) in the file, (2, 2)", "bias is missing", "scale is unknown"):
        assert part in str(error.value)
    assert torch.equal(before, network.weight)


@pytest.mark.parametrize(
    ("name", "size", "said"),
    [
        ("num_modalities", 2, "the number of modalities (one more with residual) is 4 there, 2 here"),
        ("in_channels", 6, "slice_group_size is 4 there, 6 here"),
        ("num_layers", 7, "num_layers is 6 there, 7 here"),
        ("channel_max", 4, "the width at the coarsest layer (channel_base, channel_max) is 8 there, 4 here; the width"),
        ("w_dim", 20, "w_dim is 16 there, 20 here"),
        ("image_style_dim", 16, "image_style_dim is 12 there, 16 here"),
        ("z_dim", 8, "z_dim is 9 there, 8 here"),
    ],
)
def test_weights_of_another_size_name_the_value_of_the_config(tmp_path, name, size, said):
    save_weights(Generator(**SIZES).state_dict(), tmp_path / "model.pt")
    with pytest.raises(ValueError) as error:
        load_weights(network=Generator(**(SIZES | {name: size})), path=tmp_path / "model.pt")
    differing = re.search(r"The networks differ: (.*?)\. Set the network's values", str(error.value))[1]
    assert differing.startswith(said)
    assert differing.count("there") == (2 if name == "channel_max" else 1)


def test_the_sizes_of_other_networks_are_not_guessed():
    assert sizes(torch.nn.Linear(2, 2).state_dict()) == {}


def test_equal_contents_are_the_same_bytes(tmp_path):
    state = torch.nn.Sequential(torch.nn.Linear(2, 2)).state_dict()
    names = ["p0"]
    save_weights({"net": state, "seen": names, "chosen": names, "best": "p0"}, tmp_path / "a.pt")
    content = torch.load(tmp_path / "a.pt", weights_only=True)
    apart = content | {"seen": ["".join(["p", "0"])], "chosen": ["p0"], "best": "".join(["p", "0"])}
    save_weights(apart, tmp_path / "b.pt")
    assert (tmp_path / "a.pt").read_bytes() == (tmp_path / "b.pt").read_bytes()
    assert content["net"]._metadata == state._metadata


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nothing.pt"):
        read_weights(tmp_path / "nothing.pt")


class Dangerous:
    def __reduce__(self):
        return print, ("code from a file",)


def test_a_file_with_code_is_not_run(tmp_path, capsys):
    torch.save({"a": Dangerous()}, tmp_path / "bad.pt")
    with pytest.raises(ValueError, match="cannot be read") as error:
        read_weights(tmp_path / "bad.pt")
    assert "code" not in capsys.readouterr().out
    assert "weights_only" not in str(error.value)


def test_the_handler_reads_the_file_when_its_engine_starts(tmp_path):
    saved, network = torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)
    engine = Engine(lambda engine, batch: None)
    LoadWeights(network=network, path=tmp_path / "model.pt").attach(engine)
    save_weights(saved.state_dict(), tmp_path / "model.pt")
    engine.run([0])
    assert torch.equal(network.weight, saved.weight)


def test_without_a_path_the_network_keeps_its_weights():
    network = torch.nn.Linear(2, 2)
    before = network.weight.clone()
    assert torch.equal(load_weights(network=network, path=None).weight, before)
    assert not network.training


@pytest.mark.parametrize("kept", [0.0, 0.3, 0.7, 0.99])
def test_truncated_weights_are_an_error_that_names_the_file(tmp_path, kept):
    save_weights({"weight": torch.zeros(1000)}, tmp_path / "model.pt")
    content = (tmp_path / "model.pt").read_bytes()
    (tmp_path / "model.pt").write_bytes(content[: int(kept * len(content))])
    with pytest.raises(ValueError, match=r"model\.pt .*Copy it again"):
        read_weights(tmp_path / "model.pt")


def test_weights_that_cannot_be_written_are_an_error_with_a_remedy(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="Choose an output folder"):
        save_weights({"weight": torch.zeros(1)}, tmp_path / "file" / "model.pt")


def test_a_full_disk_names_the_file_and_keeps_the_old_one(tmp_path, monkeypatch):
    path = tmp_path / "checkpoint.pt"
    save_weights({"epoch": 1}, path)

    def full(self, content):
        self.touch()
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(type(path), "write_bytes", full)
    with pytest.raises(OSError, match=r"cannot write '.*checkpoint\.pt': No space left on device"):
        save_weights({"epoch": 2}, path)
    assert read_weights(path) == {"epoch": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_no_flipped_bit_of_weights_is_read_as_other_values(tmp_path):
    path = tmp_path / "model.pt"
    values = torch.linspace(-1, 1, 300)
    save_weights({"weight": values, "epoch": 7}, path)
    whole = path.read_bytes()
    found = 0
    for at in np.random.default_rng(0).integers(0, 8 * len(whole), 120):
        content = bytearray(whole)
        content[at // 8] ^= 1 << int(at % 8)
        path.write_bytes(content)
        try:
            read = read_weights(path)
        except ValueError as error:
            assert str(path) in str(error)
            found += 1
        else:  # a date, a name of the archive, or padding
            assert torch.equal(read["weight"], values)
            assert read["epoch"] == 7
    assert found > 50


def test_a_record_holds_the_checksum_of_its_weights_and_other_weights_are_refused(tmp_path):
    path, record = tmp_path / "model.pt", tmp_path / "model.training.json"
    save_weights({"weight": torch.ones(2)}, path, record={"subjects": {}})
    assert json.loads(record.read_text())["sha256"] == sha256_of(path)
    assert read_weights(path)["weight"].tolist() == [1, 1]
    save_weights({"weight": torch.zeros(2)}, path)
    with pytest.raises(ValueError) as error:
        read_weights(path)
    assert all(text in str(error.value) for text in (str(path), str(record)))
    assert record_checksum(path) == sha256_of(path)
    assert json.loads(record.read_text()) == {"subjects": {}, "sha256": sha256_of(path)}
    assert read_weights(path)["weight"].tolist() == [0, 0]


def test_a_failed_record_leaves_the_old_weights_with_their_record(tmp_path):
    path = tmp_path / "model.pt"
    save_weights({"weight": torch.ones(2)}, path, record={"subjects": {}})
    with pytest.raises(TypeError):
        save_weights({"weight": torch.zeros(2)}, path, record={"subjects": object()})
    assert read_weights(path)["weight"].tolist() == [1, 1]


def test_the_shipped_weights_match_their_records():
    folders = sorted((Path(__file__).parents[2] / "bundles").glob("*/models"))
    assert len(folders) == 4
    for folder in folders:
        assert json.loads((folder / "model.training.json").read_text())["sha256"] == sha256_of(folder / "model.pt")
