"""The command line of the baseline."""

import json
import runpy
from pathlib import Path

import numpy as np
import pytest
import torch

from unicoal_components.datasets.datalist import write_datalist
from unicoal_components.datasets.hdf5 import write_subject
from unicoal_components.datasets.training_record import read_record, read_selected_by
from unicoal_components.evaluation.baseline import load_baseline
from unicoal_components.networks.trunk import ResidualTrunk

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "scripts" / "train_baseline.py"
SPACE = runpy.run_path(str(SCRIPT))
main = SPACE["main"]
CONFIG = str(ROOT / "bundles" / "unified" / "configs" / "train.json")
SMALL = {"resolution": 16, "modalities": ["t1", "t2"], "batch_size": 2}


@pytest.fixture
def folder(tmp_path):
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
    return tmp_path


def run(folder, output, *, values=None, config=CONFIG, **options):
    small = {"channels": (4, 8), "device": "cpu", "options": SMALL | (values or {})}
    main(config_file=config, dataset_dir=str(folder), output=str(output), **(small | options))


def weights(folder, name="unet"):
    return torch.load(folder / f"{name}.pt", weights_only=True)


def test_it_trains_and_saves_weights_how_and_on_whom(folder, tmp_path):
    run(folder, tmp_path / "out", images=4)
    network = load_baseline(path=tmp_path / "out" / "unet.pt", modalities=["t1", "t2"])
    assert network.num_modalities == 2 and network.residual and network.acquisition
    settings = json.loads((tmp_path / "out" / "unet.json").read_text())
    assert (settings["kind"], settings["images_seen"], settings["channels"]) == ("unet", 4, [4, 8])
    assert (settings["pretrained"], settings["seed"], settings["options"]) == (None, 0, SMALL)
    assert list(read_record(tmp_path / "out" / "unet.pt")) == ["a"]
    assert read_selected_by(tmp_path / "out" / "unet.pt") == {}


def test_a_trunk_is_trained_alike(folder, tmp_path):
    run(folder, tmp_path / "out", images=4, network="trunk", channels=8)
    network = load_baseline(path=tmp_path / "out" / "trunk.pt", modalities=["t1", "t2"])
    assert isinstance(network, ResidualTrunk) and network.trunk.tail.weight.abs().max() > 0
    assert list(read_record(tmp_path / "out" / "trunk.pt")) == ["a"]
    assert not (tmp_path / "out" / "unet.pt").exists()


def test_it_continues_an_earlier_training_with_its_sizes(folder, tmp_path):
    run(folder, tmp_path / "first", images=4)
    first = tmp_path / "first" / "unet.pt"
    run(folder, tmp_path / "second", images=2, pretrained=str(first), channels=None, learning_rate=0.0)
    states = [weights(tmp_path / name) for name in ("first", "second")]
    assert list(states[0]) == list(states[1])
    assert torch.equal(states[0]["head.weight"], states[1]["head.weight"])
    assert states[1]["unet.model.0.conv.unit0.adn.N.num_batches_tracked"] == 3  # so it was trained on
    for given, message in (
        ({"network": "trunk", "channels": None}, "'trunk', but 'unet' in the pretrained network '.*first/unet.pt'"),
        ({"channels": [8, 16]}, r"channels is \[8, 16\], but \[4, 8\]"),
        ({"channels": None, "values": {"modalities": ["t2", "t1"]}}, r"modalities is \['t2', 't1'\]"),
    ):
        with pytest.raises(ValueError, match=message):
            run(folder, tmp_path / "third", images=2, pretrained=str(first), **given)


@pytest.mark.filterwarnings("ignore:parsing config_file")
@pytest.mark.parametrize("overlays", [[], ["paper.json"]])
def test_the_items_are_those_of_the_bundles_training(folder, overlays, monkeypatch):
    from monai.bundle import ConfigWorkflow

    files = [CONFIG, *(str(Path(CONFIG).with_name(name)) for name in overlays)]
    values = SMALL | {"dataset_dir": str(folder), "seed": 5}
    with SPACE["bundle_of"](CONFIG) as root:
        dataset, config = SPACE["read_training"](files, values | {"bundle_root": str(root)})
        workflow = ConfigWorkflow(
            config_file=files, workflow_type="train", logging_file=False, bundle_root=str(root), **values
        )
        expected = workflow.parser.get_parsed_content("train::dataset")
        assert len(dataset) == len(expected) and config["seed"] == 5
        for index in [(epoch, n) for epoch in (0, 1) for n in range(len(dataset))]:
            one, other = dataset[index], expected[index]
            assert one.keys() == other.keys()
            assert all(np.array_equal(np.asarray(one[key]), np.asarray(other[key])) for key in one)


def test_the_same_seed_gives_the_same_weights(folder, tmp_path):
    for name, seed in (("one", 0), ("same", 0), ("other", 1)):
        run(folder, tmp_path / name, images=4, values={"seed": seed})
    one, same, other = (weights(tmp_path / name)["head.weight"] for name in ("one", "same", "other"))
    assert torch.equal(one, same) and not torch.equal(one, other)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "give images, minutes or both"),
        ({"images": 2, "network": "transformer"}, "network is 'transformer'; it must be one of 'unet', 'trunk'"),
        ({"images": 2, "values": {"factors": [0.5]}}, "^factor is 0.5"),
        ({"images": 2, "values": {"factor": [4]}}, "unknown configuration key 'factor' .did you mean 'factors'"),
        ({"images": 2, "values": {"same_modality": False, "cross_modality": False}}, "^same_modality and cross_mod"),
        ({"images": 2, "values": {"targets": ["t3"]}}, "t3"),
        ({"images": 2, "values": {"dataset_dir": "nowhere"}, "dataset_dir": None}, "nowhere.*does not exist"),
        ({"images": 2, "config": "nowhere/train.json"}, "config_file 'nowhere/train.json' does not exist"),
        ({"images": 2, "config": str(Path(CONFIG).with_name("inference.json"))}, "inference.json' has no section"),
    ],
)
def test_wrong_arguments_are_refused(folder, tmp_path, given, message):
    if "dataset_dir" in given:
        given = {name: value for name, value in given.items() if name != "dataset_dir"}
        folder = "nowhere"
    with pytest.raises((ValueError, OSError), match=message):
        run(folder, tmp_path / "out", **given)


def test_a_misspelled_option_is_an_error_before_the_training(monkeypatch, tmp_path, capsys):
    words = ["--config_file", "none.json", "--output", str(tmp_path), "--minutes", "60", "--channel", "4,8"]
    monkeypatch.setattr("sys.argv", [str(SCRIPT), *words])
    with pytest.raises(SystemExit) as stop:
        runpy.run_path(str(SCRIPT), run_name="__main__")
    assert stop.value.code == 2
    assert "--channel." in capsys.readouterr().err
