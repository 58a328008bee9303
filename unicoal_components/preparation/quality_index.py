"""A page to leaf through the pictures of a prepared cohort, without a server and without a network."""

import html
import os
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from ..files.atomic import atomic_path
from .manifest import FAILED, PREPARED, UP_TO_DATE, Outcome, manifest_rows, quality_name

STYLE = """
body { font: 14px sans-serif; margin: 1em; background: #111; color: #ddd; }
a, button { color: #ffb000; }
button { background: #222; border: 1px solid #555; padding: .3em .8em; margin-right: .4em; }
button[aria-pressed=true] { background: #553c00; }
table { border-collapse: collapse; margin-top: 1em; } th { text-align: left; }
td, th { padding: .2em .8em; border-bottom: 1px solid #333; vertical-align: top; }
tr[data-status] { cursor: pointer; } tr.current { background: #332500; } .failed { color: #ff6b57; }
#view { position: sticky; top: 0; background: #111; padding-bottom: .5em; border-bottom: 1px solid #555; }
#view img { max-width: 100%; max-height: 70vh; display: block; }
"""
SCRIPT = """
const rows = [...document.querySelectorAll("tr[data-status]")];
const shown = () => rows.filter(row => !row.hidden);
let current = null;
function show(row) {
  if (!row) return;
  if (current) current.classList.remove("current");
  current = row; row.classList.add("current");
  const image = document.querySelector("#view img"), link = row.querySelector("a");
  image.hidden = !link; image.src = link ? link.getAttribute("href") : "";
  image.alt = row.cells[0].textContent;
  const list = shown();
  document.querySelector("#where").textContent =
    `${list.indexOf(row) + 1} of ${list.length}: ${row.cells[0].textContent}, ${row.dataset.status}`;
  document.querySelector("#why").textContent = row.dataset.words;
}
function step(by) {
  const list = shown();
  show(list[Math.min(list.length - 1, Math.max(0, list.indexOf(current) + by))]);
}
function filter(status) {
  for (const row of rows) row.hidden = status !== "all" && row.dataset.status !== status
    && !(status === "warnings" && row.dataset.warned);
  for (const button of document.querySelectorAll("button"))
    button.setAttribute("aria-pressed", button.dataset.filter === status);
  show(shown()[0]);
}
for (const row of rows) row.addEventListener("click", () => show(row));
for (const button of document.querySelectorAll("button"))
  button.addEventListener("click", () => filter(button.dataset.filter));
document.addEventListener("keydown", event => {
  const by = {ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1}[event.key];
  if (by) { event.preventDefault(); step(by); }
});
filter("all");
"""


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
    rank = {FAILED: 0, PREPARED: 1, UP_TO_DATE: 2}
    ordered = sorted(outcomes, key=lambda outcome: (rank[outcome.status], outcome.item.subject))
    rows = [(outcome, *_words(outcome, modalities)) for outcome in ordered]
    buttons = [("all", len(rows))]
    buttons += [(status, sum(outcome.status == status for outcome in outcomes)) for status in rank]
    buttons += [("warnings", sum(bool(warnings) for _, _, warnings in rows))]
    page = "\n".join(
        [
            '<!DOCTYPE html>\n<html lang="en">\n<head><meta charset="utf-8"><title>Prepared scans</title>',
            f"<style>{STYLE}</style></head>\n<body>",
            *(f'<button data-filter="{name}">{name} ({count})</button>' for name, count in buttons if count),
            "arrow keys leaf through",
            '<div id="view"><p id="where"></p><p id="why"></p><img alt=""></div>',
            "<table><tr><th>subject</th><th>status</th><th>section</th><th>grid</th><th>reason and warnings</th></tr>",
            *(_row(Path(path).parent, outcome, reason, warnings) for outcome, reason, warnings in rows),
            f"</table>\n<script>{SCRIPT}</script></body></html>\n",
        ]
    )
    with atomic_path(path) as partial:
        partial.write_text(page, encoding="utf-8")


def _words(outcome: Outcome, modalities: Sequence[str]) -> tuple[str, str]:
    """Return the reason and the warnings of all modalities."""
    rows = list(manifest_rows(outcome, modalities))
    warnings = "; ".join(dict.fromkeys(f"{row['modality']}: {row['warnings']}" for row in rows if row["warnings"]))
    return outcome.reason, warnings


def _row(folder: Path, outcome: Outcome, reason: str, warnings: str) -> str:
    """Return one row of the table; the link is relative, so that the folder can be moved."""
    picture = Path(quality_name(outcome.item.subject)).name
    subject = html.escape(outcome.item.subject)
    drawn = outcome.status != FAILED and (folder / picture).exists()
    name = f'<a href="{quote(picture)}" onclick="event.preventDefault()">{subject}</a>' if drawn else subject
    grid = "x".join(map(str, outcome.shape))
    if grid:
        grid += " of " + "x".join(f"{value:g}" for value in outcome.spacing) + " mm"
    words = html.escape("; ".join(filter(None, (reason, warnings))), quote=True)
    warned = ' data-warned="yes"' if warnings else ""
    mark = ' class="failed"' if outcome.status == FAILED else ""
    cells = f"<td>{name}</td><td{mark}>{outcome.status}</td><td>{outcome.section}</td><td>{grid}</td><td>{words}</td>"
    return f'<tr data-status="{outcome.status}" data-words="{words}"{warned}>{cells}</tr>'
