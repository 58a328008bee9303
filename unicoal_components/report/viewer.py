"""Volumes of chosen cases, to be looked at in the page."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path

from .evaluation import Evaluation
from .html import Html, data_script, element, joined, section
from .niivue import code_script, how_to_get
from .numbers import counted
from .panels import title_of
from .volumes import INPUT, TRUTH, ViewedCase, viewed_cases

CANVASES = (("input", "Input"), ("prediction", "Prediction"), ("truth", "Truth"))
PLANES = (("multi", "all three planes"), ("axial", "axial"), ("coronal", "coronal"), ("sagittal", "sagittal"))
HELP = (
    "Click or drag to move the crosshair, in all three at once; then scroll to go through the slices, scroll with Ctrl "
    "to zoom, and drag with the right button to pan. Radiological convention: left in the picture is the patient's "
    "right. All volumes are shown on one gray scale, from 0 (black) to 1 (white). The input lies on its own thick "
    "slices."
)


def viewer_section(evaluation: Evaluation, *, viewer: Path, count: int) -> Html:
    """Show input, prediction and truth of some cases side by side, linked.

    Args:
        evaluation: with NIfTI files in its folder cases.
        viewer: NiiVue's code; where it is not, the section says how to get it.
        count: cases within the page.
    """
    cases = viewed_cases(evaluation, count=count)
    if not cases:
        text = "No volumes were stored with this evaluation." if count else "No volumes were asked for (viewer_cases)."
        return section("Look at the images", "look", element("p", text))
    if not viewer.is_file():
        return section("Look at the images", "look", how_to_get(viewer))
    tool = element("div", _controls(cases), element("div", map(_canvas, CANVASES), class_="canvases"), id="viewer")
    status = element("p", "The viewer starts when it is seen.", id="viewer-status", role="status")
    content = data_script("viewer-data", _index(evaluation, cases))
    volumes = [_volume_script(case, place) for place, case in enumerate(cases)]
    parts = (element("p", _words(evaluation, cases)), tool, status, element("p", HELP, class_="hint"))
    return section("Look at the images", "look", parts, content, volumes, code_script(viewer))


def _words(evaluation: Evaluation, cases: Sequence[ViewedCase]) -> str:
    """Say which cases these are, and what was left out."""
    ranks = ", ".join(case.rank for case in cases)
    text = (
        f"{counted(len(cases), 'case')} of {len(evaluation.ranked)}: {ranks} by the PSNR of {evaluation.method} "
        "(strict protocol)."
    )
    left_out = dict.fromkeys(name for case in cases for name in case.left_out)
    if left_out:
        text += f" To keep the page small, some volumes are only in the folder cases: {', '.join(left_out)}."
    return text


def _index(evaluation: Evaluation, cases: Sequence[ViewedCase]) -> dict:
    """Name cases and volumes for the page's script."""
    return {
        "method": evaluation.method,
        "input": INPUT,
        "truth": TRUTH,
        "cases": [
            {"volumes": [{"name": name, "id": f"volume-{place}-{k}"} for k, name in enumerate(case.files)]}
            for place, case in enumerate(cases)
        ],
    }


def _volume_script(case: ViewedCase, place: int) -> Html:
    """Hold the files of a case in base64."""
    scripts = []
    for k, path in enumerate(case.files.values()):
        content = Html(base64.b64encode(path.read_bytes()).decode("ascii"))
        scripts.append(element("script", content, type="text/plain", id=f"volume-{place}-{k}"))
    return joined(scripts)


def _controls(cases: Sequence[ViewedCase]) -> Html:
    titles = [(place, f"{case.rank} · {title_of(case.row)}") for place, case in enumerate(cases)]
    smooth = element("label", element("input", type="checkbox", id="viewer-smooth"), " smooth between voxels")
    reset = element("button", "Reset", type="button", id="viewer-reset")
    parts = (_select("case", "Case", titles), _select("method", "Prediction", ()), _select("plane", "View", PLANES))
    return element("div", parts, smooth, reset, class_="controls")


def _select(name: str, label: str, options: Sequence[tuple[object, str]]) -> Html:
    made = [element("option", text, value=value) for value, text in options]
    return element("label", f"{label} ", element("select", made, id=f"viewer-{name}"))


def _canvas(entry: tuple[str, str]) -> Html:
    name, title = entry
    caption = element("figcaption", element("b", title, id=f"title-{name}"), element("span", id=f"value-{name}"))
    return element("figure", caption, element("div", element("canvas", id=f"canvas-{name}"), class_="screen"))
