"""Lines are drawn where their values are."""

import re

import numpy as np
import pytest

from unicoal_components.report.chart import MAX_POINTS, Line, line_chart


def paths(chart, color):
    """Return the points of the lines of a color, from the lowest left corner to the right and up."""
    found = re.findall(rf'<path d="([^"]*)"[^>]*stroke: var\(--{color}\)', chart.svg)
    return [np.array(re.findall(r"([\d.]+) ([\d.]+)", path), dtype=float) * [1, -1] for path in found]


def line(chart, color="accent"):
    """Return the line's points, without its sample in the legend."""
    return paths(chart, color)[0]


def grid(chart):
    """Return the places of all lines of the grid, across and upward."""
    lines = paths(chart, "line")
    return [np.array([line[0, axis] for line in lines if np.ptp(line[:, axis]) == 0]) for axis in (0, 1)]


def test_lines_go_from_corner_to_corner_of_the_ranges():
    drawn = line_chart([Line("a", (0, 0.5, 1), (0, 1, 0.5))], x_label="x", y_label="y", x_range=(0, 1), y_range=(0, 1))
    across, upward = grid(drawn)  # at 0, 0.2, ..., 1
    expected = [[across[0], upward[0]], [(across[2] + across[3]) / 2, upward[-1]]]
    np.testing.assert_allclose(line(drawn)[:2], expected, atol=0.01)
    np.testing.assert_allclose(line(drawn)[2], [across[-1], (upward[2] + upward[3]) / 2], atol=0.01)


def test_values_that_are_no_numbers_are_left_out():
    drawn = line_chart([Line("a", (1, 2, 3), (1.0, float("nan"), 2.0))], x_label="x", y_label="y")
    assert len(line(drawn)) == 2 and "nan" not in drawn.svg


def test_very_long_lines_are_thinned_and_keep_their_ends():
    noise = np.random.default_rng(0).uniform(0, 1, 10_007)
    noise[[0, -1]] = 0, 1
    drawn = line(line_chart([Line("a", range(10_007), noise)], x_label="x", y_label="y", y_range=(0, 1)))
    assert MAX_POINTS / 2 < len(drawn) <= MAX_POINTS
    np.testing.assert_allclose(drawn[[0, -1]], [drawn.min(axis=0), drawn.max(axis=0)])


def test_a_single_point_and_equal_values_can_be_drawn():
    assert "<use" in line_chart([Line("a", (1,), (2.0,))], x_label="x", y_label="y").svg
    assert "nan" not in line_chart([Line("a", (1, 2), (2.0, 2.0))], x_label="x", y_label="y").svg


def test_labels_are_escaped():
    drawn = line_chart([Line("<b>", (0, 1), (0, 1))], x_label="<b>", y_label="<b>")
    assert "<b>" not in drawn.svg and drawn.svg.count("&lt;b&gt;") == 3


@pytest.mark.parametrize("style", ["main", "second", "ideal"])
def test_colors_are_those_of_the_page_by_day_and_by_night(style):
    drawn = line_chart([Line("a", (0, 1), (0, 1), style)], x_label="x", y_label="y")
    assert not re.search("#[0-9a-f]{6}[^0-9a-f]", drawn.svg)


def test_the_same_lines_give_the_same_text_and_names_of_two_charts_differ():
    first, again, other = (line_chart([Line("a", (0, 1), (0, 1))], x_label=x, y_label="y").svg for x in "aab")
    assert first == again
    names = [set(re.findall(' id="([^"]+)"', svg)) for svg in (first, other)]
    assert names[0] and not names[0] & names[1]
