import numpy as np
import pytest

from unicoal_components.slices.factor_range import FactorRange, read_factors


def test_numbers_and_ranges_are_read_in_their_order():
    assert read_factors([1, {"min": 2, "max": 6.5}, 4]) == [1.0, FactorRange(2.0, 6.5), 4.0]
    assert read_factors({"max": 6, "min": 2}) == [FactorRange(2.0, 6.0)]


def test_a_draw_takes_one_number_and_stays_in_the_range():
    random, other = np.random.RandomState(0), np.random.RandomState(0)
    drawn = [FactorRange(2, 6).draw(random) for _ in range(1000)]
    assert drawn == (2 + 4 * other.rand(1000)).tolist()
    assert min(drawn) >= 2 and max(drawn) <= 6


@pytest.mark.parametrize(
    ("factors", "message"),
    [
        ([], "factors is empty"),
        ({"min": 2}, "exactly the keys min and max"),
        ([{"min": 2, "max": 4, "step": 1}], "exactly the keys min and max"),
        ({"min": 0.9, "max": 4}, "factor is 0.9"),
        ({"min": 2, "max": float("inf")}, "factor is inf"),
        ({"min": 2, "max": 2}, "min must be below max"),
        ([1, "2"], "factor is '2'"),
    ],
)
def test_wrong_factors_are_refused(factors, message):
    with pytest.raises(ValueError, match=message):
        read_factors(factors)
