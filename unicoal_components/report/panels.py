"""Panels of a report, of the worst and the best cases."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from .evaluation import Evaluation
from .numbers import number
from .rows import Row, case_name, case_stem

INLINE_BYTES = 6_000_000
"""Bytes of all panels in the page, a third more in base64; further panels are linked."""


def shown_panels(evaluation: Evaluation, *, count: int) -> dict[str, Any]:
    """Choose the panels of the worst cases, then those of the best, and list all.

    Args:
        evaluation: evaluation with PNG files in its folder panels.
        count: number of panels in the page; half of them the worst, half the best.

    Returns:
        `drawn`: number of existing panels; `worst` and `best`: panels with their `title`, `link` and, while there is
        room, the image as `base64`; `cases`: every case with its `subject`, `name`, `psnr` and `link`.
    """
    ranked = [row for row in evaluation.ranked if panel_path(evaluation, row).is_file()]
    left = INLINE_BYTES
    groups = []
    for rows in chosen(ranked, count):
        groups.append([_panel(evaluation, row) for row in rows])
        for panel, row in zip(groups[-1], rows, strict=True):
            path = panel_path(evaluation, row)
            if path.stat().st_size <= left:
                left -= path.stat().st_size
                panel["base64"] = base64.b64encode(path.read_bytes()).decode("ascii")
    cases = [_panel(evaluation, row) for row in evaluation.ranked]
    return {"drawn": len(ranked), "worst": groups[0], "best": groups[1], "cases": cases}


def chosen(rows: Sequence[Row], count: int) -> tuple[list[Row], list[Row]]:
    """Return the worst and the best of ranked rows, `count` in total; the best row is first among the best.

    Example:
        >>> chosen([{"psnr": value} for value in (1, 2, 3, 4, 5)], 3)
        ([{'psnr': 1}, {'psnr': 2}], [{'psnr': 5}])
    """
    worst = list(rows[: -(-count // 2)])
    rest = rows[len(worst) :]
    return worst, list(rest[::-1][: count // 2])


def panel_path(evaluation: Evaluation, row: Row) -> Path:
    """Return the path of a case's panel, which exists if it was drawn."""
    return evaluation.folder / "panels" / f"{case_stem(row)}.png"


def title_of(row: Row) -> str:
    """Return the title of a subject's case, with its PSNR."""
    return f"{row['subject']}: {case_name(row)}, {number(row['psnr'], 2)} dB"


def _panel(evaluation: Evaluation, row: Row) -> dict[str, str | None]:
    path = panel_path(evaluation, row)
    return {
        "title": title_of(row),
        "subject": row["subject"],
        "name": case_name(row),
        "psnr": number(row["psnr"], 2),
        "file": path.name,
        "link": f"panels/{quote(path.name)}" if path.is_file() else None,
        "base64": None,
    }
