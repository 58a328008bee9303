"""Baseline for the alias-free filters: bilinear upsampling and averaging, as in common networks."""

import copy

import torch
from torch import Tensor, nn

from .alias_free import AliasFreeLayer

FILTERS = ("alias_free", "plain")


def bilinear_taps(*, taps: int, factor: int) -> Tensor:
    """Return the filter of bilinear upsampling, padded with zeros.

    h(t) = max(0, 1 - |t| / factor) / factor at t = -(taps - 1) / 2, ..., (taps - 1) / 2 in samples of the output: the
    middle, and with it the group delay, is that of every symmetric filter of this length.

    Args:
        taps: length, at least twice the factor; even as the factor is, so that the middle lies between two taps (what
            `align_corners=False` means elsewhere).
        factor: samples out per sample in.

    Returns:
        `(taps,)`, float32, of sum 1.

    Example:
        >>> (8 * bilinear_taps(taps=6, factor=2)).tolist()
        [0.0, 1.0, 3.0, 3.0, 1.0, 0.0]
    """
    return (1 - _distances(taps) / factor).clamp(min=0) / factor


def average_taps(*, taps: int, factor: int) -> Tensor:
    """Return the filter that averages the `factor` samples in the middle, padded with zeros; see `bilinear_taps`.

    Example:
        >>> average_taps(taps=6, factor=2).tolist()
        [0.0, 0.0, 0.5, 0.5, 0.0, 0.0]
    """
    return (_distances(taps) < factor / 2).float() / factor


def set_plain_filters(network: nn.Module) -> None:
    """Replace the filters of every alias-free layer of a network; filters are not part of its state dict.

    Up filters become bilinear, down filters an average over the samples that become one. Weights, sizes, rates and
    sample positions stay the same, so that a comparison isolates the effect of the filters.
    """
    for layer in network.modules():
        if isinstance(layer, AliasFreeLayer):
            if layer.up_filter is not None:
                layer.up_filter = bilinear_taps(taps=len(layer.up_filter), factor=layer.up).to(layer.up_filter)
            if layer.down_filter is not None:
                layer.down_filter = average_taps(taps=len(layer.down_filter), factor=layer.down).to(layer.down_filter)


def use_plain_filters(network: nn.Module) -> nn.Module:
    """Return a copy of a network with plain filters, see `set_plain_filters`; the network itself is not changed."""
    plain = copy.deepcopy(network)
    set_plain_filters(plain)
    return plain


def _distances(taps: int) -> Tensor:
    """Return the distances of taps from the middle of their filter."""
    return (torch.arange(taps, dtype=torch.float32) - (taps - 1) / 2).abs()
