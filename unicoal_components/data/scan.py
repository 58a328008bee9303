"""One scan from a file of any orientation to a stack on the house's axes."""

import gzip
import logging
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from monai.data.image_reader import ITKReader, NibabelReader
from nibabel.orientations import apply_orientation, axcodes2ornt, inv_ornt_aff, io_orientation, ornt_transform

logger = logging.getLogger(__name__)

NIFTI_SUFFIXES = (".nii", ".nii.gz")


@dataclass(frozen=True, eq=False)
class Scan:
    """A volume with its place in the world.

    Attributes:
        path: the file it came from.
        stack: float32 `(D, H, W)`, axes pointing to S, P, L (axial slices first, anterior at the top row).
        affine: `(4, 4)`, voxel (w, h, d, 1) to NIfTI RAS+ world mm.
    """

    path: Path
    stack: np.ndarray
    affine: np.ndarray

    @property
    def spacing(self) -> np.ndarray:
        """Voxel size in mm along W, H, D, the columns of the affine."""
        return np.linalg.norm(self.affine[:3, :3], axis=0)


def read_scan(path: str | os.PathLike) -> Scan:
    """Read a scan and reorient it to the stack convention, without resampling.

    NIfTI goes through MONAI's `NibabelReader`, every other format (`.mha`, `.nrrd`, ...) through its `ITKReader`. Axes
    are permuted and flipped to the closest of left, posterior, superior; an oblique volume stays oblique.

    Raises:
        OSError: the file does not exist, or is damaged or of no known format.
        ValueError: it is not one 3D volume of finite real numbers with contrast and a usable affine.
    """
    path = Path(path)
    volume, affine = _load(path)
    volume = _one_volume(path, volume)
    _check_voxels(path, volume)
    if affine.shape != (4, 4) or not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-9:
        raise ValueError(
            f"scan '{path}' has an unusable affine {affine.tolist()}: it must be finite and invertible. "
            "Export the scan again from its DICOM series, or correct the header."
        )
    turn = ornt_transform(io_orientation(affine), axcodes2ornt(("L", "P", "S")))
    stack = np.ascontiguousarray(apply_orientation(volume, turn).transpose(2, 1, 0))
    return Scan(path, stack, affine @ inv_ornt_aff(turn, volume.shape))


def _load(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return the array `(X, Y, Z, ...)` and its RAS+ affine as MONAI's reader gives them."""
    if path.is_dir():
        raise OSError(f"scan '{path}' is a folder; convert its DICOM series to NIfTI first, for example with dcm2niix.")
    if not path.is_file():
        raise FileNotFoundError(f"scan '{path}' does not exist; check the pattern or the table's path.")
    reader = NibabelReader() if path.name.lower().endswith(NIFTI_SUFFIXES) else ITKReader()
    try:
        _check_gzip(path)
        volume, meta = reader.get_data(reader.read(path))
    except Exception as error:  # every reader has its own: EOFError, zlib.error, ImageFileError, RuntimeError, ...
        reason = " ".join(str(error).split()[-25:]) or type(error).__name__
        raise OSError(
            f"cannot read scan '{path}': it is truncated, damaged or of an unknown format ({reason}). "
            "Copy or export the file again."
        ) from error
    if isinstance(reader, NibabelReader) and meta.get("sform_code") == 0 == meta.get("qform_code"):
        logger.warning(
            "scan '%s' does not state its orientation (sform and qform code 0); left and right are a guess.", path
        )
    return np.asarray(volume), np.asarray(meta["affine"], dtype=np.float64)


def _check_gzip(path: Path) -> None:
    """Read a `.gz` to its end, where its checksum stands; nibabel stops before it and so misses changed bytes."""
    if path.suffix.lower() == ".gz":
        with gzip.open(path) as file:
            while file.read(1 << 22):
                pass


def _one_volume(path: Path, volume: np.ndarray) -> np.ndarray:
    """Return the array as float32 `(X, Y, Z)`; a fourth axis of length 1 is dropped."""
    if volume.dtype.kind not in "buif":
        raise ValueError(
            f"scan '{path}' holds {volume.dtype} voxels, not real numbers (color or complex); "
            "export the magnitude as a gray volume."
        )
    shape = volume.shape
    if volume.ndim > 3 and set(shape[3:]) == {1}:
        volume = volume.reshape(shape[:3])
    if volume.ndim > 3:
        raise ValueError(
            f"scan '{path}' has {volume.ndim} dimensions {shape}: it holds several volumes. "
            "Save the wanted one as its own 3D file, for example with fslroi or nibabel.four_to_three."
        )
    if volume.ndim < 3 or min(volume.shape) < 2:
        raise ValueError(
            f"scan '{path}' has shape {shape}: a 3D volume of at least 2 voxels along each axis is needed, "
            "not a single slice or nothing. Stack the slices into one file first."
        )
    return volume.astype(np.float32)


def _check_voxels(path: Path, volume: np.ndarray) -> None:
    """Refuse volumes without usable intensities: not finite, empty, constant."""
    broken = int(np.count_nonzero(~np.isfinite(volume)))
    if broken:
        raise ValueError(
            f"scan '{path}' has {broken} NaN or infinite voxels; what belongs there is unknown. "
            "Export it again, or replace them (by 0 where they are background)."
        )
    if not volume.any():
        raise ValueError(f"scan '{path}' is empty: every voxel is 0. Export it again, or leave this subject out.")
    inside = volume[volume != 0]
    if inside.min() == inside.max():
        raise ValueError(
            f"scan '{path}' is constant: every non-zero voxel is {inside[0]:g}. It may be a mask; give the scan itself."
        )
