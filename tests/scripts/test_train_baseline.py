"""The command line of the baseline."""

import csv
import runpy
from pathlib import Path

import numpy as np
import pytest
import torch

from unicoal_components.data.datalist import write_datalist
from unicoal_components.data.hdf5 import write_subject

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
    small = {"resolution": 16, "channels": (4, 8), "batch_size": 2, "device": "cpu", "cases": "t1:t2:2,t2:t2:3"}
    main(datalist=str(datalist), output=str(output), **(small | options))


def test_it_trains_saves_evaluates_and_evaluates_again_from_the_file(datalist, tmp_path):
    run(datalist, tmp_path / "out", images=4)
    reports = [tmp_path / "out" / "evaluation", tmp_path / "again"]
    assert set(torch.load(tmp_path / "out" / "unet.pt", weights_only=True))
    assert list((reports[0] / "panels").iterdir())
    run(datalist, tmp_path / "out", weights=str(tmp_path / "out" / "unet.pt"), report=str(reports[1]))
    tables = []
    for report in reports:
        with open(report / "per_subject.csv", newline="", encoding="utf-8") as file:
            tables.append([row for row in csv.DictReader(file) if row["method"] == "unet"])
    assert tables[0] == tables[1]
    assert [(row["subject"], row["target"], row["factor"]) for row in tables[0]] == [("b", "t2", "2"), ("b", "t2", "3")]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"images": 4, "cases": "t1:t2"}, "'t1:t2' is not source:target:factor"),
        ({"images": 4, "cases": "t1:t9:2"}, "target 't9' is unknown"),
        ({}, "give images, minutes or both"),
        ({"weights": "unet.pt", "cases": ()}, "no cases"),
    ],
)
def test_wrong_arguments_are_refused(datalist, tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        run(datalist, tmp_path / "out", **options)


def test_weights_of_another_network_are_refused_with_the_way_out(datalist, tmp_path):
    torch.save({"unet.model.0.weight": torch.zeros(1)}, tmp_path / "other.pt")
    with pytest.raises(ValueError, match=r"other.pt' do not fit.*unet.json"):
        run(datalist, tmp_path / "out", weights=str(tmp_path / "other.pt"))


def test_a_misspelled_option_is_told_before_the_training(monkeypatch, tmp_path, capsys):
    words = ["--datalist", "none.json", "--output", str(tmp_path), "--minutes", "60", "--case", "t1:t2:4"]
    monkeypatch.setattr("sys.argv", [str(SCRIPT), *words])
    with pytest.raises(SystemExit) as stop:
        runpy.run_path(str(SCRIPT), run_name="__main__")
    assert stop.value.code == 2
    assert "unknown option '--case'" in capsys.readouterr().err
