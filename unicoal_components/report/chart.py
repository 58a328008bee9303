"""Line charts as SVG within a page, in the page's colors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from .html import Html, element

WIDTH, HEIGHT = 460, 260
LEFT, RIGHT, TOP, BOTTOM = 62, 14, 14, 44
MAX_POINTS = 600


@dataclass(frozen=True)
class Line:
    """A line of a chart.

    Attributes:
        label: for the legend.
        x: ascending.
        y: as many; values that are not finite are left out.
        style: class of the line: "main", "second" or "ideal".
    """

    label: str
    x: Sequence[float]
    y: Sequence[float]
    style: str = "main"


def line_chart(
    lines: Sequence[Line],
    *,
    x_label: str,
    y_label: str,
    x_range: tuple[float, float] | None = None,
    y_range: tuple[float, float] | None = None,
) -> Html:
    """Draw the lines on common axes, with a legend.

    Args:
        lines: of at least one point in all.
        x_label: with unit.
        y_label: with unit.
        x_range: of the axis; `None` fits it to the lines.
        y_range: likewise.
    """
    kept = [(line, _points(line)) for line in lines]
    every = [point for _, points in kept for point in points]
    x_low, x_high = x_range or _range([x for x, _ in every], margin=0)
    y_low, y_high = y_range or _range([y for _, y in every], margin=0.05)

    def place(x: float, y: float) -> tuple[float, float]:
        right, up = (x - x_low) / (x_high - x_low), (y - y_low) / (y_high - y_low)
        return LEFT + right * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM)

    grid = [_x_tick(*place(x, y_low), x) for x in ticks(x_low, x_high)]
    grid += [_y_tick(*place(x_low, y), y) for y in ticks(y_low, y_high)]
    drawn = [_path([place(*point) for point in points], line.style) for line, points in kept]
    middle = (TOP + HEIGHT - BOTTOM) / 2
    labels = [
        element("text", x_label, x=(LEFT + WIDTH - RIGHT) / 2, y=HEIGHT - 6, class_="axis"),
        element("text", y_label, x=13, y=middle, class_="axis", transform=f"rotate(-90 13 {middle:g})"),
    ]
    title = f"{y_label} over {x_label}"
    picture = element("svg", grid, drawn, labels, viewBox=f"0 0 {WIDTH} {HEIGHT}", role="img", aria_label=title)
    legend = [element("span", element("i", class_=f"line {line.style}"), line.label) for line, _ in kept]
    return element("figure", picture, element("figcaption", legend), class_="chart")


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Choose round numbers in [low, high]: steps of 1, 2 or 5 times a power of ten.

    >>> ticks(0, 1), ticks(18.2, 31)
    ([0.0, 0.2, 0.4, 0.6, 0.8, 1.0], [20.0, 22.0, 24.0, 26.0, 28.0, 30.0])
    """
    rough = (high - low) / about
    power = 10 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= 0.7 * rough)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(float(index * step), 12) for index in range(first, last + 1)]


def _points(line: Line) -> list[tuple[float, float]]:
    """Return the finite points, of very many only every n-th and the last."""
    points = [(x, y) for x, y in zip(line.x, line.y, strict=True) if math.isfinite(x) and math.isfinite(y)]
    step = max(1, math.ceil(len(points) / MAX_POINTS))
    return points[::step] + ([points[-1]] if points and (len(points) - 1) % step else [])


def _range(values: list[float], *, margin: float) -> tuple[float, float]:
    low, high = min(values), max(values)
    if low == high:
        return low - 0.5, high + 0.5
    return low - margin * (high - low), high + margin * (high - low)


def _path(points: list[tuple[float, float]], style: str) -> Html:
    if len(points) == 1:
        return element("circle", cx=f"{points[0][0]:.1f}", cy=f"{points[0][1]:.1f}", r=3, class_=f"dot {style}")
    return element("path", d="M" + " ".join(f"{x:.1f},{y:.1f}" for x, y in points), class_=f"line {style}")


def _x_tick(x: float, bottom: float, value: float) -> Html:
    line = element("path", d=f"M{x:.1f},{TOP}V{bottom:.1f}", class_="grid")
    return element("g", line, element("text", f"{value:g}", x=f"{x:.1f}", y=f"{bottom + 15:.1f}", class_="tick x"))


def _y_tick(left: float, y: float, value: float) -> Html:
    line = element("path", d=f"M{left:.1f},{y:.1f}H{WIDTH - RIGHT}", class_="grid")
    return element("g", line, element("text", f"{value:g}", x=left - 6, y=f"{y + 4:.1f}", class_="tick y"))
