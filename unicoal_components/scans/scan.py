"""One scan from a file of any orientation to a stack on the house's axes."""

import os
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..geometry.orientation import to_stack
from .read_volume import read_image


@dataclass(frozen=True, eq=False)
class Scan:
    """A volume with its place in the world.

    Attributes:
        path: the file it came from.
        stack: float32 `(D, H, W)`, axes pointing to S, P, L (axial slices first, anterior at the top row).
        affine: `(4, 4)`, voxel (w, h, d, 1) to NIfTI RAS+ world mm.
        orientation: where the axes of the file point to, such as "RAS".
        warnings: what is doubtful about the file, in words.
    """

    path: Path
    stack: np.ndarray
    affine: np.ndarray
    orientation: str = "LPS"
    warnings: tuple[str, ...] = ()

    @property
    def spacing(self) -> np.ndarray:
        """Voxel size in mm along W, H, D, the columns of the affine."""
        return np.linalg.norm(self.affine[:3, :3], axis=0)

    @property
    def volume(self) -> np.ndarray:
        """The stack as `(x, y, z)` = `(W, H, D)`, the axes that the affine speaks of; a view."""
        return self.stack.transpose(2, 1, 0)

    def with_volume(self, volume: np.ndarray, affine: np.ndarray | None = None) -> "Scan":
        """Return this scan with other voxels `(x, y, z)` and, if given, on another grid."""
        stack = np.ascontiguousarray(volume.transpose(2, 1, 0), dtype=np.float32)
        return replace(self, stack=stack, affine=self.affine if affine is None else np.asarray(affine, np.float64))


def read_scan(path: str | os.PathLike, *, modality: str | None = None) -> Scan:
    """Read a scan and reorient it to the stack convention, without resampling.

    Axes are permuted and flipped to the closest of left, posterior, superior; an oblique volume stays oblique. For the
    formats, and how `modality` chooses among DICOM series, see `read_image`.

    Raises:
        OSError: the file does not exist, or is damaged or of no known format.
        ValueError: it is not one 3D volume of finite real numbers with contrast and a usable affine.
    """
    path = Path(path)
    volume = read_image(path, modality=modality)
    stack = to_stack(volume.voxels, volume.affine, through_plane="axial")
    return Scan(path, stack.slices, stack.affine, stack.orientation, volume.warnings)
