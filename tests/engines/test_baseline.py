"""The baseline learns, keeps to its budget, and is found again."""

import json

import pytest
import torch
from torch.utils.data import SequentialSampler

from unicoal_components.engines.baseline import load_baseline, save_baseline, train_baseline
from unicoal_components.networks.unet import BaselineUNet


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
        }


def train(count=64, **options):
    torch.manual_seed(0)
    dataset = list(slices(count))
    network = BaselineUNet(num_modalities=2, channels=(8, 16))
    options = {"batch_size": 4, "learning_rate": 0.02, "make_sampler": lambda n: SequentialSampler(range(n))} | options
    return network, train_baseline(network, dataset=dataset, device="cpu", **options)


def test_it_learns_and_counts_its_images():
    _, result = train(images=256, count=256)
    assert result["images_seen"] == 256
    assert result["loss"] < 0.25


def test_time_ends_the_training_too():
    _, result = train(minutes=1e-6, make_sampler=lambda n: SequentialSampler(range(64)))
    assert result["images_seen"] == 4


@pytest.mark.parametrize("budget", [{}, {"images": 0}, {"minutes": -1}, {"images": 8, "minutes": 0}])
def test_a_budget_must_be_given_and_positive(budget):
    with pytest.raises(ValueError, match="all positive"):
        train(**budget)


@pytest.fixture
def saved(tmp_path):
    torch.manual_seed(0)
    network = BaselineUNet(num_modalities=2, channels=(4, 8)).eval()
    settings = {"modalities": ["t1", "t2"], "in_channels": 4, "channels": [4, 8], "residual": True}
    save_baseline(network, tmp_path / "unet.pt", settings=settings)
    return network, tmp_path / "unet.pt"


def test_what_is_saved_comes_back_and_answers_the_same(saved):
    network, path = saved
    again = load_baseline(path=path, modalities=["t1", "t2"])
    image = torch.rand(2, 4, 16, 16)
    same = torch.tensor([True, False])
    assert torch.equal(again(image, same_modality=same), network(image, same_modality=same))
    assert not again.training


def test_no_path_is_no_network():
    assert load_baseline(path=None, modalities=["t1"]) is None


def test_other_modalities_are_refused_with_the_option_that_trains_the_right_ones(saved):
    with pytest.raises(ValueError, match=r"unet.pt' knows the modalities \['t1', 't2'\].*--modalities t2,t1"):
        load_baseline(path=saved[1], modalities=["t2", "t1"])


def test_other_slice_groups_are_refused_with_the_option_that_trains_the_right_ones(saved):
    with pytest.raises(ValueError, match=r"unet.pt' sees groups of 4 slices, the method of 6.*--slice_group_size 6"):
        load_baseline(path=saved[1], modalities=["t1", "t2"], in_channels=6)


@pytest.mark.parametrize("content", ["{}", "[]", "no json", '{"modalities": ["a"], "channels": [4]}'])
def test_a_description_that_is_none_is_refused_by_name(saved, content):
    saved[1].with_suffix(".json").write_text(content)
    with pytest.raises(ValueError, match=r"unet.json' does not describe a U-Net"):
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
