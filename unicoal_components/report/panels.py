"""Pictures of the cases, the worst first."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from .evaluation import Evaluation
from .html import Html, details, element, section, table
from .numbers import counted, number
from .rows import Row, case_name, case_stem

INLINE_BYTES = 6_000_000
"""Of all panels within the page, in base64 a third more; what is beyond is linked."""


def panel_section(evaluation: Evaluation, *, count: int) -> Html:
    """Show the panels of the worst cases, then those of the best, and link all others.

    Args:
        evaluation: with PNG files in its folder panels.
        count: panels within the page; half of them the worst, half the best.
    """
    ranked = [row for row in evaluation.ranked if panel_path(evaluation, row).is_file()]
    if not ranked:
        return section("Panels", "panels", element("p", "No panels were drawn."), _case_list(evaluation))
    text = (
        f"{counted(len(ranked), 'panel')} of {counted(len(evaluation.ranked), 'case')}, by the PSNR of "
        f"{evaluation.method} (strict protocol), the worst first. Left in the picture is the patient's right, in the "
        "sagittal row the front; the last column is the error, on the same scale in every panel."
    )
    worst, best = chosen(ranked, count)
    left = INLINE_BYTES
    parts: list[Html] = []
    for title, rows in (("Worst", worst), ("Best", best)):
        shown = []
        for row in rows:
            size = panel_path(evaluation, row).stat().st_size
            shown.append(_panel(evaluation, row, inline=size <= left))
            left -= size if size <= left else 0
        parts += [element("h3", title), *shown] if shown else []
    return section("Panels", "panels", element("p", text), parts, _case_list(evaluation))


def chosen(rows: Sequence[Row], count: int) -> tuple[list[Row], list[Row]]:
    """Take the worst and the best of ranked rows, `count` in all, the best of all first among the best.

    >>> chosen([{"psnr": value} for value in (1, 2, 3, 4, 5)], 3)
    ([{'psnr': 1}, {'psnr': 2}], [{'psnr': 5}])
    """
    worst = list(rows[: -(-count // 2)])
    rest = rows[len(worst) :]
    return worst, list(rest[::-1][: count // 2])


def panel_path(evaluation: Evaluation, row: Row) -> Path:
    """Return where a case's panel is, if it was drawn."""
    return evaluation.folder / "panels" / f"{case_stem(row)}.png"


def title_of(row: Row) -> str:
    """Name a subject's case with its PSNR."""
    return f"{row['subject']}: {case_name(row)}, {number(row['psnr'], 2)} dB"


def _panel(evaluation: Evaluation, row: Row, *, inline: bool) -> Html:
    path = panel_path(evaluation, row)
    if not inline:
        return element("p", _link(path, title_of(row)))
    content = base64.b64encode(path.read_bytes()).decode("ascii")
    words = f"Slices of {title_of(row)}"
    picture = element("img", src=f"data:image/png;base64,{content}", alt=words, loading="lazy")
    return element("figure", element("figcaption", title_of(row)), picture, class_="panel")


def _link(path: Path, words: object) -> Html:
    return element("a", words, href=f"panels/{quote(path.name)}")


def _case_list(evaluation: Evaluation) -> Html | None:
    """List every case with its PSNR and a link to its panel."""
    rows = []
    for row in evaluation.ranked:
        path = panel_path(evaluation, row)
        link = _link(path, path.name) if path.is_file() else "not drawn"
        rows.append((row["subject"], case_name(row), number(row["psnr"], 2), link))
    shown = table(("subject", "case", f"PSNR of {evaluation.method} [dB]", "panel"), rows)
    return details(f"{counted(len(rows), 'case')}, the worst first", shown) if rows else None
