"""Tables: means over subjects, written and read back."""

import numpy as np
import pytest

from unicoal_components.metrics.summary import ROW_FIELDS, read_rows, summarize, table, write_csv


def row(subject, target, method, psnr):
    case = {"subject": subject, "source": "t1", "target": target, "factor": 2.5, "method": method}
    return case | {"psnr": psnr, "ssim": psnr / 100, "mae": 0.25}


ROWS = [row("a", "t2", "ours", 20.0), row("a", "pd", "ours", 30.0), row("b", "t2", "ours", 24.0)]


def test_methods_of_one_case_stand_together_even_when_their_rows_came_later():
    summary = summarize([*ROWS, row("a", "t2", "unet", 10.0)])
    assert [(r["target"], r["method"], r["n"]) for r in summary] == [
        ("t2", "ours", 2),
        ("t2", "unet", 1),
        ("pd", "ours", 1),
    ]
    assert (summary[0]["psnr_mean"], summary[0]["psnr_std"]) == (22, 2)
    assert (summary[0]["ssim_mean"], summary[0]["mae_std"]) == (pytest.approx(0.22), 0)


def test_rows_are_read_back_as_written(tmp_path):
    assert read_rows(tmp_path / "rows.csv") == []
    rows = [*ROWS, row("c", "t2", "ours", np.inf)]
    write_csv(tmp_path / "rows.csv", rows=rows, fields=ROW_FIELDS)
    assert read_rows(tmp_path / "rows.csv") == rows


def test_a_file_with_other_columns_is_refused(tmp_path):
    (tmp_path / "rows.csv").write_text("subject,dice\n")
    with pytest.raises(ValueError, match="has the columns"):
        read_rows(tmp_path / "rows.csv")


def test_the_table_has_a_line_for_each_case_and_method():
    lines = table(summarize(ROWS)).splitlines()
    assert len(lines) == 3
    assert "t1 → t2 ×2.5" in lines[1]
    assert "22.00 ± 2.00" in lines[1]
