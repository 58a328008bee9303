"""Description of a scan during an inference run: everything but its voxels."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from pydicom import Dataset

from ..geometry.orientation import spacing_of
from ..geometry.pixel_size import PixelSize
from ..scans.storage import Storage

SCAN = "scan"
"""Item key of a scan, see `LoadedScan.as_entry`."""

NATIVE = "source_stack"
"""Item key of the scan's own slices `(N, H, W)`, float32 in its own units, on its own grid."""


@dataclass(frozen=True, eq=False)
class LoadedScan:
    """A scan as it was read, without its voxels.

    Attributes:
        path: file, or `folder::SeriesInstanceUID`.
        format: "nifti", "dicom", or the suffix of another format.
        sha256: checksum of its files, see `checksum`.
        storage: number format of the file.
        shape: shape of the scan, (x, y, z).
        affine: `(4, 4)`, voxel (x, y, z, 1) of the scan to RAS+ world mm.
        orientation: directions of its axes, such as "RAS".
        plane: plane of the stack's slices, "axial", "coronal" or "sagittal".
        stack_affine: `(4, 4)`, voxel (w, h, d, 1) of the stack to RAS+ world mm.
        in_plane_spacing: the network's pixel size in mm, see `PixelSize`; `None` = the scan's own.
        low: intensity in the scan's units that becomes -1 (black) for the network.
        high: intensity in the scan's units that becomes 1 (white) for the network.
        slice_thickness: thickness of the stack's slices in mm; `None` = unknown.
        headers: DICOM headers in slice order, without pixels; empty for other formats.
        series_number: SeriesNumber of a DICOM series; `None` if it has none.
        warnings: warnings for the user, each a clause about the scan.
        started: time when reading began, in seconds of `time.perf_counter`.
        read: time when reading ended.
    """

    path: str
    format: str
    sha256: str
    storage: Storage
    shape: tuple[int, ...]
    affine: np.ndarray
    orientation: str
    plane: str
    stack_affine: np.ndarray
    in_plane_spacing: PixelSize
    low: float
    high: float
    slice_thickness: float | None = None
    headers: Sequence[Dataset] = ()
    series_number: int | None = None
    warnings: tuple[str, ...] = ()
    started: float = 0.0
    read: float = 0.0

    @classmethod
    def from_item(cls, item: Mapping[str, Any]) -> "LoadedScan":
        """Return the scan of an item.

        Args:
            item: data item from `LoadStackd`.

        Raises:
            ValueError: the item has no scan.
        """
        if SCAN not in item:
            raise ValueError(f"the item lacks {SCAN!r}; the preprocessing needs LoadStackd.")
        return item[SCAN].scan

    def as_entry(self) -> "ScanEntry":
        """Return the value to store in an item under `SCAN`."""
        return ScanEntry.of(self)

    def with_warnings(self, *warnings: str) -> "LoadedScan":
        """Return a copy with additional warnings."""
        return replace(self, warnings=(*self.warnings, *warnings))

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Return mm between the columns, the rows and the slices of the stack."""
        width, height, depth = spacing_of(self.stack_affine)
        return float(width), float(height), float(depth)


def now() -> float:
    """Return the current time in seconds, by the clock of `LoadedScan.started` and `LoadedScan.read`."""
    return time.perf_counter()


class ScanEntry(str):
    """Path of a scan with the scan as an attribute, as data loaders and engines accept only tensors and strings.

    Attributes:
        scan: the `LoadedScan`.
    """

    scan: LoadedScan

    @classmethod
    def of(cls, scan: LoadedScan) -> "ScanEntry":
        """Return the entry of a scan."""
        entry = cls(scan.path)
        entry.scan = scan
        return entry
