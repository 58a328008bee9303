"""Options that several commands have."""

import pytest

from unicoal_components.commands.settings import given


def test_the_device_is_left_to_the_bundle_or_is_an_expression():
    assert given("auto", ["seed=1"]) == {"seed": 1}
    assert given("cpu", []) == {"device": "$torch.device('cpu')"}


@pytest.mark.parametrize("name", ["cuda:99", "gpu"])
def test_a_device_that_is_not_there_is_named(name):
    with pytest.raises(ValueError, match=f"--device is '{name}'.*cpu"):
        given(name, [])
