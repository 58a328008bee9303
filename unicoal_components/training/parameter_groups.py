"""Parameters with learning rates of their own."""

from typing import Any

from torch import nn

from ..runtime.distributed import unwrap

DETAIL = ("within.", "across.")
CONTRAST = "contrast."


def parameter_groups(
    *, network: nn.Module, learning_rate: float, detail_learning_rate: float | None = None
) -> list[dict[str, Any]]:
    """Group a generator's parameters for an optimizer.

    The alias-free part has equalized layers, whose weights have unit variance and want a large rate; those of the
    detail paths are as small as usual and want a usual one. The curves between modalities are a group of their own, as
    a gradient is limited group by group and theirs is the largest.

    Args:
        network: a `Generator`, or any network.
        learning_rate: of all that is not of the detail paths.
        detail_learning_rate: of the detail paths; `None` = `learning_rate`.
    """
    named = list(unwrap(network).named_parameters())
    detail_rate = learning_rate if detail_learning_rate is None else detail_learning_rate
    rates = {"core": learning_rate, "detail": detail_rate, "contrast": learning_rate}
    groups: dict[str, list[nn.Parameter]] = {part: [] for part in rates}
    for name, parameter in named:
        part = "detail" if name.startswith(DETAIL) else "contrast" if name.startswith(CONTRAST) else "core"
        groups[part].append(parameter)
    return [{"params": groups[part], "lr": rate} for part, rate in rates.items() if groups[part]]
