"""The report of an evaluation, checked against its own ingredients."""

import csv
import json
import logging

import numpy as np
import pytest
import torch
from monai.data import DataLoader
from monai.engines import SupervisedEvaluator

from unicoal_components.data.cases import CaseDataset
from unicoal_components.data.hdf5 import write_subject
from unicoal_components.engines.case_report import CaseReport
from unicoal_components.engines.prepare_batch import PrepareVolume
from unicoal_components.inferers.interpolation import cubic_interpolation, nearest_slices
from unicoal_components.metrics.image_quality import image_quality

CASES = [{"source": "t1", "target": "t1", "factor": 2}, {"source": "t1", "target": "t2", "factor": 3.3}]


@pytest.fixture
def dataset(tmp_path):
    data = []
    depth, height, width = np.indices((12, 16, 14))
    for seed in range(3):
        t1 = 120 + 80 * np.sin(depth / 2 + seed) * np.cos(height / 5) + width
        path = tmp_path / f"p{seed}.h5"
        write_subject(
            path,
            volumes={"t1": t1.astype(np.uint8), "t2": (250 - 0.5 * t1).astype(np.uint8)},
            affine=np.eye(4),
            intensity={"t1": (0, 1), "t2": (0, 1)},
            sources={"t1": "", "t2": ""},
        )
        data.append({"subject": f"site/p{seed}", "path": str(path)})
    return CaseDataset(data=data, modalities=["t1", "t2"], cases=CASES)


def inferer(inputs, network, factor, indices, **conditions):
    return network(nearest_slices(inputs[0, 0], float(factor), indices[0]))[None, None]


def evaluate(dataset, report, *, decollate=True, network=None):
    SupervisedEvaluator(
        device=torch.device("cpu"),
        val_data_loader=DataLoader(dataset, batch_size=1),
        network=torch.nn.Identity() if network is None else network,
        prepare_batch=PrepareVolume(),
        inferer=inferer,
        decollate=decollate,
        val_handlers=[report],
    ).run()


def read(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("decollate", [True, False])
def test_every_subject_case_and_method_has_a_row_with_its_quality(dataset, tmp_path, decollate):
    evaluate(dataset, CaseReport(output_dir=tmp_path / "out", panels=0), decollate=decollate)
    rows = read(tmp_path / "out" / "per_subject.csv")
    assert list(rows[0]) == ["subject", "source", "target", "factor", "method", "psnr", "ssim", "mae"]
    assert len(rows) == 3 * 2 * 4
    item = dataset[3]
    by_method = {r["method"]: r for r in rows if (r["subject"], r["factor"]) == ("site/p1", "3.3")}
    cubic = cubic_interpolation(item["image"][0], 3.3, item["indices"])
    expected = image_quality(prediction=cubic, target=item["label"][0])
    assert {m: float(by_method["cubic"][m]) for m in expected} == pytest.approx(expected, rel=1e-4)
    assert by_method["ours"]["psnr"] == by_method["copy"]["psnr"]


def test_the_affine_row_is_least_squares(dataset, tmp_path):
    evaluate(dataset, CaseReport(output_dir=tmp_path / "out", panels=0, baselines=["affine"]))
    rows = [r for r in read(tmp_path / "out" / "per_subject.csv") if r["method"] == "affine"]
    item = dataset[1]
    x = cubic_interpolation(item["image"][0], 3.3, item["indices"]).clamp(-1, 1).numpy()
    slope, offset = np.polyfit(x.ravel(), item["label"].numpy().ravel(), 1)
    expected = image_quality(prediction=slope * x + offset, target=item["label"][0])
    assert float(rows[1]["psnr"]) == pytest.approx(expected["psnr"], rel=1e-4)


def test_the_summary_is_the_mean_and_population_deviation_over_subjects(dataset, tmp_path, caplog):
    with caplog.at_level(logging.INFO):
        evaluate(dataset, CaseReport(output_dir=tmp_path / "out", panels=0))
    psnr = [
        float(r["psnr"])
        for r in read(tmp_path / "out" / "per_subject.csv")
        if (r["target"], r["method"]) == ("t2", "cubic")
    ]
    rows = json.loads((tmp_path / "out" / "summary.json").read_text())["rows"]
    (row,) = [r for r in rows if (r["target"], r["method"]) == ("t2", "cubic")]
    assert row["n"] == 3
    assert row["psnr_mean"] == pytest.approx(np.mean(psnr), rel=1e-5)
    assert row["psnr_std"] == pytest.approx(np.std(psnr), rel=1e-4)
    assert len(read(tmp_path / "out" / "summary.csv")) == len(rows) == 8
    assert "t1 → t2 ×3.3" in caplog.text


def test_panels_are_drawn_for_the_first_subjects_only(dataset, tmp_path):
    evaluate(dataset, CaseReport(output_dir=tmp_path / "out", panels=2, baselines=[]))
    assert sorted(p.name for p in (tmp_path / "out" / "panels").iterdir()) == [
        f"site_p{n}_t1_to_{case}.png" for n in (0, 1) for case in ("t1_x2", "t2_x3.3")
    ]
    assert {r["method"] for r in read(tmp_path / "out" / "per_subject.csv")} == {"ours"}


def test_two_methods_share_a_table_when_merged(dataset, tmp_path):
    evaluate(dataset, CaseReport(output_dir=tmp_path / "out", panels=0))
    evaluate(dataset, CaseReport(output_dir=tmp_path / "out", panels=0, method="unet", baselines=[], merge=True))
    rows = read(tmp_path / "out" / "per_subject.csv")
    assert {r["method"] for r in rows} == {"ours", "unet", "copy", "cubic", "affine"}
    assert len(rows) == 3 * 2 * 5
    evaluate(dataset, CaseReport(output_dir=tmp_path / "out", panels=0, method="unet", baselines=[]))
    assert {r["method"] for r in read(tmp_path / "out" / "per_subject.csv")} == {"unet"}


def test_a_perfect_prediction_leaves_valid_json(dataset, tmp_path):
    dataset.items = [(subject, case) for subject, case in dataset.items if case.source == case.target][:1]
    perfect = dataset[0]["label"][0]
    report = CaseReport(output_dir=tmp_path / "out", panels=0, baselines=[])
    evaluate(dataset, report, network=lambda _: perfect)
    (row,) = json.loads((tmp_path / "out" / "summary.json").read_text())["rows"]
    assert row["psnr_mean"] is None
    assert row["mae_mean"] == 0
    assert read(tmp_path / "out" / "summary.csv")[0]["psnr_mean"] == "inf"


def test_a_batch_without_the_keys_of_a_case_is_an_error_that_names_them(dataset, tmp_path):
    dataset.transform = lambda item: {k: v for k, v in item.items() if k != "subject"}
    with pytest.raises(ValueError, match="lacks subject"):
        evaluate(dataset, CaseReport(output_dir=tmp_path))


def test_a_folder_that_cannot_be_made_is_an_error_before_any_case(dataset, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OSError, match="file"):
        evaluate(dataset, CaseReport(output_dir=tmp_path / "file" / "out"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"baselines": ["linear"]}, "'linear'.*allowed are copy, cubic, affine"),
        ({"method": "cubic"}, "method is 'cubic'"),
        ({"panels": -1}, "panels is -1"),
    ],
)
def test_wrong_options_are_refused(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        CaseReport(output_dir=tmp_path, **options)
