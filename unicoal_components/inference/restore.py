"""Conversion of predicted slices to the pixels and units of the scan."""

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

    The network sees only part of the scan: intensities clipped at two percentiles, and possibly larger pixels. The
    difference between the thick slices x and this view S x of them is interpolated linearly between slices and added to
    the prediction p:

        y = S⁻¹ p + interpolation(x - S⁻¹ S x)

    so bright vessels keep their value and fine pixels their detail (both are lost in the official code). Where the
    thick slices on both sides are exactly 0, as around a skull-stripped brain, y is 0.

    Args:
        prediction: p, `(K, H', W')`, in [-1, 1], on the network's pixels.
        native: x, `(N, H, W)`, in the scan's units.
        seen: S x, `(N, H', W')`, in [-1, 1].
        scan: scan that the slices belong to.
        factor: thick over thin slice spacing.

    Yields:
        K slices, float32 `(H, W)`, between the smallest and the largest value of the scan.
    """
    pixels = in_plane_of(native.shape[-2:], scan)
    limits = native.min(), native.max()

    def in_units(slices: np.ndarray) -> np.ndarray:
        return scale_from_unit(pixels.to_scan(slices), scan.low, scan.high)

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
    """Yield thin slices of another modality on the scan's pixels.

    Another modality does not have the units of the scan. Around a skull-stripped brain the slices are 0, as in
    `finished_slices`.

    Args:
        prediction: `(K, H', W')`, in [-1, 1], on the network's pixels.
        native: `(N, H, W)`, in the scan's units.
        scan: scan that the slices belong to.
        factor: thick over thin slice spacing.
        scale: values of -1 and 1.

    Yields:
        K slices, float32 `(H, W)`.
    """
    pixels = in_plane_of(native.shape[-2:], scan)
    for image, depth in zip(prediction, thin_depths(np.arange(len(prediction)), factor), strict=True):
        below, above = neighbors(depth, len(native))
        values = scale_from_unit(pixels.to_scan(image).clip(-1, 1), *scale)
        values[(native[below] == 0) & (native[above] == 0)] = 0
        yield values


def spread_slices(
    spread: np.ndarray, *, native: np.ndarray, scan: LoadedScan, factor: float, scale: tuple[float, float]
) -> Iterator[np.ndarray]:
    """Yield slices of a deviation, such as a standard deviation or an expected error, in the output's units.

    They are 0 where the output is set to 0, see `finished_slices`.

    Args:
        spread: deviation `(K, H', W')` on the scale of [-1, 1], on the network's pixels.
        native: `(N, H, W)`, in the scan's units.
        scan: scan that the slices belong to.
        factor: thick over thin slice spacing.
        scale: values of -1 and 1 in the output.

    Yields:
        K slices, float32 `(H, W)`, ≥ 0.
    """
    pixels = in_plane_of(native.shape[-2:], scan)
    for image, depth in zip(spread, thin_depths(np.arange(len(spread)), factor), strict=True):
        below, above = neighbors(depth, len(native))
        values = np.maximum(pixels.to_scan(image), 0) * np.float32((scale[1] - scale[0]) / 2)
        values[(native[below] == 0) & (native[above] == 0)] = 0
        yield values


def neighbors(depth: float, count: int) -> tuple[int, int]:
    """Return the thick slices below and above a depth given in thick slices; the same one twice at a whole number.

    Example:
        >>> neighbors(1.5, 4), neighbors(2.0, 4), neighbors(3.7, 4)
        ((1, 2), (2, 2), (3, 3))
    """
    inside = min(max(depth, 0), count - 1)
    return int(np.floor(inside)), int(np.ceil(inside))
