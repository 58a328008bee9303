"""Reduction of a subject's volumes so that a training set fits into a file of limited size."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ..geometry.head_mask import foreground_mask
from .hdf5 import Box, foreground_box

MARGIN = 4
"""Voxels of background kept around the foreground, as far as the volume has them."""

AIR_MARGIN = 3
"""Voxels around the head that are not cleared, as `foreground_mask` is only accurate to a few voxels."""

LEAST_KEPT = 50
"""Smallest part of the foreground's length along each axis to which volumes are cropped, in percent."""

Volumes = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Reduction:
    """Reduction applied to all subjects. The default removes only empty borders.

    Attributes:
        clear_air: whether to set all voxels outside the head to 0; their noise cannot be compressed.
        step: width of the steps to which intensities are rounded, to the middle of each; 0 stays 0. 1 = no rounding.
        kept_percent: central part of the foreground that is kept, in percent of its length along each axis.
    """

    clear_air: bool = False
    step: int = 1
    kept_percent: int = 100

    def __str__(self) -> str:
        parts = ["borders without foreground cut off"]
        if self.clear_air:
            parts.append("air outside the head set to 0")
        if self.step > 1:
            parts.append(
                f"intensities (0 to 255) rounded to steps of {self.step}, so changed by {self.step // 2} at most"
            )
        if self.kept_percent < 100:
            parts.append(f"cropped to the middle {self.kept_percent} % of the foreground along each axis")
        return "; ".join(parts)


def reductions(largest_step: int) -> list[Reduction]:
    """List the possible reductions, from least to most harmful.

    First the borders are removed, then the air, then low bits (noise, up to `largest_step`), then the outer parts of
    the head.

    Args:
        largest_step: largest rounding step of intensities, 1 to 64.

    Raises:
        ValueError: the step is not an integer from 1 to 64.
    """
    if isinstance(largest_step, bool) or not isinstance(largest_step, int) or not 1 <= largest_step <= 64:
        raise ValueError(
            f"largest_step is {largest_step!r}; it must be an integer from 1 (voxels of the head stay exact) to 64, "
            "usually 8."
        )
    return [
        Reduction(),
        *(Reduction(clear_air=True, step=step) for step in range(1, largest_step + 1)),
        *(Reduction(True, largest_step, percent) for percent in range(99, LEAST_KEPT - 1, -1)),
    ]


def head_mask(volumes: Volumes) -> np.ndarray:
    """Return a mask `(D, H, W)` of the head in any volume with a margin; all voxels if every volume is constant."""
    filled = [volume for volume in volumes.values() if volume.min() < volume.max()]
    if not filled:
        return np.ones(next(iter(volumes.values())).shape, dtype=bool)
    mask = np.logical_or.reduce([foreground_mask(volume) for volume in filled])
    return ndimage.binary_dilation(mask, iterations=AIR_MARGIN)


def reduce_volumes(
    volumes: Volumes, reduction: Reduction, head: np.ndarray | None = None
) -> tuple[dict[str, np.ndarray], Box]:
    """Apply a reduction to one subject's volumes.

    Args:
        volumes: per modality uint8 `(D, H, W)`, one shape for all, 0 = background.
        reduction: reduction to apply.
        head: boolean `(D, H, W)` of `head_mask`; required if the air is cleared.

    Returns:
        The cropped volumes, and their box in the given ones: half open (d0, d1, h0, h1, w0, w1).

    Example:
        >>> volume = np.zeros((40, 40, 40), np.uint8)
        >>> volume[10:20, 10:30, 10:20] = 99
        >>> small, box = reduce_volumes({"t1": volume}, Reduction(step=4, kept_percent=50))
        >>> small["t1"].shape, box, int(small["t1"].max())
        ((5, 10, 5), (12, 17, 15, 25, 12, 17), 98)
    """
    if reduction.clear_air:
        if head is None:
            raise ValueError("head is missing; clear_air needs the mask of head_mask.")
        volumes = {name: np.where(head, volume, np.uint8(0)) for name, volume in volumes.items()}
    box = _kept_box(volumes, reduction.kept_percent)
    d0, d1, h0, h1, w0, w1 = box
    cropped = {name: volume[d0:d1, h0:h1, w0:w1] for name, volume in volumes.items()}
    return {name: _rounded(volume, reduction.step) for name, volume in cropped.items()}, box


def _kept_box(volumes: Volumes, percent: int) -> Box:
    """Return the box of the foreground with a margin, or of its central part."""
    shape = next(iter(volumes.values())).shape
    found = foreground_box(volumes)
    bounds: list[int] = []
    for axis, size in enumerate(shape):
        start, stop = found[2 * axis : 2 * axis + 2]
        if percent == 100:
            bounds += [max(start - MARGIN, 0), min(stop + MARGIN, size)]
        else:
            kept = max((stop - start) * percent // 100, 1)
            first = start + (stop - start - kept) // 2
            bounds += [first, first + kept]
    d0, d1, h0, h1, w0, w1 = bounds
    return d0, d1, h0, h1, w0, w1


def _rounded(volume: np.ndarray, step: int) -> np.ndarray:
    """Round to the middle of steps; background (0) stays 0, and no other voxel becomes 0."""
    if step == 1:
        return volume
    middle = volume.astype(np.int64) // step * step + step // 2
    return np.where(volume == 0, 0, np.minimum(middle, 255)).astype(np.uint8)
