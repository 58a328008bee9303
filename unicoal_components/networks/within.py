"""Synthesis within a modality by a detail path alone, and the split of a batch by rows."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from .detail import DetailPath, scale_of_error
from .residual import between_anything, interpolate_slices


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
        given = (image, interpolated, modality, position, acquisition)
        made = self._both_sides(*given) if traced() else by_row(position > 0, self._both_sides, self._one_side, given)
        output = interpolated + between_anything(image) * made[:, :1]
        return torch.cat([output, scale_of_error(made[:, 1:])], dim=1)

    def _both_sides(
        self, image: Tensor, interpolated: Tensor, modality: Tensor, position: Tensor, acquisition: Tensor
    ) -> Tensor:
        """Return (1 - t) D(g, t) + t D(reversed g, 1 - t): a mean of two, and no jump from one side to the other."""
        ahead = self._one_side(image, interpolated, modality, position, acquisition)
        behind = self._one_side(image.flip(1), interpolated, modality, 1 - position, acquisition)
        return ahead + position[:, :, None, None] * (behind - ahead)

    def _one_side(
        self, image: Tensor, interpolated: Tensor, modality: Tensor, position: Tensor, acquisition: Tensor
    ) -> Tensor:
        """Return D(g, t), which is all where t = 0, at a slice that was given."""
        return self(torch.cat([image, interpolated], dim=1), modality, position, acquisition)


def by_row(
    mask: Tensor, where: Callable[..., Tensor], elsewhere: Callable[..., Tensor], given: Sequence[Tensor]
) -> Tensor:
    """Call one function for the rows of a batch where a mask is set and another for the rest, if there are any.

    While a graph is recorded, no branch may depend on the data: both are called for all.

    Args:
        mask: `(B, 1)`, above 0 where it is set.
        where: function for these rows; returns `(B, C, H, W)`.
        elsewhere: function for the others; returns the same shape.
        given: arguments of both, batch first.

    Returns:
        `(B, C, H, W)`.
    """
    if traced():
        return torch.where(mask[:, :, None, None] > 0, where(*given), elsewhere(*given))
    chosen = mask[:, 0] > 0
    if bool(chosen.all()):
        return where(*given)
    if not bool(chosen.any()):
        return elsewhere(*given)
    rows, others = chosen.nonzero()[:, 0], chosen.logical_not().nonzero()[:, 0]
    parts = [where(*(x[rows] for x in given)), elsewhere(*(x[others] for x in given))]
    return torch.cat(parts)[torch.cat([rows, others]).argsort()]


def traced() -> bool:
    """Return whether a graph is being recorded, by `torch.jit.trace`, `torch.compile` or `torch.export`."""
    return torch.jit.is_tracing() or torch.compiler.is_compiling()


def side_of(image: Tensor, same_modality: Tensor | None, resolution: int) -> int:
    """Return the required image side: the network's, or any even one if all slices stay within their modality."""
    if same_modality is None or traced() or not bool(same_modality.all()):
        return resolution
    return image.shape[-1] // 2 * 2
