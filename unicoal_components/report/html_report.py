"""HTML report of an evaluation: one self-contained file."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from ..files.atomic import atomic_path
from ..files.page import page_templates
from ..viewer.page import viewer_script, viewer_style
from .curves import training_charts
from .evaluation import Evaluation, read_evaluation
from .extra_tables import alias_freeness, dice_tables, uncertainty
from .numbers import counted
from .panels import shown_panels
from .summary_tables import summary_content
from .viewer import viewer_content


def write_report(
    evaluation: str | os.PathLike,
    *,
    viewer_cases: int = 3,
    panels: int = 12,
) -> Path:
    """Write `report.html` atomically into the folder of an evaluation.

    It contains the tables of both protocols, panels of the worst and the best cases, volumes to view, curves of the
    training, and all facts to reproduce it. Volumes take at most 10 MB of files and panels 6 MB, a third more in the
    page, so it stays below 25 MB unless the volumes of a single case are larger.

    Args:
        evaluation: folder with run.json and the tables.
        viewer_cases: number of cases whose volumes are in the page; 0 for none.
        panels: number of panels in the page, half of them the worst cases, half the best; others are linked.

    Returns:
        The path of the page.

    Raises:
        FileNotFoundError: the folder is no evaluation.
        ValueError: a file in it has another format, or a number of cases or panels is below 0.
        OSError: the page cannot be written.
    """
    for name, value in (("viewer_cases", viewer_cases), ("panels", panels)):
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise ValueError(f"{name} is {value!r}; it must be an integer >= 0.")
    results = read_evaluation(evaluation)
    page = report_page(results, viewer_cases=viewer_cases, panels=panels)
    path = results.folder / "report.html"
    with atomic_path(path) as partial:
        partial.write_text(page, encoding="utf-8")
    return path


def report_page(evaluation: Evaluation, *, viewer_cases: int, panels: int) -> str:
    """Return the page; arguments as for `write_report`."""
    templates = page_templates(Path(__file__).with_name("templates"), counted=counted, json_text=_json_text)
    return templates.get_template("report.html.j2").render(
        evaluation=evaluation,
        look=viewer_content(evaluation, count=viewer_cases),
        viewer_style=viewer_style(),
        viewer_script=viewer_script(),
        results=summary_content(evaluation),
        anatomy=dice_tables(evaluation),
        alias=alias_freeness(evaluation),
        uncertainty=uncertainty(evaluation),
        panels=shown_panels(evaluation, count=panels),
        training=training_charts(evaluation.run.get("training_log")),
    )


def _json_text(value: Any, indent: int | None = None) -> str:
    """Return a value of a configuration as JSON; a plain string stays unquoted."""
    return value if isinstance(value, str) and indent is None else json.dumps(value, indent=indent, ensure_ascii=False)
