"""How well the uncertainty maps foretell the errors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .chart import Line, line_chart
from .evaluation import Evaluation
from .html import Html, element, section, table
from .numbers import number
from .rows import case_name

TEXT = (
    "The map gives each voxel a standard deviation, or the predicted scale of its error. Coverage: the part of the "
    "voxels whose error is inside the "
    "interval that should hold the nominal part; on the dotted line the map says the truth, below it is too sure of "
    "itself. Spearman's rank correlation of deviation and |error| asks whether the errors are where the map says (1 "
    "is best). Scale: what the deviations have to be multiplied by for 68 % of the errors to be inside one. Gap: mean "
    "distance of the curve from the dotted line (0 is best)."
)


def uncertainty_section(evaluation: Evaluation) -> Html | None:
    """Show the curve of coverage, and rank correlation, scale and gap by case."""
    content = evaluation.calibration
    if not content:
        return None
    cases = [case for case in content.get("cases", []) if isinstance(case, dict)]
    return section("Uncertainty", "uncertainty", element("p", TEXT), _curve(content), _case_table(cases))


def _curve(content: dict[str, Any]) -> Html | None:
    nominal, observed = ([_number(x) for x in content.get(name) or []] for name in ("nominal", "observed"))
    if not nominal or len(nominal) != len(observed) or not np.isfinite(observed).any():
        return element("p", "No coverage was measured.")
    lines = [
        Line("observed, mean over cases", nominal, observed),
        Line("as it should be", (0.0, 1.0), (0.0, 1.0), "ideal"),
    ]
    return line_chart(
        lines, x_label="nominal coverage", y_label="observed coverage", x_range=(0.0, 1.0), y_range=(0.0, 1.0)
    )


def _case_table(cases: Sequence[dict[str, Any]]) -> Html | None:
    """Average over the subjects of each case."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for case in cases:
        groups.setdefault(case_name(case), []).append(case)
    rows = [
        (name, len(group), *(_mean_and_deviation(group, field) for field in ("spearman", "scale", "gap")))
        for name, group in groups.items()
    ]
    return table(("case", "n", "Spearman ↑", "scale → 1", "gap ↓"), rows, class_="numbers") if rows else None


def _mean_and_deviation(group: Sequence[dict[str, Any]], field: str) -> str:
    values = np.array([_number(case.get(field)) for case in group])
    values = values[~np.isnan(values)]
    if not len(values):
        return number(math.nan)
    with np.errstate(invalid="ignore"):
        mean, deviation = float(values.mean()), float(values.std())
    few = f" (n {len(values)})" if len(values) < len(group) else ""
    return (number(mean) if len(values) == 1 else f"{number(mean)} ± {number(deviation)}") + few


def _number(value: Any) -> float:
    """Return a float; NaN for `null`, and for infinities written as text what they say."""
    return math.nan if value is None else float(value)
