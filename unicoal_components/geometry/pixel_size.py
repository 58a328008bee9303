"""Resampling between the pixel sizes of a scan and of the network, with one small matrix per axis.

A network is trained on pixels of one size, or of a range of sizes. Slices with other pixels are resampled before the
network, and its output is resampled to the grid of the scan.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.ndimage import gaussian_filter1d, map_coordinates

PixelSize = float | Sequence[float] | None
"""Pixel size in mm: one size, [smallest, largest], or `None` for that of the scan."""

TOLERANCE = 0.05
"""Relative difference from the network's pixel size up to which pixels are not resampled."""


class AxisMap(NamedTuple):
    """Resampling between `n` pixels of a scan and `m` pixels of the network along one axis.

    Attributes:
        to_network: matrix `(m, n)`.
        to_scan: matrix `(n, m)`.
        nearest: `(m,)`, index of the scan's pixel nearest to each pixel of the network.
    """

    to_network: np.ndarray
    to_scan: np.ndarray
    nearest: np.ndarray


def axis_map(size: int, spacing: float, wanted: float) -> AxisMap | None:
    """Return the resampling of `size` pixels of `spacing` mm to pixels of `wanted` mm, and back.

    Both rows of pixels have the same center, and the new row is the shortest that covers the old one. Values are
    interpolated by a cubic B-spline through the pixels (Unser 1999). If the new spacing is r > 1 times larger, a
    Gaussian filter with a full width at half maximum of √(r² - 1) pixels first widens the pixels from 1 to r. Both
    operations preserve linear ramps, so there is no shift.

    Args:
        size: number of pixels n.
        spacing: pixel size of the scan in mm.
        wanted: pixel size of the network in mm.

    Returns:
        The two matrices; `None` if the pixels need no resampling.

    Example:
        >>> axis_map(4, 1.0, 2.0).to_network.shape, axis_map(4, 1.0, 1.01)
        ((2, 4), None)
    """
    if abs(spacing / wanted - 1) <= TOLERANCE:
        return None
    ratio = wanted / spacing
    count = max(math.ceil(size / ratio - 1e-6), 1)
    forward = (size - 1) / 2 + (np.arange(count) - (count - 1) / 2) * ratio
    backward = (count - 1) / 2 + (np.arange(size) - (size - 1) / 2) / ratio
    nearest = np.clip(np.round(forward), 0, size - 1).astype(int)
    return AxisMap(_spline(size, forward, _filter(size, ratio)), _spline(count, backward, np.eye(count)), nearest)


def _filter(size: int, ratio: float) -> np.ndarray:
    """Return the matrix of the low-pass filter for a spacing that is `ratio` times larger."""
    if ratio <= 1:
        return np.eye(size)
    sigma = math.sqrt((ratio**2 - 1) / (8 * math.log(2)))
    return gaussian_filter1d(np.eye(size), sigma, axis=0, mode="nearest")


def _spline(size: int, positions: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Return the matrix `(len(positions), size)` that applies `columns` and interpolates by cubic B-splines."""
    mapped = [map_coordinates(column, positions[None], order=3, mode="nearest") for column in columns.T]
    return np.stack(mapped, axis=1)


def pixel_range(wanted: PixelSize) -> tuple[float, float]:
    """Return the smallest and the largest pixel size in mm that a network accepts.

    Args:
        wanted: see `PixelSize`.

    Raises:
        ValueError: `wanted` is neither a positive number, nor two of them in ascending order, nor `None`.

    Example:
        >>> pixel_range(1.0), pixel_range([0.8, 1.33]), pixel_range(None)
        ((1.0, 1.0), (0.8, 1.33), (0.0, inf))
    """
    if wanted is None:
        return 0.0, math.inf
    sizes = list(wanted) if isinstance(wanted, Sequence) else [wanted, wanted]
    numbers = all(isinstance(size, int | float) and not isinstance(size, bool) for size in sizes)
    if not numbers or len(sizes) != 2 or not 0 < sizes[0] <= sizes[1] < math.inf:
        raise ValueError(
            f"in_plane_spacing is {wanted!r}; it must be a positive number of mm, the pixel size of the network's "
            "training data, or their [smallest, largest], or null to keep the pixels of the scan."
        )
    return float(sizes[0]), float(sizes[1])


class InPlane:
    """In-plane resampling between slices of a scan and slices of the network's pixel size.

    Args:
        shape: rows and columns (H, W) of the scan's slices.
        spacing: mm between its rows, and between its columns.
        wanted: pixel size of the network in mm. For a range, rows and columns each get the nearest size: the scan's
            own if it is inside the range. `None` = the scan's own.

    Raises:
        ValueError: `wanted` is not a pixel size, see `pixel_range`.
    """

    def __init__(self, shape: tuple[int, int], spacing: tuple[float, float], wanted: PixelSize) -> None:
        low, high = pixel_range(wanted)
        rows, columns = (min(max(mm, low), high) for mm in spacing)
        self.rows = axis_map(shape[0], spacing[0], rows)
        self.columns = axis_map(shape[1], spacing[1], columns)

    @property
    def changes(self) -> bool:
        """Whether any axis is resampled."""
        return self.rows is not None or self.columns is not None

    def to_network(self, slices: np.ndarray) -> np.ndarray:
        """Resample `(..., H, W)` to the network's pixels."""
        return self._apply(slices, "to_network")

    def to_scan(self, slices: np.ndarray) -> np.ndarray:
        """Resample slices from the network's pixels to the scan's, `(..., H, W)`."""
        return self._apply(slices, "to_scan")

    def nearest(self, slices: np.ndarray) -> np.ndarray:
        """Resample `(..., H, W)` to the network's pixels by nearest neighbors, for masks."""
        if self.rows is not None:
            slices = slices[..., self.rows.nearest, :]
        return slices if self.columns is None else slices[..., self.columns.nearest]

    def _apply(self, slices: np.ndarray, direction: str) -> np.ndarray:
        if self.rows is not None:
            slices = getattr(self.rows, direction).astype(slices.dtype) @ slices
        if self.columns is not None:
            slices = slices @ getattr(self.columns, direction).astype(slices.dtype).T
        return slices
