"""Compilation of networks, if the machine supports it."""

import logging

import torch
from torch import nn

logger = logging.getLogger(__name__)


def compile_network(*, network: nn.Module, enabled: bool = True) -> nn.Module:
    """Compile a network in place by `torch.compile`, as one graph, at its first call.

    Weights, their names, copies and saved states stay the same. The first call of every shape takes a minute or more,
    so compiling is worthwhile for long runs only.

    Args:
        network: generator or discriminator.
        enabled: whether to compile; `False` returns the network unchanged.

    Returns:
        `network`. If compiling fails (e.g. without a C++ compiler) it stays eager, and a warning gives the reason.
    """
    if not enabled:
        return network
    device = next(network.parameters()).device
    try:
        torch.compile(_probe, fullgraph=True)(torch.zeros(8, device=device))
    except Exception as error:  # backends raise various errors
        reason = str(error).strip().splitlines() or [type(error).__name__]
        logger.warning("The network runs uncompiled, as torch.compile does not work here: %s", reason[0])
        return network
    network.compile(fullgraph=True)
    return network


def _probe(x: torch.Tensor) -> torch.Tensor:
    return x + 1
