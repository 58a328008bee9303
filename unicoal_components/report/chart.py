"""Line charts as inline SVG in the page's colors."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure

SIZE = (4.6, 2.9)
"""Size in inches; the page scales it."""

MAX_POINTS = 600
COLORS = {"accent": "#0b62a8", "second": "#b45f06", "text": "#1d2329", "soft": "#5c6670", "line": "#d9dde1"}
"""Colors of `report.css` in light mode; in the page they are replaced by its variables, for dark mode too."""

STYLES = {"main": ("accent", "-"), "second": ("second", "-"), "ideal": ("soft", ":")}


@dataclass(frozen=True)
class Line:
    """Line of a chart.

    Attributes:
        label: label in the legend.
        x: x values, ascending.
        y: y values, as many; values that are not finite are omitted.
        style: "main", "second" or "ideal".
    """

    label: str
    x: Sequence[float]
    y: Sequence[float]
    style: str = "main"


class Chart(NamedTuple):
    """Chart with its text alternative."""

    title: str
    svg: str


def line_chart(
    lines: Sequence[Line],
    *,
    x_label: str,
    y_label: str,
    x_range: tuple[float, float] | None = None,
    y_range: tuple[float, float] | None = None,
) -> Chart:
    """Draw the lines on common axes, with a legend; the SVG is deterministic.

    Args:
        lines: lines with at least one point in total.
        x_label: label of the x axis with unit.
        y_label: label of the y axis with unit. Charts of one page must differ in a label.
        x_range: range of the x axis; `None` fits it to the lines.
        y_range: range of the y axis, likewise.
    """
    title = f"{y_label} over {x_label}: {', '.join(line.label for line in lines)}"
    text = io.StringIO()
    # ids within the SVG derive from the salt, and must differ between charts of a page
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": title, "font.size": 8.5}):
        figure = Figure(figsize=SIZE, layout="constrained")
        axes = figure.subplots()
        for line in lines:
            color, dashes = STYLES[line.style]
            x, y = _points(line)
            dot = "o" if len(x) == 1 else None
            axes.plot(x, y, dashes, color=COLORS[color], marker=dot, label=line.label)
        axes.margins(x=0)
        if x_range:
            axes.set_xlim(x_range)
        if y_range:
            axes.set_ylim(y_range)
        axes.set_xlabel(x_label, color=COLORS["soft"])
        axes.set_ylabel(y_label, color=COLORS["soft"])
        axes.grid(color=COLORS["line"])
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0, labelcolor=COLORS["soft"])
        figure.legend(loc="outside lower left", ncols=len(lines), frameon=False, labelcolor=COLORS["text"])
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(text, format="svg", transparent=True, metadata=nothing)
    return Chart(title, _for_page(text.getvalue()))


def _points(line: Line) -> tuple[np.ndarray, np.ndarray]:
    """Return the finite points; of very many an evenly spaced subset with both ends."""
    points = np.array([line.x, line.y], dtype=float)
    points = points[:, np.isfinite(points).all(axis=0)]
    count = points.shape[1]
    x, y = points[:, np.linspace(0, count - 1, min(count, MAX_POINTS)).round().astype(int)]
    return x, y


def _for_page(svg: str) -> str:
    """Remove the file header, the ids of groups, which charts share, and the fixed colors."""
    svg = re.sub(r'<g id="[^"]*"', "<g", svg[svg.index("<svg") :])
    for name, color in COLORS.items():
        svg = svg.replace(color, f"var(--{name})")
    return svg
