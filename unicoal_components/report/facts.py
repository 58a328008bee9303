"""What a reader needs to judge and repeat an evaluation: protocols, configuration, data, weights, software."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from .evaluation import Evaluation
from .html import Html, details, element, section, table
from .numbers import NONE, counted

STRICT = (
    "All voxels of the foreground count and no others: head or brain, found in the truth alone, the same for every "
    "method; in super-resolution (one modality, a factor above 1) only in slices that lie between those of the input, "
    "as the others were given. Both volumes are put on the scale of the truth, its minimum and maximum becoming 0 and "
    "1; the prediction is neither clipped nor scaled to itself, so a wrong brightness or contrast is an error. PSNR = "
    "−10 log10 of the mean squared error; SSIM, HFEN (error of edges) and GMS (gradient similarity) are computed in "
    "3D, so that steps from slice to slice count; NMSE = squared error over squared truth; MAE = mean absolute error."
)
PAPER = (
    "As in the publication on Uni-COAL, to compare with its tables: each volume on its own is clipped to its 0.5 and "
    "99.5 percentiles and mapped to [0, 1]; PSNR, SSIM (7-voxel window) and MAE over the whole field of view, and by "
    "slice. What is wrong with it: scaling each volume to itself hides a wrong brightness and contrast; the background "
    "counts, is easy, and raises every number with the field of view; the slices that count are chosen by the "
    "prediction; and in super-resolution the slices that were given count. Its numbers cannot be compared with those "
    "of the strict protocol."
)
STATISTICS = (
    "Subjects are the unit. Standard deviations are those of the population (divided by n). The 95 % intervals are "
    "bootstrap intervals of the mean, bias-corrected and accelerated; with few subjects they are too narrow. Methods "
    "are compared on the same subjects by Wilcoxon's signed ranks, two-sided, corrected by Holm's method over all "
    "comparisons."
)
LONG = 100
"""Letters of a value above which it is folded."""


def protocol_section() -> Html:
    """Say what is measured and how."""
    parts = (("Strict protocol", STRICT), ("The paper's protocol", PAPER), ("Statistics", STATISTICS))
    texts = [[element("h3", title), element("p", text)] for title, text in parts]
    return section("What is measured, and how", "protocols", texts)


def provenance_section(evaluation: Evaluation) -> Html:
    """List networks, data, software and configuration."""
    run = evaluation.run
    return section(
        "Where it comes from",
        "provenance",
        element("h3", "Networks"),
        table(("network", "file", "SHA-256", ""), _networks(run)),
        _data(evaluation),
        element("h3", "Software"),
        table(("package", "version"), sorted((run.get("software") or {}).items())),
        element("h3", "Configuration"),
        _configuration(run.get("configuration") or {}),
    )


def _networks(run: Mapping[str, Any]) -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = []
    for name, entry in ((run["method"], run.get("weights")), ("unet", run.get("unet"))):
        if entry:
            others = {key: value for key, value in entry.items() if key not in ("path", "sha256")}
            more = ", ".join(f"{key.replace('_', ' ')} {_json(value)}" for key, value in others.items())
            rows.append((name, _code(entry.get("path")), _code(entry.get("sha256")), more))
    rows = rows or [(run["method"], "no record", NONE, "")]
    files = (run.get("files") or {}).items()
    return rows + [
        (name.replace("_", " "), _code(entry.get("path")), _code(entry.get("sha256")), "measures")
        for name, entry in files
    ]


def _data(evaluation: Evaluation) -> Html:
    entries = evaluation.run.get("data") or []
    rows = [(entry.get("subject"), _code(entry.get("path")), _code(entry.get("sha256"))) for entry in entries]
    title = f"{counted(len(rows), 'subject file')} of section {evaluation.run.get('section') or NONE}"
    return element(
        "div",
        element("h3", "Data"),
        details(title, table(("subject", "file", "SHA-256"), rows), is_open=len(rows) <= 10),
    )


def _configuration(values: Mapping[str, Any]) -> Html:
    rows = [(element("code", name), _value(value)) for name, value in values.items()]
    return details(counted(len(rows), "value"), table(("name", "value"), rows))


def _value(value: Any) -> Html:
    text = _json(value)
    if len(text) <= LONG:
        return element("code", text)
    return details(
        element("code", text[: LONG - 20] + " …"), element("pre", json.dumps(value, indent=2, ensure_ascii=False))
    )


def _code(text: object) -> Html:
    return element("code", NONE if text is None else text)


def _json(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
