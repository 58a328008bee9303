"""Scans as stacks in the stack convention (S, P, L), read from files of any orientation."""

import os
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..geometry.orientation import to_stack
from .read_volume import read_image


@dataclass(frozen=True, eq=False)
class Scan:
    """A volume with its affine.

    Attributes:
        path: file that it was read from.
        stack: float32 `(D, H, W)`, axes pointing to S, P, L (axial slices, anterior in the top row).
        affine: `(4, 4)`, voxel (w, h, d, 1) to NIfTI RAS+ world mm.
        orientation: directions of the axes of the file, such as "RAS".
        warnings: warnings about the file, each a clause.
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
        """View of the stack as `(x, y, z)` = `(W, H, D)`, the axes of the affine."""
        return self.stack.transpose(2, 1, 0)

    def with_volume(self, volume: np.ndarray, affine: np.ndarray | None = None) -> "Scan":
        """Return this scan with other voxels `(x, y, z)` and, if given, another affine."""
        stack = np.ascontiguousarray(volume.transpose(2, 1, 0), dtype=np.float32)
        return replace(self, stack=stack, affine=self.affine if affine is None else np.asarray(affine, np.float64))


def read_scan(path: str | os.PathLike, *, modality: str | None = None, nan_background: bool = False) -> Scan:
    """Read a scan and reorient it to the stack convention, without resampling.

    Axes are permuted and flipped to the closest of left, posterior, superior; an oblique volume stays oblique. See
    `read_image` for the formats, for how `modality` chooses among DICOM series, and for `nan_background`.

    Raises:
        OSError: the file does not exist, is damaged, or has an unknown format.
        ValueError: the file is not one 3D volume of finite real numbers with contrast and a usable affine.
    """
    path = Path(path)
    volume = read_image(path, modality=modality, nan_background=nan_background)
    stack = to_stack(volume.voxels, volume.affine, through_plane="axial")
    return Scan(path, stack.slices, stack.affine, stack.orientation, volume.warnings)
