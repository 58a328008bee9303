"""Selection of the worst, the median and the best case for the page, within its budget."""

import json
import re

import pytest

from unicoal_components.report.evaluation import read_evaluation
from unicoal_components.report.viewer import viewed_cases, viewer_content


@pytest.fixture
def stored(evaluation):
    evaluation.write()
    evaluation.store()
    return evaluation


def size(evaluation, stem, *names):
    return sum((evaluation.folder / "cases" / stem / f"{name}.nii.gz").stat().st_size for name in names)


def test_worst_median_and_best_are_chosen_with_all_that_is_stored(stored):
    cases = viewed_cases(read_evaluation(stored.folder), count=3)
    assert [case.rank for case in cases] == ["worst", "median", "best"]
    stems = stored.stems()
    chosen = [case.files["truth"].parent.name for case in cases]
    assert chosen[0] == stems[0] and chosen[1] in stems[2:4] and chosen[2] == stems[-1]
    assert all(list(case.files) == ["input", "ours", "cubic", "truth"] for case in cases)


def test_one_case_is_the_worst_and_none_is_none(stored):
    read = read_evaluation(stored.folder)
    assert [case.rank for case in viewed_cases(read, count=1)] == ["worst"]
    assert viewed_cases(read, count=0) == []


def test_only_cases_whose_volumes_are_whole_count(stored):
    stems = stored.stems()
    (stored.folder / "cases" / stems[0] / "truth.nii.gz").unlink()
    cases = viewed_cases(read_evaluation(stored.folder), count=2)
    assert [case.files["truth"].parent.name for case in cases] == [stems[1], stems[-1]]


def test_the_budget_takes_the_ends_first_and_other_methods_last(stored):
    stems = stored.stems()
    needed = size(stored, stems[0], "input", "ours", "truth") + size(stored, stems[-1], "input", "ours", "truth")
    cases = viewed_cases(read_evaluation(stored.folder), count=3, budget=needed)
    assert [case.rank for case in cases] == ["worst", "best"]
    assert all(list(case.files) == ["input", "ours", "truth"] for case in cases)
    assert all(case.left_out == ["cubic"] for case in cases)


def test_the_first_case_is_taken_however_large(stored):
    assert [case.rank for case in viewed_cases(read_evaluation(stored.folder), count=3, budget=1)] == ["worst"]


def test_input_methods_and_truth_are_columns_on_one_scale(stored):
    content = viewer_content(read_evaluation(stored.folder), count=1)
    (scene,) = re.findall(r'<script type="application/json" id="scene-0">(.*?)</script>', content["part"], re.S)
    columns = json.loads(scene)["columns"]
    assert [[layer["name"] for layer in column["layers"]] for column in columns] == [
        ["input"],
        ["ours", "cubic"],
        ["truth"],
    ]
    layers = [layer for column in columns for layer in column["layers"]]
    assert {(*layer["window"], layer["linked"], layer["type"]) for layer in layers} == {(0.0, 1.0, "all", "uint8")}


def test_a_damaged_volume_is_named(stored):
    path = stored.folder / "cases" / stored.stems()[0] / "truth.nii.gz"
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(OSError, match="truth.nii.gz"):
        viewer_content(read_evaluation(stored.folder), count=1)
