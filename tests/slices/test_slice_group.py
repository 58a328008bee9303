import math
from fractions import Fraction

import numpy as np
import pytest

from unicoal_components.slices.slice_group import (
    anchor_count,
    check_factor,
    slice_centers,
    slice_position,
    thick_count,
)

FACTORS = (1, 1.1, 1.25, 4 / 3, 2, 2.5, 3.3, 5, 6.7, 8)


@pytest.mark.parametrize("factor", [1, 2, 4, 5, 6])
def test_for_integer_factors_the_group_is_that_of_the_definition(factor):
    for b in range(200):
        a = b // factor * factor
        assert slice_centers(a, factor) == [a - factor, a, a + factor, a + 2 * factor]
        assert slice_position(b, a, factor) == (b % factor) / factor


@pytest.mark.parametrize("factor", ["1.1", "2.5", "3.3", "1.25", "6.7"])
def test_for_decimal_factors_the_group_is_that_of_exact_arithmetic(factor):
    exact = Fraction(factor)
    for b in range(500):
        a = b // exact * exact
        position = slice_position(b, float(a), float(factor))
        assert position == pytest.approx(float((b - a) / exact), abs=1e-9)


@pytest.mark.parametrize("factor", FACTORS)
def test_positions_are_in_the_half_open_unit_interval_also_as_float32(factor):
    positions = np.array(
        [slice_position(b, math.floor(b / factor + 1e-6) * factor, factor) for b in range(1000)], dtype=np.float32
    )
    assert positions.min() >= 0 and positions.max() < 1


@pytest.mark.parametrize("factor", FACTORS)
def test_the_thin_slice_is_in_the_middle_gap(factor):
    for b in range(100):
        centers = slice_centers(math.floor(b / factor + 1e-6) * factor, factor)
        assert centers[1] <= b < centers[2]
        np.testing.assert_allclose(np.diff(centers), factor, atol=1e-5)


@pytest.mark.parametrize("factor", FACTORS)
def test_every_training_anchor_has_a_valid_position_and_the_next_one_has_not(factor):
    count = anchor_count(factor)
    for offset in range(count):
        assert 0 <= np.float32(slice_position(50, 50 - offset, factor)) < 1
    with pytest.raises(ValueError, match="position"):
        slice_position(50, 50 - count, factor)


def test_a_factor_a_hair_above_an_integer_draws_like_that_integer():
    assert anchor_count(2 + 1e-9) == 2


def test_centers_on_the_thin_grid_are_exact_integers():
    assert slice_centers(30 * 1.1, 1.1)[1] == 33.0  # 33.000000000000004


def test_other_sizes_stay_centered_on_the_gap():
    assert slice_centers(6, 3, size=2) == [6, 9]
    assert slice_centers(6, 3, size=6) == [0, 3, 6, 9, 12, 15]


def test_the_count_of_thick_slices_is_that_of_the_centers_inside():
    for factor in FACTORS:
        for depth in (1, 2, 11, 12, 34, 100):
            assert thick_count(depth, factor) == sum(n * factor <= depth - 1 + 1e-9 for n in range(depth + 1))


@pytest.mark.parametrize("factor", [0, 0.99, -2, float("nan"), float("inf"), "4", None, True])
def test_a_wrong_factor_is_refused_by_name_and_value(factor):
    with pytest.raises(ValueError, match="factor is"):
        check_factor(factor)


@pytest.mark.parametrize("size", [0, 3, -2, 4.0])
def test_a_wrong_group_size_is_refused(size):
    with pytest.raises(ValueError, match="even positive"):
        slice_centers(0, 2, size=size)
