import json

import pytest

from unicoal_components.preparation.options import PreparationSteps


def test_without_options_nothing_is_done_and_nothing_recorded():
    steps = PreparationSteps()
    assert steps.options() == {}
    assert not steps.resamples
    assert steps.reference(["t2", "t1"]) == "t2"


def test_options_are_json_and_hold_what_has_an_effect_only():
    steps = PreparationSteps(bias_correction=True, register_to="t1", spacing=1, crop="brain", margin=0)
    expected = {"bias_correction": True, "register_to": "t1", "seed": 0, "spacing": 1.0, "crop": "brain", "margin": 0.0}
    assert json.loads(json.dumps(steps.options())) == expected
    assert PreparationSteps(margin=9, seed=3).options() == {}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"crop": "head"}, "crop is 'head'.*none, foreground, brain"),
        ({"spacing": 0}, "spacing is 0; .* mm between 0.05 and 100"),
        ({"spacing": "1mm"}, "spacing is '1mm'"),
        ({"spacing": True}, "spacing is True"),
        ({"margin": -1}, "margin is -1"),
        ({"margin": float("nan")}, "margin is nan"),
        ({"bias_correction": "n4"}, "bias_correction is 'n4'.*true or false"),
        ({"nan_background": 1}, "nan_background is 1.*true or false"),
    ],
)
def test_values_outside_their_range_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        PreparationSteps(**options)


def test_a_reference_that_is_no_modality_is_named():
    PreparationSteps().check_modality(["t1"])
    with pytest.raises(ValueError, match=r"register_to is 'flair'.*\['t1'\]"):
        PreparationSteps(register_to="flair").check_modality(["t1"])
