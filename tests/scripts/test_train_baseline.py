"""The command line of the baseline."""

import json
import runpy
from pathlib import Path

import numpy as np
import pytest
import torch

from unicoal_components.data.datalist import write_datalist
from unicoal_components.data.hdf5 import write_subject
from unicoal_components.data.training_record import read_record, read_selected_by
from unicoal_components.engines.baseline import load_baseline

SCRIPT = Path(__file__).parents[2] / "scripts" / "train_baseline.py"
main = runpy.run_path(str(SCRIPT))["main"]


@pytest.fixture
def datalist(tmp_path):
    rng = np.random.default_rng(0)
    entries = []
    for name in ("a", "b"):
        path = tmp_path / f"{name}.h5"
        volumes = {m: rng.integers(0, 256, (6, 20, 14), dtype=np.uint8) for m in ("t1", "t2")}
        named = dict.fromkeys(volumes, "")
        write_subject(path, volumes=volumes, affine=np.eye(4), intensity=dict.fromkeys(volumes, (0, 1)), sources=named)
        entries.append({"subject": name, "path": f"{name}.h5"})
    sections = {"training": entries[:1], "test": entries[1:]}
    write_datalist(tmp_path / "datalist.json", sections=sections, modalities=["t1", "t2"])
    return tmp_path / "datalist.json"


def run(datalist, output, **options):
    small = {"resolution": 16, "channels": (4, 8), "batch_size": 2, "device": "cpu"}
    main(datalist=str(datalist), output=str(output), **(small | options))


def test_it_trains_and_saves_weights_how_and_on_whom(datalist, tmp_path):
    run(datalist, tmp_path / "out", images=4)
    network = load_baseline(path=tmp_path / "out" / "unet.pt", modalities=["t1", "t2"])
    assert network.num_modalities == 2
    settings = json.loads((tmp_path / "out" / "unet.json").read_text())
    assert (settings["images_seen"], settings["channels"], settings["pretrained"]) == (4, [4, 8], None)
    assert settings["residual"] is True
    assert list(read_record(tmp_path / "out" / "unet.pt")) == ["a"]
    assert read_selected_by(tmp_path / "out" / "unet.pt") == {}


def test_it_goes_on_from_an_earlier_training_with_its_sizes(datalist, tmp_path):
    run(datalist, tmp_path / "first", images=4)
    first = tmp_path / "first" / "unet.pt"
    run(datalist, tmp_path / "second", images=2, pretrained=str(first), channels=(8, 16), learning_rate=0.0)
    states = [torch.load(tmp_path / name / "unet.pt", weights_only=True) for name in ("first", "second")]
    assert list(states[0]) == list(states[1])
    weight = "head.weight"
    assert torch.equal(states[0][weight], states[1][weight])
    assert states[1]["unet.model.0.conv.unit0.adn.N.num_batches_tracked"] == 3  # so it was trained on


def test_the_tasks_are_those_of_the_method(datalist, tmp_path):
    with pytest.raises(ValueError, match="same_modality and cross_modality are both false"):
        run(datalist, tmp_path / "out", images=2, same_modality=False, cross_modality=False)
    run(datalist, tmp_path / "out", images=2, targets="t2", sources=("t1",), slice_group_size=6, residual=False)
    network = load_baseline(path=tmp_path / "out" / "unet.pt", modalities=["t1", "t2"], in_channels=6)
    assert network.residual is False
    with pytest.raises(ValueError, match="t3"):
        run(datalist, tmp_path / "out", images=2, targets="t3")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "give images, minutes or both"),
        ({"images": 2, "factors": 0.5}, "factor"),
    ],
)
def test_wrong_arguments_are_refused(datalist, tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        run(datalist, tmp_path / "out", **options)


def test_a_misspelled_option_is_told_before_the_training(monkeypatch, tmp_path, capsys):
    words = ["--datalist", "none.json", "--output", str(tmp_path), "--minutes", "60", "--channel", "4,8"]
    monkeypatch.setattr("sys.argv", [str(SCRIPT), *words])
    with pytest.raises(SystemExit) as stop:
        runpy.run_path(str(SCRIPT), run_name="__main__")
    assert stop.value.code == 2
    assert "unknown option '--channel'" in capsys.readouterr().err
