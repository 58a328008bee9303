"""Selection of the worst, the median and the best case for the page, within its budget."""

from pathlib import Path

import pytest

from unicoal_components.report.evaluation import read_evaluation
from unicoal_components.report.viewer import LICENSE, viewed_cases, viewer_content


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


@pytest.mark.parametrize("there", [True, False])
def test_code_in_the_working_directory_comes_with_its_license(stored, tmp_path, monkeypatch, there):
    (tmp_path / "dist").mkdir()
    monkeypatch.chdir(tmp_path / "dist")
    Path("niivue.umd.js").write_text("")
    (tmp_path / "LICENSE.md").write_text("theirs") if there else None
    content = viewer_content(read_evaluation(stored.folder), viewer=Path("niivue.umd.js"), count=1)
    assert content["license"] == ("theirs" if there else LICENSE.read_text(encoding="utf-8"))
