"""Tables of an evaluation: which columns are compared."""

import csv
import math

import pytest

from unicoal_components.evaluation.evaluation_tables import write_tables
from unicoal_components.metrics.measure import Column

COLUMNS = [Column("psnr", "PSNR", "dB"), Column("nmse", "NMSE", better="lower"), Column("dice", "Dice")]


def result(subject, dice, psnr=20.0):
    facts = {"subject": subject, "source": "t1", "target": "t2", "factor": 4.0}
    ours = {"psnr": psnr, "nmse": 0.1, "dice": dice}
    cubic = {"psnr": psnr - 2, "nmse": 0.2, "dice": math.nan}
    return {"rows": [facts | {"method": "ours"} | ours, facts | {"method": "cubic"} | cubic]}


@pytest.mark.parametrize(("dice", "metrics"), [(math.nan, ["psnr"]), (0.9, ["psnr", "dice"])])
def test_only_columns_with_a_value_are_compared(tmp_path, dice, metrics):
    write_tables(tmp_path, [result("p1", math.nan), result("p2", dice)], columns=COLUMNS, method="ours")
    with open(tmp_path / "comparisons.csv", newline="", encoding="utf-8") as file:
        assert [row["metric"] for row in csv.DictReader(file)] == metrics


def test_nothing_to_compare_leaves_a_table_without_rows(tmp_path):
    write_tables(tmp_path, [result("p1", math.nan, math.nan)], columns=COLUMNS, method="ours")
    assert len((tmp_path / "comparisons.csv").read_text(encoding="utf-8").splitlines()) == 1
