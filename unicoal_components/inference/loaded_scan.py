"""One scan on its way through an inference run: all but its voxels, from reading to writing."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from pydicom import Dataset

from ..geometry.orientation import spacing_of
from ..geometry.pixel_size import PixelSize
from ..scans.read_volume import Storage

SCAN = "scan"
"""Item key of a scan, see `LoadedScan.as_entry`."""

NATIVE = "source_stack"
"""Item key of the scan's own slices `(N, H, W)`, float32 in its own units, on its own grid."""


@dataclass(frozen=True, eq=False)
class LoadedScan:
    """A scan as it was read, without its voxels.

    Attributes:
        path: file, or `folder::SeriesInstanceUID`.
        format: "nifti", "dicom" or "itk".
        sha256: checksum of its files, see `checksum`.
        storage: how the file keeps its numbers.
        shape: of the scan, (x, y, z).
        affine: `(4, 4)`, voxel (x, y, z, 1) of the scan to RAS+ world mm.
        orientation: where its axes point to, such as "RAS".
        plane: of the stack: "axial", "coronal" or "sagittal".
        stack_affine: `(4, 4)`, voxel (w, h, d, 1) of the stack to RAS+ world mm.
        in_plane_spacing: the network's pixel size in mm, see `PixelSize`; `None` = the scan's own.
        low: intensity in the scan's units that is black, -1 to the network.
        high: that is white, 1 to the network.
        slice_thickness: in mm, of the stack's slices; `None` = unknown.
        headers: of a DICOM series, in slice order and without pixels; empty for other formats.
        series_number: of a DICOM series; `None` where it has none.
        warnings: what a user should know of it.
        started: when the reading began, in seconds of `time.perf_counter`.
        read: when it was done.
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

        Raises:
            ValueError: it has none.
        """
        if SCAN not in item:
            raise ValueError(f"the item lacks {SCAN!r}; the preprocessing needs LoadStackd.")
        return item[SCAN].scan

    def as_entry(self) -> "ScanEntry":
        """Return it for an item, under `SCAN`."""
        return ScanEntry.of(self)

    def with_warnings(self, *warnings: str) -> "LoadedScan":
        """Return it with more warnings."""
        return replace(self, warnings=(*self.warnings, *warnings))

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Return mm between the columns, the rows and the slices of the stack."""
        width, height, depth = spacing_of(self.stack_affine)
        return float(width), float(height), float(depth)


def now() -> float:
    """Return the clock that `LoadedScan.started` and `LoadedScan.read` are of, in seconds."""
    return time.perf_counter()


class ScanEntry(str):
    """The path of a scan that carries the scan: of all that is no tensor, data loaders and engines take only text.

    Attributes:
        scan: the `LoadedScan`.
    """

    scan: LoadedScan

    @classmethod
    def of(cls, scan: LoadedScan) -> "ScanEntry":
        """Return a scan's path, with the scan."""
        entry = cls(scan.path)
        entry.scan = scan
        return entry
