"""What a run remembers of a scan, from the reading to the writing."""

import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from ..geometry.orientation import spacing_of
from ..geometry.pixel_size import PixelSize

SOURCE = "source_info"
"""Item key of a source, as plain text that a data loader can collate."""

NATIVE = "source_stack"
"""Item key of the scan's own slices `(N, H, W)`, float32 in its own units, on its own grid."""


@dataclass(frozen=True)
class Source:
    """A scan as it came, besides its voxels.

    Attributes:
        path: file, or `folder::SeriesInstanceUID`.
        format: "nifti", "dicom" or "itk".
        sha256: checksum, see `checksum`.
        dtype: how the file keeps its numbers, see `Storage`; also the next two.
        slope: see `Storage`.
        intercept: see `Storage`.
        shape: of the scan, (x, y, z).
        affine: of the scan, 4 rows, voxel (x, y, z, 1) to RAS+ world mm.
        orientation: where its axes point to, such as "RAS".
        plane: of the stack: "axial", "coronal" or "sagittal".
        stack_affine: voxel (w, h, d, 1) of the stack to RAS+ world mm.
        in_plane_spacing: the network's pixel size in mm, see `PixelSize`; `None` = the scan's own.
        low: intensity in the scan's units that is black, -1 to the network.
        high: that is white, 1 to the network.
        slice_thickness: in mm, of the stack's slices; `None` = unknown.
        warnings: what a user should know of it.
        started: when the reading began, in seconds of `time.perf_counter`.
        read: when it was done.
    """

    path: str
    format: str
    sha256: str
    dtype: str
    slope: float
    intercept: float
    shape: tuple[int, int, int]
    affine: list[list[float]]
    orientation: str
    plane: str
    stack_affine: list[list[float]]
    in_plane_spacing: PixelSize
    low: float
    high: float
    slice_thickness: float | None = None
    warnings: tuple[str, ...] = ()
    started: float = 0.0
    read: float = 0.0

    @classmethod
    def of(cls, item: Mapping[str, Any]) -> "Source":
        """Return the source of an item.

        Raises:
            ValueError: it has none.
        """
        if SOURCE not in item:
            raise ValueError(f"the item lacks {SOURCE!r}; the preprocessing needs LoadStackd.")
        fields = json.loads(item[SOURCE])
        return cls(**fields | {name: tuple(fields[name]) for name in ("shape", "warnings")})

    def text(self) -> str:
        """Return it as text, for an item."""
        return json.dumps(asdict(self))

    def warned(self, *warnings: str) -> "Source":
        """Return it with more warnings."""
        return replace(self, warnings=(*self.warnings, *warnings))

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Return mm between the columns, the rows and the slices of the stack."""
        width, height, depth = spacing_of(np.array(self.stack_affine))
        return float(width), float(height), float(depth)


def now() -> float:
    """Return the clock that `Source.started` and `Source.read` are of, in seconds."""
    return time.perf_counter()
