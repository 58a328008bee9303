"""Smoothing of slices of another modality along the axis through them, against differences from slice to slice."""

from torch import Tensor

from ..keys import BLANK
from ..slices.slice_group import are_neighbors

STRENGTH = 0.01
"""Weight of each neighbor over the squared factor, so that the blur is as wide in thick slices at every factor."""

LARGEST = 0.25
"""Largest weight of each neighbor."""


def smooth_slices(thin: Tensor, *, indices: Tensor, factor: float) -> None:
    """Average thin slices, in place, with their neighbors.

    The network makes each slice by itself, and errs a little differently in the next one. With the factor k::

        x_d + e Σ m (x_n - x_d),   n = d - 1, d + 1,   e = min(0.01 k², 0.25)

    where m is 1 if neither of the two is background (-1), and 0 otherwise. Slices that are no neighbors stay.

    Args:
        thin: thin slices `(K, H, W)` in [-1, 1].
        indices: their numbers `(K,)`.
        factor: thick over thin slice spacing k, ≥ 1.
    """
    if not are_neighbors(indices):
        return
    weight = min(STRENGTH * factor**2, LARGEST)
    here = thin[0].clone()
    for number in range(1, len(thin)):
        after = thin[number].clone()
        step = weight * ((here > BLANK) & (after > BLANK)) * (after - here)
        thin[number - 1] += step
        thin[number] -= step
        here = after
