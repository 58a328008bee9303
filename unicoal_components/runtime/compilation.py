"""Compiled networks, where the machine can compile."""

import logging

import torch
from torch import nn

logger = logging.getLogger(__name__)


def compile_network(*, network: nn.Module, enabled: bool = True) -> nn.Module:
    """Let a network run compiled by `torch.compile`, in one graph, from its first call on.

    The network itself is changed: its weights, their names and what is copied or saved of it stay as they are. The
    first call of every shape takes a minute or more, so that compiling pays for long runs only.

    Args:
        network: generator or discriminator.
        enabled: False leaves it as it is, which lets a configuration switch.

    Returns:
        `network`. Where nothing can be compiled (no C++ compiler, say) it stays eager, and a warning says why.
    """
    if not enabled:
        return network
    device = next(network.parameters()).device
    try:
        torch.compile(_probe, fullgraph=True)(torch.zeros(8, device=device))
    except Exception as error:  # every backend has its own ways to fail
        reason = str(error).strip().splitlines() or [type(error).__name__]
        logger.warning("The network runs uncompiled, as torch.compile does not work here: %s", reason[0])
        return network
    network.compile(fullgraph=True)
    return network


def _probe(x: torch.Tensor) -> torch.Tensor:
    return x + 1
