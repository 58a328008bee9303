import pytest

from unicoal_components.inference.training_range import TrainingRange

ERRORS = TrainingRange({"expected_error": {"same": 0.04, "cross": 0.1}})


def test_an_expected_error_far_above_the_training_s_gives_a_warning():
    assert ERRORS.doubt_of_error(0.06, same=True) is None
    assert "an error of 0.07 of the intensity range in it, 1.8 times" in ERRORS.doubt_of_error(0.07, same=True)
    assert ERRORS.doubt_of_error(0.07, same=False) is None
    assert ERRORS.doubt_of_error(0.16, same=False) is not None


@pytest.mark.parametrize("values", [None, {}, {"expected_error": None}, {"expected_error": {"same": None}}])
def test_without_a_value_nothing_is_compared(values):
    assert TrainingRange(values).doubt_of_error(0.9, same=True) is None
    assert ERRORS.doubt_of_error(None, same=True) is None


@pytest.mark.parametrize("errors", [0.1, [0.1, 0.2], {"both": 0.1}, {"same": 0}, {"same": "small"}])
def test_expected_errors_of_another_form_are_refused(errors):
    with pytest.raises(ValueError, match="training_range has expected_error .*'same'.*'cross'.*or null"):
        TrainingRange({"expected_error": errors})


@pytest.mark.parametrize("pair", [1, [1], [2, 1], ["a", "b"], [1, None]])
def test_a_range_of_another_form_is_refused(pair):
    with pytest.raises(ValueError, match=r"training_range has factor .*\[smallest, largest\], two numbers, or null"):
        TrainingRange({"factor": pair})


def test_values_outside_by_more_than_a_percent_are_reported_and_clipped():
    trained = TrainingRange({"factor": [1, 7], "slice_spacing": None})
    assert trained.doubts(factor=7.06, slice_spacing=99.0) == []
    (warning,) = trained.doubts(factor=7.1)
    assert "its factor of 7.1 is outside of what the network was trained on, 1 to 7" in warning
    assert trained.clipped("factor", 9.0) == 7 and trained.clipped("slice_spacing", 9.0) == 9
