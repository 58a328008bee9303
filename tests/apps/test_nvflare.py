"""What a site of a federation trains with, and the comparison; whole federations where NVFlare is installed."""

import csv
import importlib.util
import io
import json
import re
import shlex
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from unicoal_components.datasets.datalist import write_datalist
from unicoal_components.simulation.cohort import simulate_cohort

ROOT = Path(__file__).parents[2]
APP = ROOT / "apps" / "nvflare"
BUNDLE = ROOT / "bundles" / "unified"


@pytest.fixture
def module(monkeypatch):
    """Import a module of the app, which finds its neighbors."""
    monkeypatch.syspath_prepend(APP)
    loaded = set(sys.modules)
    yield importlib.import_module
    for name in {"job", "site_training", "site_values", "comparison_table"} - loaded:
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


@pytest.mark.parametrize(
    ("bundle", "cases"),
    [
        ("unified", {("t1", "t1", 4), ("flair", "flair", 4), ("t1", "flair", 1), ("flair", "t1", 1)}),
        ("sr", {("t1", "t1", 4), ("flair", "flair", 4)}),
        ("cms", {("t1", "flair", 1), ("flair", "t1", 1)}),
        ("cmsr", {("t1", "flair", 4), ("flair", "t1", 4)}),
    ],
)
def test_a_site_evaluates_what_the_bundle_is_trained_for_of_its_modalities(module, tmp_path, bundle, cases):
    write_datalist(tmp_path / "datalist.json", sections={}, modalities=["t1", "flair"])
    found = module("site_values").site_cases(bundle=ROOT / "bundles" / bundle, dataset_dir=tmp_path, values={})
    assert {(case["source"], case["target"], case["factor"]) for case in found} == cases
    kept = module("site_values").site_cases(bundle=BUNDLE, dataset_dir=tmp_path, values={"cross_modality": False})
    assert [case["target"] for case in kept] == ["t1", "flair"]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"rounds": 0}, "rounds is 0"),
        ({"local_epochs": 0}, "local_epochs is 0"),
        ({"values": {"images_per_epock": 1}}, "images_per_epoch"),
        ({"dataset_dir": "gone"}, "gone.datalist"),
        ({"bundle": "gone"}, "gone"),
    ],
)
def test_what_is_wrong_at_a_site_is_named_before_the_federation_starts(module, tmp_path, given, words):
    write_datalist(tmp_path / "datalist.json", sections={}, modalities=["t1"])
    right = {"bundle": str(BUNDLE), "dataset_dir": str(tmp_path), "output_dir": "OUT", "rounds": 1, "local_epochs": 1}
    right |= {"values": {}, "with_data": True}
    module("site_values").check_settings(**right)
    with pytest.raises((ValueError, OSError), match=words):
        module("site_values").check_settings(**right | given)


def test_the_table_has_a_line_for_each_case_and_a_column_for_each_of_the_weights(module):
    table = module("comparison_table")
    summary = "source,target,factor,method,psnr_mean\nt1,t2,1,ours,20.04\nt1,t2,1,affine,18.5\nt1,t2,1,copy,3\n"
    rows = table.rows_of(io.StringIO(summary), site="a", weights="initial", with_baselines=True)
    rows += table.rows_of(io.StringIO(summary), site="a", weights="global", with_baselines=False)
    assert [row["weights"] for row in rows] == ["initial", "affine", "global"]
    assert table.text_table(rows).splitlines()[::2] == [
        "| case | initial | affine | global |",
        "| a: t1 to t2, factor 1 | 20.04 | 18.50 | 20.04 |",
    ]


def test_a_federation_that_ends_early_tells_the_reason_of_the_server(module, tmp_path):
    log = tmp_path / "unicoal" / "server" / "error_log.txt"
    log.parent.mkdir(parents=True)
    reason = "round 1: 1 of 2 sites have sent weights, and min_sites is 2"
    context = "2026-11-29 19:21:35,281 - ServerRunner - ERROR - [identity=simulator_server, wf=controller] - "
    log.write_text(f"{context}first\nTraceback\n{context}Aborting: RuntimeError: {reason}\n  at line 1\n")
    assert module("job").reason_of(tmp_path) == reason


HAS_NVFLARE = importlib.util.find_spec("nvflare") is not None
needs_nvflare = pytest.mark.skipif(not HAS_NVFLARE, reason="needs nvflare: apps/nvflare/requirements.txt")


@pytest.mark.skipif(HAS_NVFLARE, reason="needs an environment without nvflare")
def test_an_environment_without_nvflare_is_told_in_one_line_with_the_command_that_makes_one(tmp_path):
    command = [sys.executable, APP / "job.py", "--sites", "a=A,b=B", "--output", tmp_path]
    run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert run.returncode == 1 and run.stderr.startswith("error:") and len(run.stderr.splitlines()) == 1
    assert "apps/nvflare/requirements.txt" in run.stderr and not list(tmp_path.iterdir())


@needs_nvflare
def test_the_exported_job_holds_each_sites_settings_and_the_code_that_runs_there(tmp_path):
    sites = {name: str(tmp_path / name) for name in ("north", "south")}
    command = [sys.executable, APP / "job.py", "--sites", json.dumps(sites), "--output", tmp_path / "out"]
    subprocess.run([*command, "--bundle", BUNDLE, "--rounds", "4", "--write_job"], check=True, timeout=300)
    for name, dataset_dir in sites.items():
        custom = next((tmp_path / "out" / "job").rglob(f"*{name}*/custom"))
        settings = json.loads((custom / "settings.json").read_text())
        assert (settings["dataset_dir"], settings["rounds"]) == (dataset_dir, 4)
        for file in ("client.py", "site_training.py", "site_values.py"):
            assert (custom / file).read_bytes() == (APP / file).read_bytes()
    server = next((tmp_path / "out" / "job").rglob("app_server"))
    assert (server / "custom" / "federated_averaging.py").read_bytes() == (APP / "federated_averaging.py").read_bytes()
    (workflow,) = json.loads((server / "config" / "config_fed_server.json").read_text())["workflows"]
    assert workflow["args"].items() >= {"num_clients": 2, "num_rounds": 4, "min_sites": 1}.items()


QUICK = "images_per_epoch=16,num_workers=0,cross_modality=False"


@pytest.fixture(scope="module")
def federation(tmp_path_factory):
    """The federation of the README with two small sites; the training of site-2 is killed in the first round."""
    folder = tmp_path_factory.mktemp("federation")
    for seed, name in enumerate("AB"):
        simulate_cohort(output=folder / name, subjects=3, split=(1, 1, 1), spacing=8.0, seed=seed)
    text = (APP / "README.md").read_text(encoding="utf-8")
    job, compare = re.findall(r"^    \S+/python (apps/nvflare/(?:job|compare)\.py .*)$", text, flags=re.MULTILINE)
    options = re.sub(r"--rounds \d+ --values \S+", f"--rounds 2 --values {QUICK}", job)
    for place in ("apps", "bundles"):
        (folder / place).symlink_to(ROOT / place)
    with (folder / "log").open("w") as log:
        process = subprocess.Popen([sys.executable, *shlex.split(options)], cwd=folder, stdout=log, stderr=log)
    kill_training("site-2", folder / "OUT", while_running=process)
    assert process.wait(1800) == 0, (folder / "log").read_text()
    return folder, compare


def kill_training(site, output, *, while_running):
    """Kill the process in which a site trains, as soon as there is one."""
    import psutil  # NVFlare needs it

    while while_running.poll() is None:
        for process in psutil.process_iter(["cmdline", "cwd"]):
            command, place = process.info["cmdline"] or [], Path(process.info["cwd"] or "/")
            if "custom/client.py" in command and place.is_relative_to(output / "simulation" / "unicoal" / site):
                process.kill()
                return
        time.sleep(0.1)


@needs_nvflare
def test_a_site_whose_training_is_killed_misses_a_round_and_comes_back_in_the_next(federation):
    folder, _ = federation
    log = (folder / "OUT" / "simulation" / "unicoal" / "server" / "log.txt").read_text()
    assert re.findall(r"Aggregated (\d/\d) results", log) == ["1/2", "1/2", "2/2"]
    weights = [torch.load(folder / "OUT" / f"{name}.pt", weights_only=True) for name in ("initial", "global")]
    assert any(not torch.equal(value, weights[1][name]) for name, value in weights[0].items())


@needs_nvflare
def test_the_comparison_of_the_readme_has_each_sites_own_training_on_all_sites(federation):
    folder, compare = federation
    subprocess.run([sys.executable, *shlex.split(compare)], cwd=folder, check=True, timeout=1800)
    with open(folder / "OUT" / "comparison.csv", newline="") as table:
        found = {(row["site"], row["weights"]) for row in csv.DictReader(table)}
    named = {"initial", "global", "site-1 alone", "site-2 alone", "cubic", "affine"}
    assert found == {(site, weights) for site in ("site-1", "site-2") for weights in named}
