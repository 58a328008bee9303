"""Baseline networks learn within their budget, and are saved and loaded."""

import json
import time

import pytest
import torch
from torch.utils.data import SequentialSampler

from unicoal_components.evaluation.baseline import load_baseline, read_settings, save_baseline
from unicoal_components.networks.trunk import ResidualTrunk
from unicoal_components.networks.unet import BaselineUNet
from unicoal_components.training.baseline_training import train_baseline


def slices(count):
    """The target is the negative of the anchor slice."""
    generator = torch.Generator().manual_seed(0)
    for _ in range(count):
        image = torch.rand(4, 16, 16, generator=generator) * 2 - 1
        zero = torch.tensor(0)
        yield {
            "image": image,
            "label": -image[1:2],
            "modality": zero,
            "source_modality": zero,
            "position": torch.tensor(0.0),
            "factor": torch.tensor(1.0),
            "thickness": torch.tensor(1.0),
        }


def train(count=64, **options):
    torch.manual_seed(0)
    network = BaselineUNet(num_modalities=2, channels=(8, 16), acquisition=True)
    options = {"batch_size": 4, "learning_rate": 0.02, "make_sampler": lambda n: SequentialSampler(range(n))} | options
    return network, train_baseline(network, **({"dataset": list(slices(count)), "device": "cpu"} | options))


def test_it_learns_and_counts_its_images():
    _, result = train(images=256, count=256)
    assert result["images_seen"] == 256
    assert result["loss"] < 0.25


def test_time_ends_the_training_too():
    _, result = train(minutes=1e-6, make_sampler=lambda n: SequentialSampler(range(64)))
    assert result["images_seen"] == 4


def test_the_time_that_counts_is_that_of_the_processor():
    class Waiting(list):
        def __getitem__(self, index):
            time.sleep(0.05)
            return super().__getitem__(index)

    _, result = train(images=16, dataset=Waiting(slices(16)))
    assert result["images_seen"] == 16 and result["seconds"] < 0.6


@pytest.mark.parametrize("budget", [{}, {"images": 0}, {"minutes": -1}, {"images": 8, "minutes": 0}])
def test_a_budget_must_be_given_and_positive(budget):
    with pytest.raises(ValueError, match="all positive"):
        train(**budget)


SETTINGS = {
    "unet": {"modalities": ["t1", "t2"], "in_channels": 4, "channels": [4, 8], "residual": True},
    "trunk": {"kind": "trunk", "modalities": ["t1", "t2"], "in_channels": 4, "channels": 6, "num_blocks": 2},
}


@pytest.fixture
def saved(tmp_path):
    """Save a U-Net as in the first versions, when it was the only kind."""
    torch.manual_seed(0)
    network = BaselineUNet(num_modalities=2, channels=(4, 8)).eval()
    save_baseline(network, tmp_path / "unet.pt", settings=SETTINGS["unet"])
    return network, tmp_path / "unet.pt"


def assert_the_same(network, again):
    image, same = torch.rand(2, 4, 16, 16), torch.tensor([True, False])
    given = {"same_modality": same, "source_modality": torch.tensor([1, 0]), "factor": torch.tensor([2.0, 5.0])}
    assert torch.equal(again(image, **given), network(image, **given))
    assert not again.training


def test_a_u_net_with_old_settings_is_loaded_with_the_same_output(saved):
    network, path = saved
    again = load_baseline(path=path, modalities=["t1", "t2"])
    assert_the_same(network, again)
    assert not again.acquisition and read_settings(path)["kind"] == "unet"


def test_each_kind_is_loaded_with_the_same_output(tmp_path):
    networks = {
        "unet": BaselineUNet(num_modalities=2, channels=(4, 8), acquisition=True),
        "trunk": ResidualTrunk(num_modalities=2, channels=6, num_blocks=2),
    }
    for kind, network in networks.items():
        torch.nn.init.normal_(network.trunk.tail.weight if kind == "trunk" else network.head.weight)
        settings = SETTINGS[kind] | ({"kind": "unet", "acquisition": True} if kind == "unet" else {})
        save_baseline(network.eval(), tmp_path / f"{kind}.pt", settings=settings)
        again = load_baseline(path=tmp_path / f"{kind}.pt", modalities=["t1", "t2"])
        assert type(again) is type(network)
        assert_the_same(network, again)


def test_no_path_is_no_network():
    assert load_baseline(path=None, modalities=["t1"]) is None


def test_other_modalities_are_refused_with_a_hint(saved):
    with pytest.raises(ValueError, match=r"unet.pt' .*\['t1', 't2'\].*train_baseline.py --config_file"):
        load_baseline(path=saved[1], modalities=["t2", "t1"])


def test_other_slice_groups_are_refused_with_a_hint(saved):
    with pytest.raises(ValueError, match=r"unet.pt' .* 4 slices.* 6; .*train_baseline.py --config_file"):
        load_baseline(path=saved[1], modalities=["t1", "t2"], in_channels=6)


@pytest.mark.parametrize(
    "content", ["{}", "[]", "no json", '{"modalities": ["a"], "channels": [4]}', '{"kind": "transformer"}']
)
def test_an_invalid_description_is_refused_by_name(saved, content):
    saved[1].with_suffix(".json").write_text(content)
    with pytest.raises(ValueError, match=r"unet.json' does not describe a baseline"):
        load_baseline(path=saved[1], modalities=["t1", "t2"])


def test_weights_without_a_description_are_refused_by_name(saved):
    saved[1].with_suffix(".json").unlink()
    with pytest.raises(FileNotFoundError, match=r"unet.json' does not exist.*train_baseline"):
        load_baseline(path=saved[1], modalities=["t1", "t2"])


def test_weights_of_another_width_are_refused(saved):
    path = saved[1].with_suffix(".json")
    path.write_text(json.dumps(json.loads(path.read_text()) | {"channels": [4, 16]}))
    with pytest.raises(ValueError, match=r"unet.pt does not fit"):
        load_baseline(path=saved[1], modalities=["t1", "t2"])
