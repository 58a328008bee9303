"""The report of an evaluation, checked against its own ingredients."""

import csv
import json
import logging
import re

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.data import DataLoader
from monai.engines import SupervisedEvaluator

from unicoal_components.datasets.case_sampler import CaseSampler
from unicoal_components.datasets.cases import CaseDataset
from unicoal_components.datasets.hdf5 import write_subject
from unicoal_components.evaluation import evaluation_record
from unicoal_components.evaluation.case_evaluation import evaluated_slices
from unicoal_components.evaluation.case_report import CaseReport
from unicoal_components.evaluation.case_store import CaseStore
from unicoal_components.evaluation.evaluation_record import EvaluationRecord
from unicoal_components.evaluation.segmenter import segmenter_file
from unicoal_components.files.atomic import atomic_path
from unicoal_components.interruption import advice
from unicoal_components.metrics.foreground import foreground
from unicoal_components.metrics.measure import Column
from unicoal_components.metrics.strict import StrictProtocol, strict_protocol
from unicoal_components.report.html_report import write_report
from unicoal_components.slices.interpolation import cubic_interpolation, nearest_slices
from unicoal_components.training.prepare_batch import PrepareVolume

CASES = [{"source": "t1", "target": "t1", "factor": 2}, {"source": "t1", "target": "t2", "factor": 3.3}]
BASELINES = ["copy", "cubic", "affine"]


def affine_of(spacing):
    return np.array([[-spacing, 0, 0, 5], [0, -spacing, 0, 6], [0, 0, spacing, 7], [0, 0, 0, 1.0]])


@pytest.fixture
def data(tmp_path):
    data = []
    depth, height, width = np.indices((12, 16, 14))
    for seed in range(3):
        t1 = 120 + 80 * np.sin(depth / 2 + seed) * np.cos(height / 5) + width
        t1[:, :2] = t1[:, :, -2:] = 0
        path = tmp_path / f"p{seed}.h5"
        write_subject(
            path,
            volumes={"t1": t1.astype(np.uint8), "t2": np.where(t1, 250 - 0.5 * t1, 0).astype(np.uint8)},
            affine=affine_of(2.0),
            intensity={"t1": (0, 1), "t2": (0, 1)},
            sources={"t1": "", "t2": ""},
        )
        data.append({"subject": f"p{seed}", "path": str(path)})
    return data


@pytest.fixture
def dataset(data):
    return CaseDataset(data=data, modalities=["t1", "t2"], cases=CASES)


def inferer(inputs, network, factor, indices, **conditions):
    return network(nearest_slices(inputs[0, 0], float(factor), indices[0]))[None, None]


class Asked(torch.nn.Module):
    """A network that counts how often it is called."""

    def __init__(self, function=lambda x: x):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.function, self.count = function, 0

    def forward(self, x):
        self.count += 1
        return self.function(x)


def evaluate(dataset, folder, *, decollate=True, network=None, use=inferer, **options):
    report = CaseReport(output_dir=folder, dataset=dataset, **{"panels": 0, "baselines": BASELINES} | options)
    evaluator = SupervisedEvaluator(
        device=torch.device("cpu"),
        val_data_loader=DataLoader(
            dataset, batch_size=1, sampler=CaseSampler(dataset=dataset, finished=report.finished)
        ),
        network=Asked() if network is None else network,
        prepare_batch=PrepareVolume(),
        inferer=use,
        decollate=decollate,
        val_handlers=[report],
    )
    if len(dataset) > len(report.finished):
        evaluator.run()
    return evaluator, report


def read(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("decollate", [True, False])
def test_every_subject_case_and_method_has_a_row_with_its_quality(dataset, tmp_path, decollate):
    evaluate(dataset, tmp_path / "out", decollate=decollate)
    rows = read(tmp_path / "out" / "per_subject.csv")
    assert list(rows[0])[:6] == ["subject", "source", "target", "factor", "axis", "method"]
    assert len(rows) == 3 * 2 * 4
    item = dataset[3]
    by_method = {r["method"]: r for r in rows if (r["subject"], r["factor"]) == ("p1", "3.3")}
    cubic = cubic_interpolation(item["image"][0], 3.3, item["indices"]).clamp(-1, 1)
    expected = strict_protocol(prediction=cubic, target=item["label"][0])
    assert {m: float(by_method["cubic"][m]) for m in expected} == pytest.approx(expected, rel=1e-4)
    assert by_method["ours"]["psnr"] == by_method["copy"]["psnr"]


def test_super_resolution_counts_only_slices_that_were_not_in_the_input(dataset, tmp_path):
    evaluate(dataset, tmp_path / "out")
    (row,) = [
        r
        for r in read(tmp_path / "out" / "per_subject.csv")
        if (r["subject"], r["factor"], r["method"]) == ("p0", "2", "copy")
    ]
    item = dataset[0]
    copy = nearest_slices(item["image"][0], 2.0, item["indices"])
    between = strict_protocol(prediction=copy, target=item["label"][0], evaluated_slices=np.arange(1, 12, 2))
    assert float(row["psnr"]) == pytest.approx(between["psnr"], rel=1e-4)
    assert between["psnr"] != pytest.approx(strict_protocol(prediction=copy, target=item["label"][0])["psnr"], rel=1e-3)


def test_the_affine_row_is_least_squares_in_the_foreground(dataset, tmp_path):
    evaluate(dataset, tmp_path / "out", baselines=["affine"])
    rows = [r for r in read(tmp_path / "out" / "per_subject.csv") if r["method"] == "affine"]
    item = dataset[1]
    x = cubic_interpolation(item["image"][0], 3.3, item["indices"]).clamp(-1, 1).numpy()
    target = item["label"][0].numpy()
    inside = foreground(target=target)
    slope, offset = np.polyfit(x[inside], target[inside], 1)
    mapped = np.where(inside, slope * x + offset, x)
    expected = strict_protocol(prediction=np.clip(mapped, -1, 1), target=target)
    assert float(rows[1]["psnr"]) == pytest.approx(expected["psnr"], rel=1e-4)


def test_the_summary_is_the_mean_over_subjects_and_the_engines_metric_that_over_cases(dataset, tmp_path, caplog):
    with caplog.at_level(logging.INFO):
        engine, _ = evaluate(dataset, tmp_path / "out")
    rows = read(tmp_path / "out" / "per_subject.csv")
    psnr = [float(r["psnr"]) for r in rows if (r["target"], r["method"]) == ("t2", "cubic")]
    summary = read(tmp_path / "out" / "summary.csv")
    (row,) = [r for r in summary if (r["target"], r["method"]) == ("t2", "cubic")]
    assert row["n"] == "3"
    assert float(row["psnr_mean"]) == pytest.approx(np.mean(psnr), rel=1e-5)
    assert float(row["psnr_std"]) == pytest.approx(np.std(psnr), rel=1e-4)
    assert len(summary) == 8
    assert "t1 → t2 ×3.3" in caplog.text
    ours = [float(r["psnr"]) for r in rows if r["method"] == "ours"]
    assert engine.state.metrics["strict_psnr"] == pytest.approx(np.mean(ours), rel=1e-5)
    compared = read(tmp_path / "out" / "comparisons.csv")
    assert {r["baseline"] for r in compared} == set(BASELINES)


def test_another_network_gets_the_same_input_and_rows_of_its_own(dataset, tmp_path):
    unet = Asked(lambda x: -x)
    evaluate(dataset, tmp_path / "out", networks={"unet": unet, "absent": None}, inferer=inferer)
    rows = read(tmp_path / "out" / "per_subject.csv")
    assert [r["method"] for r in rows[:5]] == ["ours", *BASELINES, "unet"]
    item = dataset[1]
    negative = -nearest_slices(item["image"][0], 3.3, item["indices"])
    expected = strict_protocol(prediction=negative, target=item["label"][0])["psnr"]
    assert float(rows[9]["psnr"]) == pytest.approx(expected, rel=1e-4)
    assert unet.count == 6


def test_panels_are_drawn_for_the_first_subjects_only(dataset, tmp_path):
    evaluate(dataset, tmp_path / "out", panels=2)
    assert sorted(p.name for p in (tmp_path / "out" / "panels").iterdir()) == [
        f"p{n}_t1_to_{case}.png" for n in (0, 1) for case in ("t1_x2", "t2_x3.3")
    ]


def test_volumes_have_the_position_of_the_scan(dataset, tmp_path):
    evaluate(dataset, tmp_path / "out", volumes=True)
    folder = tmp_path / "out" / "cases" / "p1_t1_to_t1_x2"
    assert sorted(p.name for p in folder.glob("*.nii.gz")) == [
        "cubic.nii.gz",
        "input.nii.gz",
        "ours.nii.gz",
        "truth.nii.gz",
    ]
    truth, thick = (nib.load(folder / f"{name}.nii.gz") for name in ("truth", "input"))
    item = dataset[2]
    np.testing.assert_allclose(truth.affine, affine_of(2.0))
    np.testing.assert_allclose(thick.affine, affine_of(2.0) @ np.diag([1, 1, 2, 1]))
    np.testing.assert_allclose(truth.get_fdata().transpose(2, 1, 0), (item["label"][0] + 1) / 2, atol=1e-6)
    np.testing.assert_allclose(thick.get_fdata().transpose(2, 1, 0), (item["image"][0] + 1) / 2, atol=2e-3)


@pytest.mark.parametrize(("plane", "axis"), [("coronal", 1), ("sagittal", 2)])
def test_along_another_axis_rows_volumes_and_panels_are_those_of_the_volume_turned_there(tmp_path, plane, axis):
    """A volume whose axes are exchanged has, along the exchanged axis, the same quality; volumes come back in place."""
    depth, height, width = np.indices((14, 16, 12))
    t1 = (120 + 80 * np.sin(depth / 2) * np.cos(height / 5) + width).astype(np.uint8)
    t1[:, :2] = t1[:, :, -2:] = t1[:1] = 0
    rows = {}
    for name, stack, where in (("turned", np.moveaxis(t1, axis, 0), "axial"), ("asis", t1, plane)):
        path = tmp_path / f"{name}.h5"
        write_subject(
            path,
            volumes={"t1": np.ascontiguousarray(stack)},
            affine=affine_of(2.0),
            intensity={"t1": (0, 1)},
            sources={"t1": ""},
            thin_axes={"t1": (0, 1, 2)},
        )
        case = {"source": "t1", "target": "t1", "factor": 2, "axis": where}
        made = CaseDataset(data=[{"subject": "p", "path": str(path)}], modalities=["t1"], cases=[case])
        evaluate(made, tmp_path / name, volumes=True, panels=1)
        rows[name] = read(tmp_path / name / "per_subject.csv")
    for turned, asis in zip(rows["turned"], rows["asis"], strict=True):
        assert (turned["axis"], asis["axis"], turned["method"]) == ("axial", plane, asis["method"])
        assert float(turned["psnr"]) == pytest.approx(float(asis["psnr"]), abs=1e-3)
    stem = f"p_t1_to_t1_x2_{plane}"
    assert (tmp_path / "asis" / "panels" / f"{stem}.png").is_file()
    truth, thick = (nib.load(tmp_path / "asis" / "cases" / stem / f"{name}.nii.gz") for name in ("truth", "input"))
    np.testing.assert_array_equal(np.rint(truth.get_fdata().transpose(2, 1, 0) * 255), t1)
    np.testing.assert_allclose(truth.affine, affine_of(2.0))
    scale = [1.0, 1.0, 1.0, 1.0]
    scale[2 - axis] = 2.0
    np.testing.assert_allclose(thick.affine, affine_of(2.0) @ np.diag(scale))
    assert thick.shape[2 - axis] == (t1.shape[axis] - 1) // 2 + 1
    assert "t1 → t1 ×2 " + plane in write_report(tmp_path / "asis").read_text(encoding="utf-8")


def test_a_perfect_prediction_is_infinite_in_the_table(dataset, tmp_path):
    dataset.items = [(subject, case) for subject, case in dataset.items if case.source == case.target][:1]
    perfect = dataset[0]["label"][0]
    evaluate(dataset, tmp_path / "out", baselines=[], network=Asked(lambda _: perfect))
    (row,) = read(tmp_path / "out" / "summary.csv")
    assert (row["psnr_mean"], row["mae_mean"], row["ssim_mean"]) == ("inf", "0", "1")


def test_a_stopped_evaluation_resumes_with_the_same_results(dataset, data, tmp_path):
    first = Asked(lambda x: x if first.count < 4 else stop())

    def stop():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluate(dataset, tmp_path / "parts", network=first, resume=True)
    assert re.fullmatch(rf"3 of \d+ cases are in '{tmp_path}/parts/cases'; the same command continues.", advice())
    second = Asked()
    _, report = evaluate(dataset, tmp_path / "parts", network=second, resume=True)
    assert (report.finished, second.count) == ({0, 1, 2}, 3)
    evaluate(dataset, tmp_path / "whole")
    for name in ("per_subject.csv", "summary.csv", "comparisons.csv"):
        assert (tmp_path / "parts" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


@pytest.mark.parametrize("change", ["weights", "options", "wiring", "code", "baselines", "data", "nothing", "resume"])
def test_only_cases_with_unchanged_inputs_are_not_repeated(dataset, data, tmp_path, monkeypatch, change):
    weights = tmp_path / "model.pt"
    weights.write_text("one")
    options = {"resume": True, "baselines": BASELINES}
    run = {"weights": weights, "options": {"profile": "box"}}
    evaluate(dataset, tmp_path / "out", record=EvaluationRecord(**run), **options)
    if change == "weights":
        weights.write_text("two")
    elif change == "options":
        run["options"] = {"profile": "gaussian"}
    elif change == "wiring":
        run["wiring"] = {"validate::inferer": {"overlap": 0.5}}
    elif change == "code":
        monkeypatch.setattr(evaluation_record, "code_checksum", lambda: "of another version")
    elif change == "baselines":
        options["baselines"] = ["copy"]
    elif change == "resume":
        options["resume"] = False
    elif change == "data":
        with open(data[0]["path"], "ab") as file:
            file.write(b"0")
    network = Asked()
    evaluate(dataset, tmp_path / "out", network=network, record=EvaluationRecord(**run), **options)
    assert network.count == {"nothing": 0, "data": 2}.get(change, 6)


def test_panels_and_volumes_of_an_earlier_evaluation_are_removed(dataset, tmp_path):
    evaluate(dataset, tmp_path / "out", panels=None, volumes=True)
    evaluate(dataset, tmp_path / "out", panels=1, network=Asked(lambda x: 0.5 * x))
    assert [path.name for path in sorted((tmp_path / "out" / "panels").iterdir())] == [
        *("p0_t1_to_t1_x2.png", "p0_t1_to_t2_x3.3.png")
    ]
    assert list((tmp_path / "out" / "cases").glob("*/*.nii.gz")) == []


def test_cases_whose_panels_are_wanted_later_are_repeated(dataset, tmp_path):
    evaluate(dataset, tmp_path / "out", resume=True)
    network = Asked()
    evaluate(dataset, tmp_path / "out", resume=True, panels=1, network=network)
    assert network.count == 2
    evaluate(dataset, tmp_path / "out", resume=True, panels=1, volumes=True, network=network)
    assert network.count == 2 + 6


def test_a_changed_segmenter_counts_though_its_name_is_the_same(data, tmp_path):
    code = tmp_path / "seg.py"
    identities = []
    for text in ("one", "two", "two"):
        code.write_text(text)
        record = EvaluationRecord(files={"segmenter": segmenter_file(f"{code}:segment"), "lpips_backbone": None})
        identities.append(record.identity(path=data[0]["path"]))
    assert identities[0] != identities[1] == identities[2]


def test_a_measure_that_could_not_compute_is_repeated_when_it_can(dataset, tmp_path):
    class Late(StrictProtocol):
        note = "the package is not installed"

    evaluate(dataset, tmp_path / "out", resume=True, measures=[Late()])
    network = Asked()
    evaluate(dataset, tmp_path / "out", resume=True, measures=[StrictProtocol()], network=network)
    assert network.count == 6


def test_volumes_that_another_process_is_writing_are_left_alone(tmp_path):
    store = CaseStore(tmp_path)
    with atomic_path(tmp_path / "case" / "truth.nii.gz") as partial:
        partial.write_bytes(b"half")
        assert not store.has_volumes("case")
        store.remove_volumes("case")
    assert (tmp_path / "case" / "truth.nii.gz").read_bytes() == b"half"
    assert store.has_volumes("case")


def test_slices_that_the_input_has_do_not_count_within_a_modality():
    case = {"source": "t1", "target": "t1", "factor": 2.0}
    with pytest.raises(ValueError, match="no evaluated slice lies between"):
        evaluated_slices([0, 2], case)
    assert evaluated_slices([0, 1], case | {"target": "t2"}) is None
    assert evaluated_slices([0, 1, 3], case).tolist() == [1, 2]


def test_several_latent_codes_give_a_calibration(dataset, tmp_path):
    def two(inputs, network, **given):
        mean = inferer(inputs, network, **given)
        return torch.cat([mean, 0.1 + mean.abs()], dim=1)

    evaluate(dataset, tmp_path / "out", use=two)
    content = json.loads((tmp_path / "out" / "calibration.json").read_text())
    assert len(content["cases"]) == 6
    assert set(content["cases"][0]) == {
        *("subject", "source", "target", "factor", "axis"),
        *("spearman", "scale", "gap"),
    }
    assert len(content["observed"]) == len(content["nominal"])
    evaluate(dataset, tmp_path / "out")
    assert not (tmp_path / "out" / "calibration.json").exists()  # results of an earlier evaluation are removed


class Parts:
    """A measure with a table of its own."""

    columns = (Column("dice", "Dice"),)
    note = "why not"
    details = ({"class": 1, "dice": 0.5, "volume_prediction_ml": 1.0, "volume_truth_ml": 2.0},)

    def __call__(self, case):
        return {"dice": float("nan")}


def test_details_of_a_measure_reach_tables_and_record(dataset, data, tmp_path):
    record = EvaluationRecord(section="test", marks=["mind"], configuration={"seed": 3}, slice_step=2)
    evaluate(dataset, tmp_path / "out", measures=[Parts()], record=record)
    assert read(tmp_path / "out" / "per_subject.csv")[0]["dice"] == ""
    rows = read(tmp_path / "out" / "segmentation.csv")
    assert (len(rows), rows[0]["method"], rows[0]["volume_truth_ml"]) == (24, "ours", "2")
    run = json.loads((tmp_path / "out" / "run.json").read_text())
    assert run["notes"] == {"dice": "why not"}
    assert run["methods"] == ["ours", *BASELINES]
    assert [mark.split()[0] for mark in run["marks"]] == ["mind", "About"]
    assert [entry["subject"] for entry in run["data"]] == ["p0", "p1", "p2"]
    assert (run["configuration"], run["columns"][0]["name"]) == ({"seed": 3}, "dice")


def test_a_case_that_cannot_be_measured_is_an_error_that_names_it(dataset, tmp_path):
    with pytest.raises(ValueError, match=r"subject 'p0' \(.*p0.h5\), t1 → t1 ×2: .*NaN"):
        evaluate(dataset, tmp_path / "out", network=Asked(lambda x: x * torch.nan))


def test_cases_left_out_are_recorded(data, tmp_path):
    cases = [*CASES, {"source": "t1", "target": "pd", "factor": 1}]
    dataset = CaseDataset(data=data[:1], modalities=["t1", "t2", "pd"], cases=cases, skip_missing=True)
    evaluate(dataset, tmp_path / "out")
    (mark,) = json.loads((tmp_path / "out" / "run.json").read_text())["marks"]
    assert mark == "1 of 3 cases left out for 'p0', which has no modality pd; it holds t1, t2."


def test_a_batch_without_the_keys_of_a_case_is_an_error_that_names_them(dataset, tmp_path):
    dataset.transform = lambda item: {k: v for k, v in item.items() if k != "subject"}
    with pytest.raises(ValueError, match="lacks subject"):
        evaluate(dataset, tmp_path / "out")


def test_a_folder_that_cannot_be_made_is_an_error_before_any_case(dataset, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OSError, match="file"):
        evaluate(dataset, tmp_path / "file" / "out")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"baselines": ["spline"]}, "'spline'.*copy, linear, cubic, affine"),
        ({"method": "cubic"}, "'cubic' cannot name"),
        ({"networks": {"ours": Asked()}, "inferer": inferer}, "'ours' cannot name"),
        ({"networks": {"unet": Asked()}}, "inferer"),
        ({"panels": -1}, "panels is -1"),
    ],
)
def test_wrong_options_are_refused(dataset, tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        CaseReport(output_dir=tmp_path, dataset=dataset, **options)
