"""MONAI transform that warns of a scan that the network cannot serve, by its intensities and size, before it runs."""

import logging
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from monai.transforms import Transform
from scipy import ndimage

from ..geometry.head_mask import foreground_mask
from ..geometry.orientation import spacing_of
from ..geometry.pixel_size import PixelSize, pixel_range
from ..scans.intensity import percentile_range, scale_to_unit
from .loaded_scan import NATIVE, SCAN, LoadedScan

logger = logging.getLogger(__name__)

COARSE = 2.5
"""Voxel size in mm of the view of the scan that is looked at."""

INNER = 0.3
"""Voxels count as inside the head from this fraction of the largest depth below its surface on: no scalp."""

BRIGHT_FLUID = 0.4
"""Skewness of the intensities inside the head above which fluid is the brightest, as in T2.

Measured: 1.10 to 2.68 in nine T2, -2.17 to -0.07 in 58 scans of T1, contrast-enhanced T1, FLAIR and PD; an average of
152 T2 has -0.31.
"""

SMALLEST = 80.0
"""Extent in mm that a head or brain has along its two longer axes at least; measured: 144 and more."""

UNIFORM = 0.15
"""Range of the intensities inside (5 to 95 %), relative to the brightest, below which there is no anatomy."""

UNRELATED = 0.5
"""Correlation of neighboring voxels below which the scan is noise; measured: 0.87 and more."""

COARSER = 1.5
"""Ratio of the pixel size to the largest of the training above which there is a warning."""


class CheckSourced(Transform):
    """Warn of a scan that is unlike those of the training, in the log and in its record; see `source_doubts`.

    Args:
        modality: modality of the scan as given by the user; `None` = unknown, so that the contrast is not checked.
        in_plane_spacing: pixel size of the network's training data, see `LoadStackd`; `None` = not checked.
    """

    def __init__(self, *, modality: str | None, in_plane_spacing: PixelSize = None) -> None:
        self.modality = modality
        self.coarsest = COARSER * pixel_range(in_plane_spacing)[1]

    def __call__(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Return the item with the warnings in its scan; it must come from `LoadStackd`."""
        scan = LoadedScan.from_item(data)
        stack = torch.as_tensor(data[NATIVE]).numpy()
        doubts = source_doubts(stack.transpose(2, 1, 0), scan.stack_affine, self.modality)
        if max(scan.spacing[:2]) > self.coarsest:
            doubts.append(f"its pixels are larger than {self.coarsest:.2g} mm, far beyond those of the training")
        for doubt in doubts:
            logger.warning("scan '%s': %s.", scan.path, doubt)
        return {**data, SCAN: scan.with_warnings(*doubts).as_entry()}


def source_doubts(voxels: np.ndarray, affine: np.ndarray, modality: str | None) -> list[str]:
    """Return warnings about a scan, each a clause.

    What is seen: noise, objects without anatomy inside, small objects, a T2 named as another modality, and another
    modality named T2. T1, contrast-enhanced T1, FLAIR and PD are not told apart.

    Args:
        voxels: `(x, y, z)`, in the scan's units.
        affine: `(4, 4)`, voxel to RAS+ world mm.
        modality: modality of the scan as given by the user; `None` = unknown, so that the contrast is not checked.
    """
    if _neighbor_correlation(voxels) < UNRELATED:
        return ["neighboring voxels are unrelated, as in noise; the result will be meaningless"]
    spacing = spacing_of(affine)
    steps = np.maximum(np.rint(COARSE / spacing), 1).astype(int)
    view, spacing = voxels[tuple(slice(None, None, step) for step in steps)], spacing * steps
    try:
        mask = foreground_mask(view)
        unit = (scale_to_unit(view, *percentile_range(view)) + 1) / 2
    except ValueError:
        return []  # nearly constant; whoever scales the whole scan raises an error
    lengths = sorted(_extent(mask, axis) * spacing[axis] for axis in range(3))
    if lengths[1] < SMALLEST:
        return [
            f"what it shows measures {' x '.join(f'{length:.0f}' for length in lengths)} mm, less than a head; check "
            "its voxel spacing and content"
        ]
    depth = ndimage.distance_transform_edt(np.pad(mask, 1), sampling=spacing)[1:-1, 1:-1, 1:-1]
    deep = depth > INNER * depth.max()
    low, high = np.quantile(view[deep], [0.05, 0.95])
    if high - low <= UNIFORM * max(abs(low), abs(high)):
        return ["it is nearly uniform inside, as a phantom; the network was trained on heads"]
    inside = unit[deep]
    skewness = float(np.mean((inside - inside.mean()) ** 3) / inside.std() ** 3)
    if modality is not None and (skewness > BRIGHT_FLUID) != (modality == "t2"):
        seen = "no T2" if modality == "t2" else "a T2"
        return [f"its contrast is that of {seen}, but source_modality is {modality}; if so, the result is wrong"]
    return []


def _neighbor_correlation(voxels: np.ndarray) -> float:
    """Return the correlation of voxels next to one another along x or y in the middle slice, the larger of both."""
    middle = voxels[:, :, voxels.shape[2] // 2].astype(np.float64)
    found = []
    for image in (middle, middle.T):
        first, second = image[:-1].ravel(), image[1:].ravel()
        spread = first.std() * second.std()
        found.append(1.0 if spread == 0 else float(np.mean((first - first.mean()) * (second - second.mean())) / spread))
    return max(found)


def _extent(mask: np.ndarray, axis: int) -> int:
    """Return the number of voxels from the first to the last of a mask along an axis."""
    (filled,) = np.nonzero(mask.any(axis=tuple({0, 1, 2} - {axis})))
    return int(filled[-1] - filled[0] + 1) if filled.size else 0
