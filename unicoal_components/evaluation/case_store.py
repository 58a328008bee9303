"""Store of an evaluation's cases on disk, from which a stopped evaluation resumes."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from ..files.atomic import atomic_path

RESULT = "result.json"
VOLUMES = "[!.]*.nii.gz"
"""Pattern of complete volumes; names of files being written begin with a dot."""


class CaseStore:
    """Store of cases: a folder for each, with its result and its volumes for viewers.

    Args:
        folder: folder of the store; created with the first case.
    """

    def __init__(self, folder: str | os.PathLike) -> None:
        self.folder = Path(folder)

    def load(self, stem: str, *, identity: str | None = None) -> dict[str, Any] | None:
        """Read a case's result.

        Args:
            stem: name of the case.
            identity: checksum of all that the result depends on; a result with another one is ignored. `None` accepts
                any.

        Returns:
            The result passed to `save`; `None` if there is none, or it is unreadable.
        """
        try:
            result = json.loads((self.folder / stem / RESULT).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return result if identity is None or result.get("identity") == identity else None

    def save(self, stem: str, result: dict[str, Any]) -> None:
        """Write a case's result atomically; call this last, as it marks the case as evaluated."""
        with atomic_path(self.folder / stem / RESULT) as partial:
            partial.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")

    def save_volume(self, stem: str, name: str, volume: np.ndarray, *, affine: np.ndarray) -> None:
        """Write a volume for viewers: NIfTI with 256 gray values from 0 to 1.

        Args:
            stem: name of the case.
            name: name of the volume; the file is `name.nii.gz`.
            volume: `(D, H, W)` in [-1, 1].
            affine: `(4, 4)`, voxel (w, h, d, 1) to NIfTI RAS+ world mm.
        """
        gray = np.rint((np.clip(volume, -1, 1) + 1) * 127.5).astype(np.uint8)
        image = nib.Nifti1Image(gray.transpose(2, 1, 0), affine)
        image.header.set_slope_inter(1 / 255, 0)
        with atomic_path(self.folder / stem / f"{name}.nii.gz") as partial:
            partial.write_bytes(gzip.compress(image.to_bytes(), mtime=0))

    def has_volumes(self, stem: str) -> bool:
        """Return whether a case has volumes."""
        return any((self.folder / stem).glob(VOLUMES))

    def remove_volumes(self, stem: str) -> None:
        """Remove a case's volumes, so that those of an earlier evaluation are not mistaken for its own."""
        for path in (self.folder / stem).glob(VOLUMES):
            path.unlink(missing_ok=True)  # another process may have the same case

    def clear(self) -> None:
        """Remove all results."""
        for path in self.folder.glob(f"*/{RESULT}"):
            path.unlink()
