"""The baseline learns, keeps to its budget and joins the method's report."""

import csv

import numpy as np
import pytest
import torch
from torch.utils.data import SequentialSampler

from unicoal_components.data.cases import CaseDataset
from unicoal_components.data.hdf5 import write_subject
from unicoal_components.engines.baseline import evaluate_baseline, train_baseline
from unicoal_components.inferers.volume import VolumeInferer
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


def test_its_rows_join_the_report_of_the_method(tmp_path):
    volume = np.random.default_rng(0).integers(0, 256, (6, 20, 14), dtype=np.uint8)
    path = tmp_path / "p.h5"
    write_subject(path, volumes={"t1": volume}, affine=np.eye(4), intensity={"t1": (0, 1)}, sources={"t1": ""})
    cases = CaseDataset(
        data=[{"subject": "p", "path": str(path)}],
        modalities=["t1", "t2"],
        cases=[{"source": "t1", "target": "t1", "factor": 2}],
    )
    (tmp_path / "per_subject.csv").write_text(
        "subject,source,target,factor,method,psnr,ssim,mae\np,t1,t1,2,ours,20,0.5,0.1\n"
    )
    network = BaselineUNet(num_modalities=2, channels=(4, 8))
    inferer = VolumeInferer(resolution=16)
    evaluate_baseline(network, cases=cases, inferer=inferer, device="cpu", output_dir=tmp_path)
    with open(tmp_path / "per_subject.csv", newline="", encoding="utf-8") as file:
        assert [row["method"] for row in csv.DictReader(file)] == ["unet", "ours"]
