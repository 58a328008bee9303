"""Summaries: means over subjects, their spread and interval, and their text table."""

import csv

import numpy as np
import pytest

from unicoal_components.metrics.measure import Column
from unicoal_components.report.rows import case_stem, row_fields, write_csv
from unicoal_components.report.summary import summarize, summary_fields, table

COLUMNS = [Column("psnr", "PSNR", "dB", digits=2), Column("mae", "MAE", better="lower", digits=4)]


def row(subject, target, method, psnr):
    case = {"subject": subject, "source": "t1", "target": target, "factor": 2.5, "method": method}
    return case | {"psnr": psnr, "mae": 0.25}


ROWS = [row("a", "t2", "ours", 20.0), row("a", "pd", "ours", 30.0), row("b", "t2", "ours", 24.0)]


def test_methods_of_one_case_are_grouped_even_when_their_rows_came_later():
    summary = summarize([*ROWS, row("a", "t2", "unet", 10.0)], columns=COLUMNS)
    assert [(r["target"], r["method"], r["n"]) for r in summary] == [
        ("t2", "ours", 2),
        ("t2", "unet", 1),
        ("pd", "ours", 1),
    ]
    assert list(summary[0]) == summary_fields(COLUMNS)


def test_the_deviation_is_the_populations_and_the_interval_holds_the_mean():
    rows = [row(name, "t2", "ours", value) for name, value in zip("abcd", (20, 22, 24, 30), strict=True)]
    (summary,) = summarize(rows, columns=COLUMNS)
    assert (summary["psnr_mean"], summary["psnr_std"]) == (24, pytest.approx(np.std([20, 22, 24, 30])))
    assert 20 < summary["psnr_low"] < 24 < summary["psnr_high"] < 30
    assert (summary["mae_std"], summary["mae_low"], summary["mae_high"]) == (0, 0.25, 0.25)


def test_one_subject_has_no_interval():
    (summary,) = summarize(ROWS[:1], columns=COLUMNS)
    assert (summary["n"], summary["psnr_mean"], summary["psnr_std"]) == (1, 20, 0)
    assert np.isnan([summary["psnr_low"], summary["psnr_high"]]).all()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_subject_without_a_finite_value_is_not_left_out_of_the_mean(value):
    summary = summarize([*ROWS, row("c", "t2", "ours", value)], columns=COLUMNS)
    assert summary[0]["n"] == 3
    np.testing.assert_equal(summary[0]["psnr_mean"], value)


def test_a_missing_value_is_an_empty_cell(tmp_path):
    write_csv(tmp_path / "rows.csv", rows=[row("c", "t2", "ours", np.nan)], fields=row_fields(COLUMNS))
    with open(tmp_path / "rows.csv", newline="", encoding="utf-8") as file:
        assert next(csv.DictReader(file)) == {
            **{"subject": "c", "source": "t1", "target": "t2", "factor": "2.5", "axis": "", "method": "ours"},
            **{"psnr": "", "mae": "0.25"},
        }


def test_the_table_has_a_line_for_each_case_and_method():
    lines = table(summarize(ROWS, columns=COLUMNS), columns=COLUMNS[:1]).splitlines()
    assert len(lines) == 3
    assert "t1 → t2 ×2.5" in lines[1]
    assert "22.00 ± 2.00" in lines[1]


def test_files_of_two_subjects_never_share_a_name():
    names = ["a/b", "a_b", "a b", "ä_b", "ab"]
    stems = {case_stem(row(name, "t2", "ours", 1.0)) for name in names}
    assert len(stems) == len(names)
    assert "a_b_t1_to_t2_x2.5" in stems
