"""Geometry of slice groups: the thick slices around a thin slice, and its position between them.

All positions along the axis through the slices are counted in thin slices. The factor k is any real number ≥ 1, so
products and quotients of it carry rounding errors; centers are therefore rounded to `DECIMALS`, so that one slice has
one center however it was computed, and comparisons leave room for `TOLERANCE`.
"""

import math
from numbers import Real
from typing import Any

import numpy as np

DECIMALS = 8  # decimals of centers, in thin slices
SNAP = 1e-4  # thick slices; a depth this close to a thick slice is that slice
TOLERANCE = 1e-6  # thin slices; well above the rounding errors, and above the step of float32 below 1 (6e-8)


def check_factor(factor: float) -> float:
    """Return the factor as a float.

    Raises:
        ValueError: the factor is not a finite number of at least 1.

    Example:
        >>> check_factor(4)
        4.0
    """
    if isinstance(factor, bool) or not isinstance(factor, Real) or not 1 <= factor < math.inf:
        raise ValueError(
            f"factor is {factor!r}; it must be a finite real number >= 1 (thick over thin slice spacing; "
            "1 means that the source already has thin slices)"
        )
    return float(factor)


def slice_centers(anchor: float, factor: float, *, size: int = 4) -> list[float]:
    """Return the centers of the thick slices of a group: a-k, a, a+k, a+2k for the usual size of 4.

    In general `size` / 2 - 1 slices are before the anchor and `size` / 2 after it, so that the thin slice is in the
    middle gap. Centers outside the volume are returned too; their slices are blank.

    Args:
        anchor: center a of the slice just before, or at, the thin slice; in thin slices, may be negative.
        factor: spacing k of the thick slices, in thin slices, ≥ 1.
        size: number of slices, even and positive.

    Raises:
        ValueError: the factor is below 1, or the size is not an even positive integer.

    Example:
        >>> slice_centers(4, 2.5)
        [1.5, 4.0, 6.5, 9.0]
        >>> slice_centers(10, 1, size=2)
        [10.0, 11.0]
    """
    factor = check_factor(factor)
    if isinstance(size, bool) or not isinstance(size, int) or size < 2 or size % 2:
        raise ValueError(f"size of the slice group is {size!r}; it must be an even positive integer, usually 4")
    return [_rounded(anchor + step * factor) for step in range(1 - size // 2, size // 2 + 1)]


def slice_position(thin_index: int, anchor: float, factor: float) -> float:
    """Return the position of a thin slice between its anchor (0) and the next thick slice (1, not reached).

    (b - a) / k, with b = `thin_index`, a = `anchor`, k = `factor`; in [0, 1), also after conversion to float32.

    Raises:
        ValueError: the thin slice is not in the gap that begins at the anchor, or the factor is below 1.

    Example:
        >>> slice_position(7, 5, 2.5)
        0.8
    """
    factor = check_factor(factor)
    position = (thin_index - anchor) / factor
    if not -2 * TOLERANCE <= position <= 1 - TOLERANCE / 2:
        raise ValueError(
            f"thin slice {thin_index} has position {position:.6g} after anchor {anchor} at factor {factor}; it must "
            "be in [0, 1): the anchor must be the thin index minus less than `anchor_count(factor)`"
        )
    return max(position, 0.0)


def anchor_count(factor: float) -> int:
    """Return the number of possible anchors b, b-1, b-2, … of a thin slice b: those with a position below 1.

    ⌈k⌉, which for an integer factor is k. Training draws among them.

    Example:
        >>> anchor_count(1), anchor_count(4), anchor_count(2.5)
        (1, 4, 3)
    """
    return math.ceil(check_factor(factor) - 2 * TOLERANCE)


def thick_count(depth: float, factor: float) -> int:
    """Return the number of thick slices of a volume: ⌊(D - 1) / k⌋ + 1, centered at 0, k, 2k and so on.

    If the first is centered at a phase p, D is replaced by D - p.

    Example:
        >>> thick_count(9, 4), thick_count(8, 4), thick_count(12, 1.1)
        (3, 2, 11)
    """
    return math.floor((depth - 1) / check_factor(factor) + TOLERANCE) + 1


def _rounded(center: float) -> float:
    return round(float(center), DECIMALS)


def thin_depths(indices: Any, factor: float) -> np.ndarray:
    """Return the depths of thin slices in a thick stack: `b / factor`, in thick slices, shape (K,).

    Args:
        indices: integers b: a sequence, an array or a tensor on any device.
        factor: thick over thin slice spacing, ≥ 1.

    Raises:
        ValueError: the factor is below 1 or not finite.

    Example:
        >>> thin_depths([0, 1, 2, 3], 2.0).tolist()
        [0.0, 0.5, 1.0, 1.5]
    """
    factor = check_factor(factor)
    numbers = indices.detach().cpu() if hasattr(indices, "detach") else indices
    depths = np.asarray(numbers).reshape(-1).astype(np.float64) / factor
    nearest = np.round(depths)
    return np.where(np.abs(depths - nearest) < SNAP, nearest, depths)


def are_neighbors(indices: Any) -> bool:
    """Return whether slices with these numbers, an array or tensor `(K,)`, follow each other without a gap."""
    return bool((indices[1:] - indices[:-1] == 1).all())
