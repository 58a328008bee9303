"""Reading of an evaluation's folder, and its errors."""

import math

import pytest

from unicoal_components.report.evaluation import read_evaluation


def test_numbers_are_numbers_and_empty_cells_are_nan(evaluation):
    evaluation.rows = evaluation.per_subject()
    evaluation.rows[0]["psnr"], evaluation.rows[3]["psnr"] = math.inf, math.nan
    read = read_evaluation(evaluation.write())
    assert read.per_subject[0]["psnr"] == math.inf
    assert math.isnan(read.per_subject[3]["psnr"]) and math.isnan(read.per_subject[0]["lpips"])
    assert read.per_subject[0]["subject"] == "p1" and read.per_subject[0]["factor"] == 4.0
    assert [column.name for column in read.columns][:2] == ["psnr", "nmse"]
    assert read.calibration is None and read.segmentation == []


def test_cases_are_ranked_from_the_worst_and_those_without_a_number_come_last(evaluation):
    evaluation.rows = evaluation.per_subject()
    ours = [row for row in evaluation.rows if row["method"] == "ours"]
    ours[0]["psnr"], ours[1]["psnr"] = math.nan, math.inf
    ranked = read_evaluation(evaluation.write()).ranked
    assert [row["psnr"] for row in ranked[:5]] == [21.75, 22.0, 22.75, 23.75, math.inf]
    assert math.isnan(ranked[5]["psnr"])


def test_a_folder_without_run_json_names_the_command_that_makes_one(tmp_path):
    with pytest.raises(FileNotFoundError, match="no run.json.*unicoal evaluate"):
        read_evaluation(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda e: e.run.pop("method"), "lacks method"),
        (lambda e: e.run.update(schema=2), "has schema 2, not 1"),
        (lambda e: e.run.update(columns=[{"name": "psnr"}]), "columns in .* hold"),
        (lambda e: e.run.update(columns=[{"name": "a", "label": "A", "better": "more"}]), "better 'more'"),
    ],
)
def test_a_wrong_run_json_is_refused(evaluation, change, message):
    change(evaluation)
    with pytest.raises(ValueError, match=message):
        read_evaluation(evaluation.write())


def test_broken_json_and_a_word_for_a_number_are_refused_with_the_position(evaluation):
    folder = evaluation.write()
    evaluation.table("per_subject.csv", [row | {"psnr": "high"} for row in evaluation.per_subject()])
    with pytest.raises(ValueError, match=r"psnr in .*per_subject.csv, line 2 is 'high'"):
        read_evaluation(folder)
    evaluation.table("per_subject.csv", [{"subject": "p1"}])
    with pytest.raises(ValueError, match="lacks the columns source, target, factor, method, psnr"):
        read_evaluation(folder)
    (folder / "run.json").write_text("{")
    with pytest.raises(ValueError, match="is no JSON"):
        read_evaluation(folder)
