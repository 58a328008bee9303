"""A page to leaf through the pictures of a prepared cohort, without a server and without a network."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ..files.atomic import atomic_path
from ..files.page import page_templates
from .manifest import FAILED, PREPARED, UP_TO_DATE, Outcome, manifest_rows, quality_name

RANK = {FAILED: 0, PREPARED: 1, UP_TO_DATE: 2}


def write_quality_index(path: str | os.PathLike, outcomes: Sequence[Outcome], *, modalities: Sequence[str]) -> None:
    """Write the page: a table of the subjects, failed ones first, and the picture of the one that is chosen.

    Arrow keys go to the next and the previous subject, buttons show one status only. Everything is in the one file but
    the pictures, which are beside it.

    Args:
        path: the HTML file, in the folder of the pictures.
        outcomes: of all subjects.
        modalities: as in the manifest.

    Raises:
        OSError: it cannot be written.
    """
    ordered = sorted(outcomes, key=lambda outcome: (RANK[outcome.status], outcome.item.subject))
    rows = [_row(Path(path).parent, outcome, modalities) for outcome in ordered]
    buttons = [("all", len(rows))]
    buttons += [(status, sum(outcome.status == status for outcome in outcomes)) for status in RANK]
    buttons += [("warnings", sum(bool(row["warnings"]) for row in rows))]
    template = page_templates(Path(__file__).parent).get_template("quality_index.html.j2")
    with atomic_path(path) as partial:
        partial.write_text(template.render(rows=rows, buttons=buttons), encoding="utf-8")


def _row(folder: Path, outcome: Outcome, modalities: Sequence[str]) -> dict[str, Any]:
    """Return what the page says of a subject; the link is relative, so that the folder can be moved."""
    name = Path(quality_name(outcome.item.subject)).name
    rows = [row for row in manifest_rows(outcome, modalities) if row["warnings"]]
    spacing = "x".join(f"{value:g}" for value in outcome.spacing)
    return {
        "outcome": outcome,
        "picture": quote(name) if outcome.status != FAILED and (folder / name).exists() else None,
        "warnings": "; ".join(dict.fromkeys(f"{row['modality']}: {row['warnings']}" for row in rows)),
        "grid": f"{'x'.join(map(str, outcome.shape))} of {spacing} mm" if outcome.shape else "",
    }
