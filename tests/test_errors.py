import pytest
from monai.transforms import Compose
from torch.utils.data import DataLoader, Dataset

from unicoal_components.errors import cause_of, is_user_error


def chained(*errors):
    """The first of `errors`, caused by the second, and so on."""
    for outer, inner in zip(errors, errors[1:], strict=False):
        outer.__cause__ = inner
    return errors[0]


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


class Broken(Dataset):
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


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (chained(RuntimeError("evaluate"), FileNotFoundError("gone.nii")), True),
        (chained(RuntimeError("instantiate"), TypeError("f() got an unexpected keyword argument 'sed'")), True),
        (RuntimeError("Traceback (most recent call last):\nOSError: p01.h5 is truncated"), True),
        (chained(RuntimeError("evaluate"), ZeroDivisionError("by zero")), False),
        (KeyboardInterrupt(), False),
    ],
)
def test_a_users_mistake_differs_from_a_defect(error, expected):
    assert is_user_error(error) == expected
