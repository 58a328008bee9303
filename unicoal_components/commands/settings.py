"""Options that several commands have: `--config`, `--device`, and `--set name=value` for any value of a config."""

from collections.abc import Sequence
from typing import Annotated, Any

from cyclopts import Parameter

from ..typed_values import meant
from .bundle_run import Expression, typed_value

Configs = Annotated[Sequence[str], Parameter(n_tokens=1, metavar="FILE")]
Settings = Annotated[Sequence[str], Parameter(metavar="NAME=VALUE", n_tokens=1)]


def read_settings(settings: Sequence[str]) -> dict[str, Any]:
    """Return the values by name, understood as a bundle's `python -m monai.bundle run --name value` does.

    Raises:
        ValueError: a setting has another form.

    Example:
        >>> read_settings(["seed=1", "factors=[1, 4]", "error_map=true", "unet=null"])
        {'seed': 1, 'factors': [1, 4], 'error_map': True, 'unet': None}
    """
    values = {}
    for setting in settings:
        name, separator, word = setting.partition("=")
        if not (name and separator):
            raise ValueError(f"--set is '{setting}'; it must be a name and a value of the config, such as seed=1.")
        value = meant(name, word, default=None, parse=typed_value)
        values[name] = Expression(value) if isinstance(value, str) else value
    return values


def given(device: str, settings: Sequence[str]) -> dict:
    """Return the values of `--device` and `--set`.

    Raises:
        ValueError: this computer has no such device, or a setting has another form.
    """
    if device not in ("auto", "cpu"):
        _check_device(device)
    chosen = {} if device == "auto" else {"device": Expression(f"$torch.device({device!r})")}
    return chosen | read_settings(settings)


def _check_device(name: str) -> None:
    import torch  # takes seconds

    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).partition("\n")[0]
        raise ValueError(f"--device is '{name}', which cannot be used: {reason} Give auto, or cpu.") from error
