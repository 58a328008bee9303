"""Full precision for parts of a network under autocast."""

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor


def without_autocast(x: Tensor) -> AbstractContextManager:
    """Return a context without autocast on the device of `x`.

    If autocast is off, the context does nothing: an exported graph would keep each context as a separate graph.
    """
    kind = x.device.type
    return torch.autocast(kind, enabled=False) if torch.is_autocast_enabled(kind) else nullcontext()
