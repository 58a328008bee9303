"""Lines are drawn where their values are."""

import re

import numpy as np
import pytest

from unicoal_components.report.chart import BOTTOM, HEIGHT, LEFT, MAX_POINTS, RIGHT, TOP, WIDTH, Line, line_chart, ticks


def points(page, style="main"):
    path = re.search(rf'<path d="M([^"]*)" class="line {style}"', page)[1]
    return np.array([[float(x) for x in point.split(",")] for point in path.split()])


def test_the_corners_of_the_ranges_are_the_corners_of_the_frame():
    line = Line("a", (0, 0.5, 1), (0, 1, 0.5))
    page = line_chart([line], x_label="x", y_label="y", x_range=(0, 1), y_range=(0, 1))
    middle_x, middle_y = (LEFT + WIDTH - RIGHT) / 2, (TOP + HEIGHT - BOTTOM) / 2
    expected = [[LEFT, HEIGHT - BOTTOM], [middle_x, TOP], [WIDTH - RIGHT, middle_y]]
    np.testing.assert_allclose(points(page), expected, atol=0.06)


def test_values_that_are_no_numbers_are_left_out():
    page = line_chart([Line("a", (1, 2, 3), (1.0, float("nan"), 2.0))], x_label="x", y_label="y")
    assert len(points(page)) == 2 and "nan" not in page


def test_very_long_lines_are_thinned_and_keep_their_ends():
    line = Line("a", range(10_007), range(10_007))
    drawn = points(line_chart([line], x_label="x", y_label="y", y_range=(0, 10_006)))
    assert len(drawn) <= MAX_POINTS + 1
    np.testing.assert_allclose(drawn[[0, -1]], [[LEFT, HEIGHT - BOTTOM], [WIDTH - RIGHT, TOP]], atol=0.06)


def test_a_single_point_and_equal_values_can_be_drawn():
    assert "<circle" in line_chart([Line("a", (1,), (2.0,))], x_label="x", y_label="y")
    assert "nan" not in line_chart([Line("a", (1, 2), (2.0, 2.0))], x_label="x", y_label="y")


def test_labels_are_escaped():
    assert "<b>" not in line_chart([Line("<b>", (0, 1), (0, 1))], x_label="<b>", y_label="<b>")


@pytest.mark.parametrize(("low", "high"), [(0, 1), (-3.7, 12), (1e-5, 3e-5), (0, 52_000), (20.53, 21.1)])
def test_ticks_are_a_few_even_steps_inside(low, high):
    chosen = ticks(low, high)
    assert 3 <= len(chosen) <= 9
    assert low - 1e-9 <= chosen[0] and chosen[-1] <= high + 1e-9
    np.testing.assert_allclose(np.diff(chosen), chosen[1] - chosen[0])
