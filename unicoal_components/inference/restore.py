"""From what the network made to slices on the scan's own pixels, in its own units."""

from collections.abc import Iterator
from functools import lru_cache

import numpy as np

from ..scans.intensity import scale_from_unit
from ..slices.slice_group import thin_depths
from .load_stack import in_plane_of
from .loaded_scan import LoadedScan


def finished_slices(
    prediction: np.ndarray, *, native: np.ndarray, seen: np.ndarray, scan: LoadedScan, factor: float
) -> Iterator[np.ndarray]:
    """Yield thin slices of the scan's own modality, in its units, on its pixels.

    The network saw less than the scan holds: intensities clipped at two percentiles, and perhaps larger pixels. What is
    left of the thick slices x when its view S x is taken away, interpolated linearly between them, is added to its
    prediction p:

        y = S⁻¹ p + interpolation(x - S⁻¹ S x)

    so that a bright vessel keeps its value and fine pixels their detail (the official code clips both away). Where the
    thick slices on both sides are exactly 0, as around a brain without its skull, y is 0.

    Args:
        prediction: p, `(K, H', W')`, in [-1, 1], on the network's pixels.
        native: x, `(N, H, W)`, in the scan's units.
        seen: S x, `(N, H', W')`, in [-1, 1].
        scan: that the slices are of.
        factor: thick over thin slice spacing.

    Yields:
        K times float32 `(H, W)`, within the scan's own smallest and largest value.
    """
    pixels = in_plane_of(native.shape[-2:], scan)
    limits = native.min(), native.max()

    def in_units(slices: np.ndarray) -> np.ndarray:
        return scale_from_unit(pixels.back(slices), scan.low, scan.high)

    @lru_cache(maxsize=2)
    def unseen(number: int) -> np.ndarray:
        return native[number] - in_units(seen[number])

    for image, depth in zip(prediction, thin_depths(np.arange(len(prediction)), factor), strict=True):
        below, above = neighbors(depth, len(native))
        weight = np.float32(depth - below) if above > below else np.float32(0)
        rest = unseen(below) if not weight else (1 - weight) * unseen(below) + weight * unseen(above)
        values = np.clip(in_units(image) + rest, *limits)
        values[(native[below] == 0) & (native[above] == 0)] = 0
        yield values


def synthesized_slices(
    prediction: np.ndarray, *, native: np.ndarray, scan: LoadedScan, factor: float, scale: tuple[float, float]
) -> Iterator[np.ndarray]:
    """Yield thin slices of another modality on the scan's pixels: -1 and 1 become the two numbers of `scale`.

    Another modality has no units to go back to. Outside of a brain without its skull the slices are 0; see
    `finished_slices`, also for the arguments.
    """
    pixels = in_plane_of(native.shape[-2:], scan)
    for image, depth in zip(prediction, thin_depths(np.arange(len(prediction)), factor), strict=True):
        below, above = neighbors(depth, len(native))
        values = scale_from_unit(pixels.back(image).clip(-1, 1), *scale)
        values[(native[below] == 0) & (native[above] == 0)] = 0
        yield values


def spread_slices(
    spread: np.ndarray, *, native: np.ndarray, scan: LoadedScan, factor: float, scale: tuple[float, float]
) -> Iterator[np.ndarray]:
    """Yield how far values may lie from the output, `(K, H', W')` on the scale of [-1, 1], in the output's units.

    Such as the standard deviation of samples, or the expected error.

    0 where the output is 0 whatever the network says; see `finished_slices`.
    """
    pixels = in_plane_of(native.shape[-2:], scan)
    for image, depth in zip(spread, thin_depths(np.arange(len(spread)), factor), strict=True):
        below, above = neighbors(depth, len(native))
        values = np.maximum(pixels.back(image), 0) * np.float32((scale[1] - scale[0]) / 2)
        values[(native[below] == 0) & (native[above] == 0)] = 0
        yield values


def neighbors(depth: float, count: int) -> tuple[int, int]:
    """Return the thick slices on both sides of a depth in thick slices; one slice twice where it lies in it.

    Example:
        >>> neighbors(1.5, 4), neighbors(2.0, 4), neighbors(3.7, 4)
        ((1, 2), (2, 2), (3, 3))
    """
    inside = min(max(depth, 0), count - 1)
    return int(np.floor(inside)), int(np.ceil(inside))
