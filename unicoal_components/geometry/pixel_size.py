"""Between a scan's pixels and the network's: each axis on its own, as one small matrix.

A network knows pixels of one size, or of a range of sizes. Others are resampled before it, and its slices back onto the
scan's own grid behind it, so that a user sees the grid of the scan only.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.ndimage import gaussian_filter1d, map_coordinates

PixelSize = float | Sequence[float] | None
"""In mm: one size, [smallest, largest], or `None` for whatever the scan has."""

TOLERANCE = 0.05
"""Pixels that differ by less than this part from the network's are taken as they are."""


class AxisMap(NamedTuple):
    """The way between `n` pixels of a scan and `m` of the network along one axis.

    Attributes:
        there: `(m, n)`.
        back: `(n, m)`.
        nearest: `(m,)`, the scan's pixel that each of the network's lies on.
    """

    there: np.ndarray
    back: np.ndarray
    nearest: np.ndarray


def axis_map(size: int, spacing: float, wanted: float) -> AxisMap | None:
    """Return how `size` pixels of `spacing` mm become pixels of `wanted` mm and come back.

    The middle of both rows of pixels is one point, and the new row is the shortest that covers the old one. Values are
    those of a cubic B-spline through the pixels (Unser 1999); before a spacing that is r times larger, a Gaussian
    filter whose full width at half maximum is √(r² - 1) pixels makes of pixels one wide some that are r wide. Both keep
    a ramp as it is, so nothing moves.

    Args:
        size: number of pixels n.
        spacing: of the scan, mm.
        wanted: of the network, mm.

    Returns:
        `None` where the pixels can stay as they are.

    Example:
        >>> axis_map(4, 1.0, 2.0).there.shape, axis_map(4, 1.0, 1.01)
        ((2, 4), None)
    """
    if abs(spacing / wanted - 1) <= TOLERANCE:
        return None
    ratio = wanted / spacing
    count = max(math.ceil(size / ratio - 1e-6), 1)
    places = (size - 1) / 2 + (np.arange(count) - (count - 1) / 2) * ratio
    back = (count - 1) / 2 + (np.arange(size) - (size - 1) / 2) / ratio
    nearest = np.clip(np.round(places), 0, size - 1).astype(int)
    return AxisMap(_spline(size, places, _filter(size, ratio)), _spline(count, back, np.eye(count)), nearest)


def _filter(size: int, ratio: float) -> np.ndarray:
    """Return the matrix of the filter before a spacing that is `ratio` times larger."""
    if ratio <= 1:
        return np.eye(size)
    sigma = math.sqrt((ratio**2 - 1) / (8 * math.log(2)))
    return gaussian_filter1d(np.eye(size), sigma, axis=0, mode="nearest")


def _spline(size: int, places: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Return the matrix (len(places), size): cubic B-spline interpolation at `places` of what `columns` makes."""
    mapped = [map_coordinates(column, places[None], order=3, mode="nearest") for column in columns.T]
    return np.stack(mapped, axis=1)


def pixel_range(wanted: PixelSize) -> tuple[float, float]:
    """Return the smallest and the largest pixel size in mm that a network takes.

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
            "training data, or their [smallest, largest], or null to take pixels as they are."
        )
    return float(sizes[0]), float(sizes[1])


class InPlane:
    """The way between slices of a scan and slices of the network's pixel size, and back.

    Args:
        shape: rows and columns (H, W) of the scan's slices.
        spacing: mm between its rows, and between its columns.
        wanted: pixel size of the network in mm. Of a range the nearest size is taken, for rows and columns each: the
            scan's own where it lies inside. `None` = the scan's own.

    Raises:
        ValueError: `wanted` is no pixel size, see `pixel_range`.
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

    def there(self, slices: np.ndarray) -> np.ndarray:
        """Resample `(..., H, W)` to the network's pixels."""
        return self._apply(slices, "there")

    def back(self, slices: np.ndarray) -> np.ndarray:
        """Resample slices of the network's pixels to `(..., H, W)`."""
        return self._apply(slices, "back")

    def nearest(self, slices: np.ndarray) -> np.ndarray:
        """Take for each of the network's pixels the scan's pixel there: for masks."""
        if self.rows is not None:
            slices = slices[..., self.rows.nearest, :]
        return slices if self.columns is None else slices[..., self.columns.nearest]

    def _apply(self, slices: np.ndarray, way: str) -> np.ndarray:
        if self.rows is not None:
            slices = getattr(self.rows, way).astype(slices.dtype) @ slices
        if self.columns is not None:
            slices = slices @ getattr(self.columns, way).astype(slices.dtype).T
        return slices
