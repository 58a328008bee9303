"""Parameters with learning rates of their own."""

from typing import Any

from torch import nn

from .distributed import unwrap

DETAIL = ("within.", "across.")


def parameter_groups(
    *, network: nn.Module, learning_rate: float, detail_learning_rate: float | None = None
) -> list[dict[str, Any]]:
    """Group a generator's parameters for an optimizer.

    The alias-free part has equalized layers, whose weights have unit variance and want a large rate; those of the
    detail paths are as small as usual and want a usual one.

    Args:
        network: a `Generator`, or any network.
        learning_rate: of all that is not of the detail paths.
        detail_learning_rate: of the detail paths; `None` = `learning_rate`.
    """
    named = list(unwrap(network).named_parameters())
    rates = {False: learning_rate, True: learning_rate if detail_learning_rate is None else detail_learning_rate}
    groups = [
        {"params": [parameter for name, parameter in named if name.startswith(DETAIL) == own], "lr": rate}
        for own, rate in rates.items()
    ]
    return [group for group in groups if group["params"]]
