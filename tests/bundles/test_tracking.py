"""`--tracking mlflow`: what a run logs is what it measured, and nothing lies about afterwards."""

import csv
import json

import numpy as np
import pytest
from mlflow import MlflowClient
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """An empty working directory."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def tracked_runs(output_dir):
    """The runs in the database of a folder, oldest first, each with {metric: [(step, value)]}."""
    client = MlflowClient(f"sqlite:///{output_dir}/mlruns.db")
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    runs = sorted(client.search_runs(experiments), key=lambda run: run.info.start_time)
    return [(run, {name: history(client, run, name) for name in run.data.metrics}) for run in runs]


def history(client, run, name):
    return [(entry.step, entry.value) for entry in client.get_metric_history(run.info.run_id, name)]


def written_for_tensorboard(output_dir):
    scalars = {}
    for path in sorted((output_dir / "tensorboard").iterdir()):
        events = EventAccumulator(str(path)).Reload()
        scalars |= {name: [(e.step, e.value) for e in events.Scalars(name)] for name in events.Tags()["scalars"]}
    return scalars


def test_training_and_evaluation_are_two_runs_with_the_measured_values(bundle, cohort, tmp_path, elsewhere):
    output = tmp_path / "out"
    options = {"dataset_dir": str(cohort), "output_dir": str(output), "ckpt_path": str(tmp_path / "model.pt")}
    options |= {"tracking": "mlflow", "evaluation_panels": 0}
    bundle.run("train.json", max_epochs=2, **options)
    expected = written_for_tensorboard(output)
    bundle.run("train.json", "evaluate.json", evaluation_baselines=[], evaluation_slice_step=7, **options)
    bundle.run("train.json", max_epochs=3, **options)

    (training, curves), (evaluation, results), (continued, further) = tracked_runs(output)
    assert [run.info.status for run in (training, evaluation, continued)] == ["FINISHED"] * 3
    assert (training.data.params["max_epochs"], training.data.params["epoch_length"]) == ("2", "4")
    for name, shown in (("train_loss", "loss"), ("lr_group_0", "learning_rate")):
        assert curves[name] == pytest.approx(np.array(expected[shown]), rel=1e-6), name
    for name in ("train_psnr", "val_psnr"):
        assert [step for step, _ in curves[name]] == [1, 2]
        assert curves[name] == pytest.approx(np.array(expected[name]), rel=1e-6), name
    assert [step for step, _ in further["val_psnr"]] == [3]

    with open(output / "evaluation" / "per_subject.csv", newline="", encoding="utf-8") as file:
        psnr = [float(row["psnr"]) for row in csv.DictReader(file)]
    assert results.keys() == {"strict_psnr", "val_psnr"}
    assert results["strict_psnr"] == [(1, pytest.approx(np.mean(psnr), abs=1e-3))]
    configs = [json.loads(path.read_text()) for path in sorted(output.glob("config_*.json"))]
    assert configs
    assert all(config["output_dir"] == str(output) for config in configs)
    assert list(elsewhere.iterdir()) == []


def test_inference_is_a_run_that_ends(bundle, weights, scan, tmp_path, elsewhere):
    options = {"input": str(scan), "ckpt_path": str(weights), "output_dir": str(tmp_path / "out")}
    bundle.run("inference.json", tracking="mlflow", save_execute_config=False, **options)
    ((run, metrics),) = tracked_runs(tmp_path / "out")
    assert (run.info.status, run.data.params["epoch_length"], metrics) == ("FINISHED", "1", {})
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["mlruns.db", "t1_t2.json", "t1_t2.nii.gz"]
    assert list(elsewhere.iterdir()) == []


def test_settings_of_ones_own_may_bring_keys_of_their_own(bundle, weights, scan, tmp_path):
    settings = tmp_path / "tracking.json"
    configs = {"ward": "three", "save_execute_config": False, "evaluator": {"_target_": "ignite.handlers.Timer"}}
    identifiers = {"evaluator": {"id": "evaluator", "handlers": "handlers"}}
    settings.write_text(json.dumps({"handlers_id": identifiers, "configs": configs}))
    options = {"input": str(scan), "ckpt_path": str(weights), "output_dir": str(tmp_path / "out")}
    bundle.run("inference.json", tracking=str(settings), **options)
    assert (tmp_path / "out" / "t1_t2.nii.gz").is_file()
    assert "unknown configuration key 'ward'" in bundle.mistake("inference.json", ward="three", **options)
