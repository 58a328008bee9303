"""Synthesis within a modality by a detail path alone, and the split of a batch by task."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from .detail import DetailPath, scale_of_error
from .residual import between_anything, interpolate_slices, nearer_first


class WithinPath(DetailPath):
    """Detail path that adds missing detail to the interpolation; its input is the slice group and the interpolation."""

    def slices(
        self, image: Tensor, z: Tensor, modality: Tensor, position: Tensor, same: Tensor, acquisition: Tensor
    ) -> Tensor:
        """Synthesize slices, and the scale of their error if the path predicts it.

        Args:
            image: slice groups `(B, S, H, W)` in [-1, 1].
            z: unused, as synthesis within a modality is deterministic.
            modality: target modality, see `complete_inputs`, also for the following.
            position: position of the wanted slice.
            same: unused.
            acquisition: acquisition of the input.

        Returns:
            `(B, 1 or 2, H, W)`.
        """
        interpolated = interpolate_slices(image, position)
        group, nearest = nearer_first(image, position)
        made = self(torch.cat([group, interpolated], dim=1), modality, nearest, acquisition)
        output = interpolated + between_anything(image) * made[:, :1]
        return torch.cat([output, scale_of_error(made[:, 1:])], dim=1)


def by_task(
    same: Tensor, within: Callable[..., Tensor], across: Callable[..., Tensor], given: Sequence[Tensor]
) -> Tensor:
    """Call one function for the slices within a modality and another for those across, each only if there are any.

    While a graph is recorded, no branch may depend on the data: both are called for all.

    Args:
        same: `(B, 1)`, 1 within a modality, else 0.
        within: function for slices within a modality; returns `(B, C, H, W)`.
        across: function for slices across modalities; returns the same shape.
        given: arguments of both, batch first.

    Returns:
        `(B, C, H, W)`.
    """
    if traced():
        return torch.where(same[:, :, None, None] > 0, within(*given), across(*given))
    chosen = same[:, 0] > 0
    if bool(chosen.all()):
        return within(*given)
    if not bool(chosen.any()):
        return across(*given)
    rows, others = chosen.nonzero()[:, 0], chosen.logical_not().nonzero()[:, 0]
    parts = [within(*(x[rows] for x in given)), across(*(x[others] for x in given))]
    return torch.cat(parts)[torch.cat([rows, others]).argsort()]


def traced() -> bool:
    """Return whether a graph is being recorded, by `torch.jit.trace`, `torch.compile` or `torch.export`."""
    return torch.jit.is_tracing() or torch.compiler.is_compiling()


def side_of(image: Tensor, same_modality: Tensor | None, resolution: int) -> int:
    """Return the required image side: the network's, or any even one if all slices stay within their modality."""
    if same_modality is None or traced() or not bool(same_modality.all()):
        return resolution
    return image.shape[-1] // 2 * 2
