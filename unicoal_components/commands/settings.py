"""`--set name=value`: any value of a bundle's config, understood as `python -m monai.bundle run --name value` does."""

from collections.abc import Sequence
from typing import Annotated, Any

from cyclopts import Parameter

from .bundle_run import typed_value

Settings = Annotated[Sequence[str], Parameter(metavar="NAME=VALUE", n_tokens=1)]


def read_settings(settings: Sequence[str]) -> dict[str, Any]:
    """Return the values by name.

    Raises:
        ValueError: a setting has another form.

    Example:
        >>> read_settings(["seed=1", "factors=[1, 4]", "sources=['t1']"])
        {'seed': 1, 'factors': [1, 4], 'sources': ['t1']}
    """
    values = {}
    for setting in settings:
        name, separator, word = setting.partition("=")
        if not (name and separator):
            raise ValueError(f"--set is '{setting}'; it must be a name and a value of the config, such as seed=1.")
        values[name] = typed_value(word)
    return values
