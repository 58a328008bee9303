"""A page for people from an evaluation: one file, which opens anywhere without a network."""

from __future__ import annotations

import os
from pathlib import Path

from ..files.atomic import atomic_path
from .curves import training_section
from .evaluation import Evaluation, read_evaluation
from .extra_tables import equivariance_section, segmentation_section
from .facts import protocol_section, provenance_section
from .html import Html, element
from .niivue import PLACE, license_note
from .numbers import NONE, counted
from .panels import panel_section
from .script import SCRIPT
from .style import STYLE
from .summary_tables import summary_section
from .uncertainty import uncertainty_section
from .viewer import viewer_section

POLICY = (
    "default-src 'none'; img-src data: blob:; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
    "connect-src data: blob:; worker-src blob:"
)
"""The browser is told to refuse whatever is not in the file, so that patients' images go nowhere."""

CONTENTS = (
    ("look", "Look at the images"),
    ("results", "Results"),
    ("anatomy", "Anatomy"),
    ("alias", "Alias-freeness"),
    ("uncertainty", "Uncertainty"),
    ("panels", "Panels"),
    ("training", "Training"),
    ("protocols", "What is measured"),
    ("provenance", "Where it comes from"),
)


def write_report(
    evaluation: str | os.PathLike,
    *,
    viewer: str | os.PathLike | None = None,
    viewer_cases: int = 3,
    panels: int = 12,
) -> Path:
    """Write `report.html` into the folder of an evaluation, as a whole or not at all.

    It holds the tables of both protocols, panels of the worst and the best cases, volumes to look at, curves of the
    training, and what is needed to repeat it. Volumes take at most 10 MB of files and panels 6 MB, a third more in the
    page; with the viewer's 2.3 MB it stays below 25 MB, unless the volumes of a single case are larger.

    Args:
        evaluation: folder with run.json and the tables.
        viewer: niivue.umd.js; `None` = `node_modules/@niivue/niivue/dist/niivue.umd.js`. Where it is absent, the page
            says how to get it.
        viewer_cases: cases whose volumes are in the page; 0 for none.
        panels: pictures in the page, half of them the worst cases, half the best; others are linked.

    Returns:
        The path of the page.

    Raises:
        FileNotFoundError: the folder is no evaluation.
        ValueError: something in it is not as evaluations write it, or a number of cases or panels is below 0.
        OSError: the page cannot be written.
    """
    for name, value in (("viewer_cases", viewer_cases), ("panels", panels)):
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise ValueError(f"{name} is {value!r}; allowed is a whole number of at least 0.")
    results = read_evaluation(evaluation)
    code = PLACE if viewer is None else Path(viewer)
    page = report_page(results, viewer=code, viewer_cases=viewer_cases, panels=panels)
    path = results.folder / "report.html"
    with atomic_path(path) as partial:
        partial.write_text(page, encoding="utf-8")
    return path


def report_page(evaluation: Evaluation, *, viewer: Path, viewer_cases: int, panels: int) -> str:
    """Make the page; arguments as of `write_report`."""
    sections = [
        viewer_section(evaluation, viewer=viewer, count=viewer_cases),
        summary_section(evaluation),
        segmentation_section(evaluation),
        equivariance_section(evaluation),
        uncertainty_section(evaluation),
        panel_section(evaluation, count=panels),
        training_section(evaluation),
        protocol_section(),
        provenance_section(evaluation),
    ]
    footer = element(
        "footer",
        element("p", "This page holds everything that it shows and asks no network for anything. Not for diagnosis."),
        license_note(viewer) if viewer.is_file() else None,
    )
    main = element("main", _header(evaluation, [part for part in sections if part]), sections, footer)
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=POLICY),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("title", f"{evaluation.method}: evaluation, {evaluation.run.get('section') or NONE}"),
        element("link", rel="icon", href="data:,"),
        element("style", Html(STYLE)),
    )
    body = element("body", main, element("script", Html(SCRIPT)))
    return "<!doctype html>\n" + element("html", head, body, lang="en") + "\n"


def _header(evaluation: Evaluation, sections: list[Html]) -> Html:
    run = evaluation.run
    subjects = len({row["subject"] for row in evaluation.ranked})
    facts = (
        f"Section {run.get('section') or NONE}",
        counted(subjects, "subject"),
        f"{len(evaluation.cases)} source → target × factor",
        counted(len(evaluation.methods), "method"),
        str(run.get("created") or "no date").replace("T", " "),
    )
    marks = [str(mark) for mark in run.get("marks") or []]
    there = [(name, title) for name, title in CONTENTS if any(f'id="{name}"' in part[:200] for part in sections)]
    return element(
        "header",
        element("h1", f"Evaluation of {evaluation.method}"),
        element("p", " · ".join(facts), class_="facts"),
        element("ul", [element("li", mark) for mark in marks], class_="marks") if marks else None,
        element("nav", [element("a", title, href=f"#{name}") for name, title in there]),
    )
