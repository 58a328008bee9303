"""The command line of the equivariance."""

import csv
import json
import math
import runpy
from pathlib import Path

import numpy as np
import pytest
import torch

from unicoal_components.datasets.datalist import write_datalist
from unicoal_components.datasets.hdf5 import write_subject
from unicoal_components.networks.generator import Generator

REPOSITORY = Path(__file__).parents[2]
SIZES = {"resolution": 32, "num_layers": 4, "channel_base": 128, "channel_max": 4, "w_dim": 8, "image_style_dim": 8}
SIZES |= {"core_resolution": 16, "detail_channels": 4, "detail_blocks": 1}
OPTIONS = {"position_embedding": "fourier", "residual": True, "interpolated_input": True, "acquisition": True}
OPTIONS |= {"error_output": True, "contrast_curve": True}


@pytest.fixture
def main(monkeypatch):
    monkeypatch.syspath_prepend(str(REPOSITORY / "tools"))
    return runpy.run_path(str(REPOSITORY / "tools" / "measure_equivariance.py"))["main"]


@pytest.fixture
def bundle(tmp_path):
    """A bundle of a tiny network, with weights."""
    config = json.loads((REPOSITORY / "bundles" / "unified" / "configs" / "inference.json").read_text())
    folder = tmp_path / "bundle"
    for name in ("configs", "models"):
        (folder / name).mkdir(parents=True)
    (folder / "configs" / "inference.json").write_text(json.dumps(config | SIZES))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = Generator(**SIZES, **OPTIONS, num_modalities=4, dropout=0)
        for parameter in [*network.within.parameters(), *network.across.parameters()]:  # of which some start with zeros
            torch.nn.init.normal_(parameter, std=0.1)
    torch.save(network.state_dict(), folder / "models" / "model.pt")
    return folder


@pytest.fixture
def datalist(tmp_path):
    rng = np.random.default_rng(0)
    entries = []
    for name in ("a", "b"):
        axis = np.arange(40) - 19.5
        blob = 255 * np.exp(-((np.hypot(axis, axis[:, None]) / 9) ** 2))
        volumes = {m: (blob * rng.uniform(0.5, 1, (12, 1, 1))).astype(np.uint8) for m in ("t1", "t2")}
        path = tmp_path / f"{name}.h5"
        named = dict.fromkeys(volumes, "")
        write_subject(path, volumes=volumes, affine=np.eye(4), intensity=dict.fromkeys(volumes, (0, 1)), sources=named)
        entries.append({"subject": name, "path": path.name})
    write_datalist(tmp_path / "datalist.json", sections={"test": entries}, modalities=["t1", "t2"])
    return tmp_path / "datalist.json"


def run(main, bundle, datalist, output, **options):
    main(bundle=str(bundle), datalist=str(datalist), output=str(output), margin=3, **({"images": 3} | options))
    result = json.loads((output / "equivariance.json").read_text())
    with open(output / "equivariance.csv", newline="", encoding="utf-8") as file:
        return result, list(csv.DictReader(file))


def test_options_of_the_network_are_taken_and_recorded(main, bundle, datalist, tmp_path):
    results = [
        run(main, bundle, datalist, tmp_path / str(rate), options={"encoder_lrelu_upsampling": rate})[0]
        for rate in (1, 2)
    ]
    assert [result["options"] for result in results] == [{"encoder_lrelu_upsampling": rate} for rate in (1, 2)]
    first, second = (result["networks"]["alias_free"]["equivariance"] for result in results)
    assert first != second


def test_three_networks_are_measured_and_drawn(main, bundle, datalist, tmp_path):
    weights = str(bundle / "models" / "model.pt")
    result, rows = run(main, bundle, datalist, tmp_path / "out", plain=weights)
    assert list(result["networks"]) == ["alias_free", "plain_same_weights", "plain_trained"]
    assert result["subjects"] == ["a", "b"]
    assert len(rows) == 3 * 3 * 3
    assert all(math.isfinite(float(row["decibels"])) for row in rows)
    # the same weights with the same filters are the same network
    same, trained = (result["networks"][name] for name in ("plain_same_weights", "plain_trained"))
    assert same == trained
    assert result["networks"]["alias_free"]["equivariance"] != same["equivariance"]
    assert result["ceiling"]["translation"] is None
    assert result["ceiling"]["rotation"] > 40
    assert len(same["sweep"]["steps"]) == 64
    assert (tmp_path / "out" / "equivariance.png").stat().st_size > 1000


def test_within_one_modality_the_network_alone_is_measured_too(main, bundle, datalist, tmp_path):
    result, rows = run(main, bundle, datalist, tmp_path / "out", source="t2", factor=3, images=2)
    assert {row["part"] for row in rows} == {"whole", "network"}
    found = {(row["part"], row["kind"], row["mode"]): float(row["decibels"]) for row in rows[:18]}
    # the interpolation is exactly equivariant to whole shifts, so it adds nothing to the error
    for mode in ("still", "moved"):
        expected = pytest.approx(found["network", "translation", mode], abs=1e-3)
        assert found["whole", "translation", mode] == expected


def test_a_held_style_and_a_moved_input_make_a_difference(main, bundle, datalist, tmp_path):
    _, rows = run(main, bundle, datalist, tmp_path / "out")
    found = [row["decibels"] for row in rows if (row["network"], row["kind"]) == ("alias_free", "translation")]
    assert len(set(found)) == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"images": 0}, "images is 0"),
        ({"target": "t9"}, "target 't9' is unknown"),
        ({"weights": "none.pt"}, "no weights at none.pt"),
        ({"bundle": "nowhere"}, "give the folder of a bundle"),
    ],
)
def test_wrong_arguments_are_refused(main, bundle, datalist, tmp_path, options, message):
    arguments = {"bundle": str(bundle), "datalist": str(datalist), "output": str(tmp_path / "out")}
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        main(**(arguments | options))
