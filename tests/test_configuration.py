import sys
from pathlib import Path

import pytest

from unicoal_components.configuration import check_config, check_files, check_keys


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


def test_without_a_running_workflow_nothing_is_checked():
    hook = sys.excepthook
    check_config()
    assert sys.excepthook is hook
