"""Collective operations of distributed training; in a single process they do nothing."""

from collections.abc import Iterable
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import nn

T = TypeVar("T")


def world_size() -> int:
    """Return the number of processes that train together."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """Return this process's rank, 0 for the one that writes files."""
    return dist.get_rank() if dist.is_available() and dist.is_initialized() else 0


def unwrap(network: nn.Module) -> nn.Module:
    """Return the network inside a `DistributedDataParallel`, or the network itself."""
    return network.module if isinstance(network, nn.parallel.DistributedDataParallel) else network


def average_over_ranks(tensor: torch.Tensor) -> torch.Tensor:
    """Average a tensor over all processes, in place."""
    if world_size() > 1:
        dist.all_reduce(tensor)
        tensor /= world_size()
    return tensor


def average_gradients(network: nn.Module) -> None:
    """Average a network's gradients over all processes in one message.

    It replaces the hooks of `DistributedDataParallel`, which do not support the double backward of R1. A parameter that
    was not used in a process has the gradient 0 there.
    """
    if world_size() == 1:
        return
    for parameter in network.parameters():
        if parameter.requires_grad and parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
    gradients = [p.grad for p in network.parameters() if p.grad is not None]
    flat = average_over_ranks(torch.cat([g.flatten() for g in gradients]))
    for gradient, part in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
        gradient.copy_(part.view_as(gradient))


def largest_of_ranks(value: int, *, device: torch.device | str) -> int:
    """Return the largest value of all processes in all processes; `device` is one that their backend supports."""
    if world_size() == 1:
        return value
    values = torch.tensor(value, device=device)
    dist.all_reduce(values, op=dist.ReduceOp.MAX)
    return int(values)


def from_first_rank(value: T) -> T:
    """Return the value of the first process in all processes, so that they take the same branch."""
    values = [value]
    if world_size() > 1:
        dist.broadcast_object_list(values, src=0)
    return values[0]


def broadcast_state(networks: Iterable[nn.Module]) -> None:
    """Copy the weights and buffers of the first process to all processes."""
    if world_size() > 1:
        for network in networks:
            for tensor in network.state_dict().values():
                dist.broadcast(tensor, src=0)
