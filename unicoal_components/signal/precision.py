"""Parts of a network that must not be rounded."""

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor


def without_autocast(x: Tensor) -> AbstractContextManager:
    """Compute as if there were no autocast on the device of `x`.

    Where there is none, nothing is entered: an exported graph keeps each entry as a graph of its own.
    """
    kind = x.device.type
    return torch.autocast(kind, enabled=False) if torch.is_autocast_enabled(kind) else nullcontext()
