"""What a site of a federation trains with, and the table of the comparison; NVFlare where it is installed."""

import importlib.util
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from unicoal_components.datasets.datalist import write_datalist

ROOT = Path(__file__).parents[2]
APP = ROOT / "apps" / "nvflare"
BUNDLE = ROOT / "bundles" / "unified"


@pytest.fixture
def module(monkeypatch):
    """Import a module of the app, which finds its neighbors."""
    monkeypatch.syspath_prepend(APP)
    loaded = set(sys.modules)
    yield importlib.import_module
    for name in {"site_values", "comparison_table"} - loaded:
        sys.modules.pop(name, None)


def values_of(module, **given):
    given = {"epochs": 3, "values": {}} | given
    return module("site_values").training_values(
        bundle=BUNDLE, dataset_dir=Path("/data/a"), output_dir=Path("/kept"), **given
    )


def test_a_site_writes_outside_the_bundle_and_never_loads_a_checkpoint_over_the_servers_weights(module):
    values = values_of(module)
    assert values["resume"] is False
    assert values["ckpt_path"] == str(Path("/kept/model.pt"))
    assert values["output_dir"] == str(Path("/kept"))
    assert values["dataset_dir"] == str(Path("/data/a"))
    assert values["val_interval"] > values["max_epochs"] == 3


@pytest.mark.parametrize("epochs", [1, 3, 20, 50])
def test_the_schedule_of_the_learning_rate_ends_with_the_federation(module, epochs):
    values = values_of(module, epochs=epochs)
    assert values["constant_epochs"] + values["decay_epochs"] == pytest.approx(epochs)
    assert 0 < values["warmup_epochs"] < values["constant_epochs"]
    assert values_of(module, epochs=epochs, values={"decay_epochs": 0})["decay_epochs"] == 0


@pytest.mark.parametrize(
    ("name", "words"), [("images_per_epock", "did you mean 'images_per_epoch'"), ("resume", "'resume'")]
)
def test_a_value_that_is_unknown_or_the_federations_own_is_refused(module, name, words):
    with pytest.raises(ValueError, match=words):
        values_of(module, values={name: 1})


def test_a_site_evaluates_the_modalities_that_it_has(module, tmp_path):
    write_datalist(tmp_path / "datalist.json", sections={}, modalities=["t1", "flair"])
    cases = module("site_values").site_cases(tmp_path)
    found = {(case["source"], case["target"], case["factor"]) for case in cases}
    assert found == {("t1", "t1", 4), ("flair", "flair", 4), ("t1", "flair", 1), ("flair", "t1", 1)}


def test_settings_survive_json_with_absolute_paths(module):
    settings = module("site_values").site_settings(
        bundle="b", dataset_dir=Path("d"), output_dir="/o", rounds=3, values={"batch_size": 4}
    )
    paths = {"bundle": str(Path("b").absolute()), "dataset_dir": str(Path("d").absolute()), "output_dir": "/o"}
    assert json.loads(json.dumps(settings)) == paths | {"rounds": 3, "values": {"batch_size": 4}}


def test_the_table_has_a_line_for_each_case_and_a_column_for_each_of_the_weights(module):
    table = module("comparison_table")
    summary = "source,target,factor,method,psnr_mean\nt1,t2,1,ours,20.04\nt1,t2,1,affine,18.5\nt1,t2,1,copy,3\n"
    rows = table.rows_of(io.StringIO(summary), site="a", weights="initial", with_baselines=True)
    rows += table.rows_of(io.StringIO(summary), site="a", weights="global", with_baselines=False)
    assert [row["weights"] for row in rows] == ["initial", "affine", "global"]
    assert table.text_table(rows).splitlines()[::2] == [
        "| case | initial | affine | global |",
        "| a: t1 to t2, factor 1 | 20.0 | 18.5 | 20.0 |",
    ]


@pytest.mark.skipif(importlib.util.find_spec("nvflare") is None, reason="needs nvflare: apps/nvflare/requirements.txt")
def test_the_exported_job_holds_each_sites_settings_and_the_code_that_runs_there(tmp_path):
    sites = {name: str(tmp_path / name) for name in ("north", "south")}
    command = [sys.executable, APP / "job.py", "--sites", json.dumps(sites), "--output", tmp_path / "out"]
    subprocess.run([*command, "--bundle", BUNDLE, "--rounds", "4", "--write_job", "true"], check=True, timeout=300)
    for name, dataset_dir in sites.items():
        custom = next((tmp_path / "out" / "job").rglob(f"*{name}*/custom"))
        settings = json.loads((custom / "settings.json").read_text())
        assert (settings["dataset_dir"], settings["rounds"]) == (dataset_dir, 4)
        for file in ("client.py", "site_training.py", "site_values.py"):
            assert (custom / file).read_bytes() == (APP / file).read_bytes()
