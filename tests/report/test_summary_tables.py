"""Tables of the report, against the CSV files."""

import math
import re

import pytest


@pytest.fixture
def section(shown):
    return lambda evaluation: shown(evaluation, "results")


def rows(page, method):
    """Return the cells of a method's rows, one list each, as markup."""
    found = re.findall(rf'<tr[^>]*><th scope="row">{method}(?:<small.*?)?</th>(.*?)</tr>', page)
    return [re.findall(r"<td[^>]*>(.*?)</td>", row) for row in found]


def test_a_cell_holds_mean_deviation_and_interval(evaluation, section):
    cell = rows(section(evaluation), "ours")[0][1]
    assert cell.startswith("<b>23.00</b> ± 0.82")  # of 24, 23, 22: population
    assert "[22.00, 24.00]" in cell


def test_our_rows_are_highlighted_and_no_others(evaluation, section):
    page = section(evaluation)
    assert len(re.findall(r'<tr class="ours"><th scope="row">ours', page)) == 2 * 3  # cases and groups of columns
    assert page.count('<tr class="ours">') == 6


def test_the_best_mean_is_bold_and_an_oracle_does_not_compete(evaluation, section):
    page = section(evaluation)
    ours, cubic, affine = (rows(page, name)[0] for name in ("ours", "cubic", "affine"))
    assert "<b>" in ours[1] and "<b>" in ours[2]  # PSNR higher, NMSE lower
    assert not any("<b>" in cell for cell in cubic + affine)


def test_an_oracle_that_is_as_good_as_the_best_is_not_bold(evaluation, section):
    evaluation.rows = [r | {"psnr": 20.0} if r["method"] == "affine" else r for r in evaluation.per_subject()]
    evaluation.rows = [r | {"psnr": 20.0} if r["method"] == "ours" else r for r in evaluation.rows]
    page = section(evaluation)
    assert "<b>" in rows(page, "ours")[0][1] and "<b>" not in rows(page, "affine")[0][1]
    overview = page[page.index("All cases") : page.index("<h4>")]
    assert rows(overview, "t1 → t2 ×4")[0][2] == "20.00"


def test_where_no_test_was_made_no_mark_is_explained(evaluation, section):
    evaluation.subjects = ["p1"]
    untested = {"low": "", "high": "", "p": "", "p_holm": ""}
    evaluation.comparisons = [evaluation.comparison("psnr", "", n=1, **untested)]
    page = section(evaluation)
    assert "★" not in page and "No test: one subject allows none" in page


def test_an_oracle_is_marked_in_every_table(evaluation, section):
    page = section(evaluation)
    mark = 'affine<small class="oracle"> knows the truth</small></th>'
    assert page.count(f'<th scope="row">{mark}') == 2 * 3  # cases and groups of columns
    assert page.count(f'<th scope="col">{mark}') == 1  # overview
    assert page.count("knows the truth</small>") == 7


def test_of_a_ratio_the_nearest_to_1_is_best(evaluation, section):
    other = {name: rows(section(evaluation), name)[1] for name in ("ours", "cubic")}
    assert "<b>" in other["ours"][1] and "<b>" not in other["cubic"][1]  # 1.08 and 1.24


def test_a_mark_is_shown_if_the_comparison_has_a_verdict(evaluation, section):
    evaluation.comparisons.append(evaluation.comparison("psnr", "worse", baseline="affine"))
    page = section(evaluation)
    first = {name: rows(page, name)[0] for name in ("cubic", "affine", "ours")}
    assert "★" in first["cubic"][1] and "▼" not in first["cubic"][1]
    assert "p = 0.250, after Holm p = 0.040" in first["cubic"][1]
    assert "▼" in first["affine"][1]
    assert "★" not in first["cubic"][2] and "★" not in first["ours"][1]
    assert "★" not in rows(page, "cubic")[3][1]  # the other case


def test_few_subjects_are_shown_with_the_p_they_can_reach(evaluation, section):
    page = section(evaluation)
    assert "smallest p that 3 subjects can reach is 0.25" in page
    assert "2 comparisons 0.5: no difference, however clear, could have got a mark" in page


def test_enough_subjects_are_not_discouraged(evaluation, section):
    evaluation.subjects = [f"p{k}" for k in range(9)]
    page = section(evaluation)
    assert "9 subjects can reach is 0.00391, after the correction for 2 comparisons 0.00781." in page
    assert "could have got" not in page


def test_one_subject_has_no_test_and_no_deviation(evaluation, section):
    evaluation.subjects, evaluation.comparisons = ["p1"], []
    page = section(evaluation)
    assert "No test: one subject allows none" in page
    assert rows(page, "ours")[0][1].startswith("<b>24.00</b><small")


def test_an_empty_column_is_left_out_and_the_reason_is_given(evaluation, section):
    page = section(evaluation)
    assert "<li><b>LPIPS</b>: its weights are not there</li>" in page
    assert page.count("LPIPS") == 1


def test_a_column_without_numbers_is_not_listed_as_compared(evaluation, section):
    empty = {"difference": "", "low": "", "high": "", "p": "", "p_holm": ""}
    evaluation.comparisons.append(evaluation.comparison("lpips", "", **empty))
    page = section(evaluation)
    assert "Compared: PSNR, NMSE. " in page
    assert "<summary>2 comparisons in numbers" in page


def test_infinite_and_missing_means_are_shown_as_such(evaluation, section):
    evaluation.rows = evaluation.per_subject()
    for row in evaluation.rows:
        if row["method"] == "cubic":
            row["psnr"] = math.inf
        if row["method"] == "affine" and row["factor"] == 4.0:
            row["nmse"] = ""
    page = section(evaluation)
    assert rows(page, "cubic")[0][1].startswith("<b>∞</b> ± –")
    assert rows(page, "affine")[0][2] == "–"


def test_strict_measures_come_first_and_the_papers_last(evaluation, section):
    page = section(evaluation)
    titles = re.findall("<h4>(.*?)</h4>", page)
    assert titles == 2 * ["Strict protocol", "Other measures", "The paper&#39;s protocol"]


def test_the_overview_has_a_row_for_each_case(evaluation, section):
    page = section(evaluation)
    overview = page[page.index("All cases") : page.index("<h4>")]
    assert rows(overview, "t1 → t2 ×4")[0][0] == "<b>23.00</b>"
    assert "★" in rows(overview, "t1 → t2 ×4")[0][1]
    assert len(rows(overview, "t1 → t1 ×3.3")[0]) == 3
