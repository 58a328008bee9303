"""Evaluation as a user runs it: refused on whom the training has seen, with a U-Net, a segmenter and several codes."""

import csv
import json
import runpy

import pytest
import torch

from unicoal_components.datasets.training_record import read_record, read_selected_by

CASES = [{"source": "t1", "target": "t2", "factor": 4}]


@pytest.fixture
def options(cohort, weights, tmp_path):
    return {
        "dataset_dir": str(cohort),
        "output_dir": str(tmp_path / "out"),
        "ckpt_path": str(weights),
        "test_cases": CASES,
        "evaluation_baselines": ["cubic"],
        "num_workers": 0,
    }


def rows(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_all_rows_and_measures_are_in_one_run(bundle, cohort, options, tmp_path):
    train = runpy.run_path(str(bundle.root.parents[1] / "scripts" / "train_baseline.py"))["main"]
    train(
        config_file=str(bundle.configs / "train.json"),
        dataset_dir=str(cohort),
        output=str(tmp_path),
        images=2,
        options={"batch_size": 2, "resolution": 32},
        device="cpu",
    )
    (tmp_path / "bright.py").write_text("def segment(volume):\n    return (volume[0, 0] > 0.6).long()\n")
    more = {"unet": str(tmp_path / "unet.pt"), "segmenter": f"{tmp_path}/bright.py:segment", "evaluation_samples": 2}
    bundle.run("train.json", "evaluate.json", **(options | more))
    folder = tmp_path / "out" / "evaluation"
    assert [row["method"] for row in rows(folder / "per_subject.csv")] == ["ours", "cubic", "unet"]
    assert all(0 <= float(row["dice"]) <= 1 and row["lpips"] == "" for row in rows(folder / "per_subject.csv"))
    assert {row["class"] for row in rows(folder / "segmentation.csv")} == {"1"}
    assert len(json.loads((folder / "calibration.json").read_text())["cases"]) == 1
    run = json.loads((folder / "run.json").read_text())
    assert (run["section"], run["configuration"]["unet"]) == ("test", more["unet"])
    assert set(run["notes"]) == {"lpips"}
    assert len(run["unet"]["sha256"]) == 64
    assert "segment" in (folder / "report.html").read_text(encoding="utf-8")


def test_whom_the_training_has_seen_is_refused_unless_told(bundle, options, tmp_path):
    words = bundle.mistake("train.json", "evaluate.json", **options, evaluation_section="training")
    assert "stands in section 'training'" in words and "--allow_training_subjects true" in words
    told = options | {"evaluation_section": "training", "allow_training_subjects": True}
    bundle.run("train.json", "evaluate.json", **told)
    marks = json.loads((tmp_path / "out" / "evaluation" / "run.json").read_text())["marks"]
    assert marks[0].startswith("Evaluated on subjects that were not held out")
    page = (tmp_path / "out" / "evaluation" / "report.html").read_text(encoding="utf-8")
    assert marks[0].split(" (")[0] in page


def test_a_stopped_evaluation_goes_on_with_the_same_network_only(bundle, options, tmp_path):
    def psnr(**more):
        bundle.run("train.json", "evaluate.json", **(options | more))
        return [row["psnr"] for row in rows(tmp_path / "out" / "evaluation" / "per_subject.csv")]

    first = psnr()
    result = next((tmp_path / "out" / "evaluation" / "cases").glob("*/result.json"))
    written = result.stat().st_mtime_ns
    assert psnr() == first and result.stat().st_mtime_ns == written
    assert psnr(**{"network_def#filters": "plain"}) != first
    assert psnr(**{"validate#inferer#overlap": 0.5}) and result.stat().st_mtime_ns > written


def test_a_training_tells_evaluations_whom_it_saw(bundle, cohort, tmp_path):
    paths = {"dataset_dir": str(cohort), "output_dir": str(tmp_path / "out"), "ckpt_path": str(tmp_path / "model.pt")}
    bundle.run("train.json", max_epochs=1, images_per_epoch=4, **paths)
    entries = json.loads((cohort / "datalist.json").read_text())
    assert list(read_record(tmp_path / "model.pt")) == [entry["subject"] for entry in entries["training"]]
    assert list(read_selected_by(tmp_path / "model.pt")) == [entry["subject"] for entry in entries["validation"]]
    swapped = entries | {"training": entries["test"], "test": entries["training"]}
    swapped = {
        k: [e | {"path": str(cohort / e["path"])} for e in v] if k in entries and k[0] in "tv" else v
        for k, v in swapped.items()
    }
    (tmp_path / "datalist.json").write_text(json.dumps(swapped))
    words = bundle.mistake("train.json", "evaluate.json", **paths, datalist=str(tmp_path / "datalist.json"))
    assert "model.training.json" in words


def test_a_modality_that_a_test_person_lacks_is_an_error_in_an_evaluation(bundle, options):
    asked = options | {
        "modalities": ["t1", "t2", "pd", "ct"],
        "test_cases": [{"source": "t1", "target": "ct", "factor": 1}],
    }
    assert "has no modality ct" in bundle.mistake("train.json", "evaluate.json", **asked)


def test_the_shipped_weights_tell_whom_they_were_trained_on(bundle):
    assert len(read_record(bundle.root / "models" / "model.pt")) == 151
    assert torch.load(bundle.root / "models" / "model.pt", weights_only=True)
