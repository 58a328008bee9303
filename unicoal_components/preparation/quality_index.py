"""HTML page with the quality panels of a prepared cohort; it needs neither server nor network."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ..files.atomic import atomic_path
from ..files.page import page_templates
from .manifest import FAILED, PREPARED, UP_TO_DATE, SubjectResult, manifest_rows, quality_name

RANK = {FAILED: 0, PREPARED: 1, UP_TO_DATE: 2}


def write_quality_index(
    path: str | os.PathLike, results: Sequence[SubjectResult], *, modalities: Sequence[str]
) -> None:
    """Write the HTML page: a table of the subjects, failed ones first, and the panel of the selected subject.

    Arrow keys go to the next and the previous subject, buttons filter by status. The page is one file next to the
    panels.

    Args:
        path: path of the HTML file, in the folder of the panels.
        results: results of all subjects.
        modalities: modalities as in the manifest.

    Raises:
        OSError: the page cannot be written.
    """
    ordered = sorted(results, key=lambda result: (RANK[result.status], result.item.subject))
    rows = [_row(Path(path).parent, result, modalities) for result in ordered]
    buttons = [("all", len(rows))]
    buttons += [(status, sum(result.status == status for result in results)) for status in RANK]
    buttons += [("warnings", sum(bool(row["warnings"]) for row in rows))]
    template = page_templates(Path(__file__).parent).get_template("quality_index.html.j2")
    with atomic_path(path) as partial:
        partial.write_text(template.render(rows=rows, buttons=buttons), encoding="utf-8")


def _row(folder: Path, result: SubjectResult, modalities: Sequence[str]) -> dict[str, Any]:
    """Return the table row of a subject; its link is relative, so that the folder can be moved."""
    name = Path(quality_name(result.item.subject)).name
    rows = [row for row in manifest_rows(result, modalities) if row["warnings"]]
    spacing = "x".join(f"{value:g}" for value in result.spacing)
    return {
        "result": result,
        "picture": quote(name) if result.status != FAILED and (folder / name).exists() else None,
        "warnings": "; ".join(dict.fromkeys(f"{row['modality']}: {row['warnings']}" for row in rows)),
        "grid": f"{'x'.join(map(str, result.shape))} of {spacing} mm" if result.shape else "",
    }
