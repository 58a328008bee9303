"""Parameter groups with separate learning rates."""

from typing import Any

from torch import nn

from ..runtime.distributed import unwrap

DETAIL = ("within.", "across.")
CONTRAST = "contrast."
ERROR = ".error_tail."


def parameter_groups(
    *,
    network: nn.Module,
    learning_rate: float,
    detail_learning_rate: float | None = None,
    error_learning_rate: float | None = None,
) -> list[dict[str, Any]]:
    """Group a generator's parameters for an optimizer.

    The alias-free part has equalized layers, whose weights have unit variance and need a large rate; the weights of the
    detail paths have a common size and need a common rate. The curves between modalities are a separate group, as
    gradients are clipped per group and theirs is the largest.

    Args:
        network: a `Generator`, or any network.
        learning_rate: rate of all parameters outside the detail paths.
        detail_learning_rate: rate of the detail paths; `None` = `learning_rate`.
        error_learning_rate: rate of the layers that predict the error alone; `None` = that of their detail path, and no
            group of their own. With 0 for the other rates only the prediction of the error is trained.
    """
    named = list(unwrap(network).named_parameters())
    detail_rate = learning_rate if detail_learning_rate is None else detail_learning_rate
    rates = {"core": learning_rate, "detail": detail_rate, "contrast": learning_rate}
    if error_learning_rate is not None:
        rates["error"] = error_learning_rate
    groups: dict[str, list[nn.Parameter]] = {part: [] for part in rates}
    for name, parameter in named:
        part = "detail" if name.startswith(DETAIL) else "contrast" if name.startswith(CONTRAST) else "core"
        if error_learning_rate is not None and ERROR in name:
            part = "error"
        groups[part].append(parameter)
    return [{"params": groups[part], "lr": rate} for part, rate in rates.items() if groups[part]]
