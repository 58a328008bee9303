"""Tables of an evaluation, from the results of its cases."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..files.atomic import atomic_path
from ..metrics.calibration import Calibration, mean_coverage
from ..metrics.measure import Column
from ..report.rows import CASE_FIELDS, ROW_FIELDS, Row, row_fields, write_csv
from ..report.statistics import COMPARISON_FIELDS, compare
from ..report.summary import summarize, summary_fields, table

logger = logging.getLogger(__name__)

SEGMENTATION_FIELDS = (*ROW_FIELDS, "class", "dice", "volume_prediction_ml", "volume_truth_ml")
LOGGED = ("psnr", "ssim", "mae")
TESTED = ("psnr", "ssim", "hfen", "dice")
"""The few columns that methods are compared by; each further test would reduce the power of the others."""


def write_tables(
    folder: Path, results: Sequence[dict[str, Any]], *, columns: Sequence[Column], method: str
) -> list[Row]:
    """Write `per_subject.csv`, `summary.csv`, `comparisons.csv`, and any segmentations and calibration.

    Args:
        folder: folder of the report.
        results: results of all cases, from `CaseEvaluation`.
        columns: columns of all measures.
        method: method that is compared with the others.

    Returns:
        The rows of all cases.
    """
    rows = [row for result in results for row in result["rows"]]
    summary = summarize(rows, columns=columns)
    write_csv(folder / "per_subject.csv", rows=rows, fields=row_fields(columns))
    write_csv(folder / "summary.csv", rows=summary, fields=summary_fields(columns))
    tested = [column for column in columns if column.name in TESTED and _has_value(rows, column)]
    compared = compare(rows, method=method, metrics=tested)
    write_csv(folder / "comparisons.csv", rows=compared, fields=COMPARISON_FIELDS)
    segmented = [row for result in results for row in result.get("segmentation", [])]
    _replace(folder / "segmentation.csv", segmented)
    if segmented:
        write_csv(folder / "segmentation.csv", rows=segmented, fields=SEGMENTATION_FIELDS)
    _write_calibration(folder / "calibration.json", results)
    logged = [column for column in columns if column.name in LOGGED]
    logger.info("Results in %s\n%s", folder, table(summary, columns=logged))
    return rows


def _has_value(rows: Sequence[Row], column: Column) -> bool:
    """Return whether a column has any value; Dice has none without a segmenter."""
    return any(not math.isnan(row[column.name]) for row in rows)


def _replace(path: Path, rows: Sequence[Any]) -> None:
    """Write the rows, or remove an earlier file if there are none."""
    if not rows:
        path.unlink(missing_ok=True)


def _write_calibration(path: Path, results: Sequence[dict[str, Any]]) -> None:
    """Write the mean coverage curve, and the numbers of each case."""
    calibrated = [result for result in results if "calibration" in result]
    _replace(path, calibrated)
    if not calibrated:
        return
    cases = [Calibration(**result["calibration"]) for result in calibrated]
    facts = [{name: result["rows"][0][name] for name in ("subject", *CASE_FIELDS)} for result in calibrated]
    numbers = [{"spearman": c.spearman, "scale": c.scale, "gap": c.miscalibration} for c in cases]
    content = {
        "nominal": cases[0].nominal,
        "observed": mean_coverage(cases),
        "cases": [fact | number for fact, number in zip(facts, numbers, strict=True)],
    }
    with atomic_path(path) as partial:
        partial.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
