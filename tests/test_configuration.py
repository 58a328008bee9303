import sys
from pathlib import Path

import pytest
import torch
from monai.transforms import Compose
from torch.utils.data import DataLoader

from unicoal_components.configuration import cause_of, check_config, check_files, check_keys, show_cause_last


def chained(*errors):
    """The first of `errors`, caused by the second, and so on."""
    for outer, inner in zip(errors, errors[1:], strict=False):
        outer.__cause__ = inner
    return errors[0]


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


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (chained(RuntimeError("applying"), ValueError("ours"), KeyError("library")), "ours"),
        (chained(RuntimeError("evaluate"), RuntimeError("applying"), FileNotFoundError("gone.nii")), "gone.nii"),
        (chained(RuntimeError("evaluate"), ZeroDivisionError("by zero")), "ZeroDivisionError('by zero')"),
        (ValueError("alone"), "alone"),
        (
            chained(RuntimeError("instantiate"), TypeError("f() got an unexpected keyword argument 'sed'")),
            "f() got an unexpected keyword argument 'sed'. Correct or remove that entry of the configuration.",
        ),
    ],
)
def test_the_users_mistake_is_found_among_the_layers_around_it(error, words):
    assert cause_of(error) == words


class Broken(torch.utils.data.Dataset):
    """A data set whose every item fails as a damaged file does, with a library's error behind it."""

    def __init__(self, transform):
        self.transform = transform

    def __len__(self):
        return 1

    def __getitem__(self, index):
        return self.transform(index)


def fail(index):
    try:
        raise EOFError("compressed data ended")
    except EOFError as error:
        raise OSError("p01.h5 is truncated: prepare it again.") from error


@pytest.mark.parametrize("transform", [fail, Compose([fail])])
def test_the_users_mistake_is_found_in_the_text_that_a_worker_sends(transform):
    with pytest.raises((OSError, RuntimeError)) as caught:
        next(iter(DataLoader(Broken(transform), num_workers=1)))
    assert cause_of(caught.value) == "p01.h5 is truncated: prepare it again."


def test_the_users_mistake_is_printed_last(capsys):
    error = chained(RuntimeError("applying transform"), ValueError("factor is 0.5."))
    show_cause_last(type(error), error, None)
    printed = capsys.readouterr().err
    assert "RuntimeError: applying transform" in printed
    assert printed.endswith("\nerror: factor is 0.5.\n")


def test_an_error_without_layers_is_printed_once(capsys):
    error = ValueError("factor is 0.5.")
    show_cause_last(type(error), error, None)
    assert capsys.readouterr().err.count("factor is 0.5.") == 1
