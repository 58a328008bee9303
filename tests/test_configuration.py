import sys
from pathlib import Path

import pytest
from monai.bundle import ConfigParser

from unicoal_components.configuration import check_config, check_files, check_keys, raw_parts, user_values


def test_a_misspelled_key_is_named_with_the_nearest_known_one_and_the_files():
    with pytest.raises(ValueError, match=r"'factr' \(did you mean 'factor'\?\).*configs/train.json.*Correct") as error:
        check_keys(["factr", "seed"], {"factor", "seed"}, folder=Path("configs"))
    assert "seed" not in str(error.value)


def test_several_unknown_keys_are_all_named_in_a_fixed_order():
    with pytest.raises(ValueError, match="'aaa', 'zzz'"):
        check_keys({"zzz", "aaa"}, {"seed"}, folder=Path())


def test_an_overlay_may_be_anywhere_except_in_another_bundle(tmp_path):
    for place in ("cms/configs", "sr/configs", "mine"):
        (tmp_path / place).mkdir(parents=True)
    for task in ("cms", "sr"):
        (tmp_path / task / "configs" / "metadata.json").touch()
    folder = tmp_path / "cms" / "configs"
    check_files([folder / "train.json", tmp_path / "sr" / ".." / "cms" / "configs" / "x.json"], folder=folder)
    check_files([folder / "train.json", tmp_path / "mine" / "train.json"], folder=folder)
    with pytest.raises(
        ValueError, match=r"sr/configs/x5\.json' belongs to another.*cms/configs'.*sr/configs/train.json"
    ):
        check_files([folder / "train.json", tmp_path / "sr" / "configs" / "x5.json"], folder=folder)


def test_values_are_those_of_the_configuration_that_is_parsed_while_another_one_lives():
    parsers = [
        ConfigParser(
            {
                "_desc_": "two in one process",
                "seed": seed,
                "doubled": "$2 * @seed",
                "imports": [],
                "network": {"_target_": "Generator", "seed": "@seed"},
                "values": {"_target_": "unicoal_components.user_values"},
                "parts": {"_target_": "unicoal_components.raw_parts", "names": ["network"]},
                "record": {"values": "@values", "parts": "@parts"},
            }
        )
        for seed in (1, 2)
    ]
    for seed in (1, 2, 1):
        record = parsers[seed - 1].get_parsed_content("record")
        assert record["values"] == {"seed": seed, "doubled": 2 * seed}
        assert record["parts"] == {"network": {"_target_": "Generator", "seed": "@seed"}}
    assert user_values() == raw_parts(names=["network"]) == {}


def test_without_a_running_workflow_nothing_is_checked():
    hook = sys.excepthook
    check_config()
    assert sys.excepthook is hook
