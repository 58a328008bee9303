import numpy as np
import pytest

from unicoal_components.simulation.tissue_constants import TISSUES, Tissue, tissues_at, vary_tissues


def test_the_table_is_that_of_3_tesla():
    assert tissues_at(3.0) == dict(TISSUES)


def test_at_a_lower_field_t1_is_shorter_and_t2_slightly_longer():
    for name in ("gray", "white", "caudate", "muscle", "lesion"):
        low, high = tissues_at(1.5)[name], TISSUES[name]
        assert low.t1 == pytest.approx(high.t1 * 0.5**0.38)
        assert high.t2 < low.t2 < 1.1 * high.t2
        assert low.pd == high.pd
    assert tissues_at(1.5)["csf"] == TISSUES["csf"]


@pytest.mark.parametrize("field", [0.0, -3.0, 30.0, float("nan")])
def test_an_impossible_field_is_an_error(field):
    with pytest.raises(ValueError, match=f"field is {field}; .* tesla from 0.2 to 10"):
        tissues_at(field)


def test_varied_tissues_stay_within_their_spread():
    varied = vary_tissues(
        {"gray": Tissue(1000.0, 100.0, 1.0)}, np.random.default_rng(0), spread=0.1, contrast_spread=0.0
    )
    assert 900 <= varied["gray"].t1 <= 1100
    assert 90 <= varied["gray"].t2 <= 110
    assert varied["gray"].pd == 1.0


def test_the_deep_nuclei_lie_between_white_and_gray_matter():
    order = ("white", "pallidum", "thalamus", "putamen", "caudate", "gray")
    assert [TISSUES[name].t1 for name in order] == sorted(TISSUES[name].t1 for name in order)
