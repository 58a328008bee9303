"""One volume from one image file, checked; the only place where scans enter the package."""

import gzip
import logging
import os
from pathlib import Path

import numpy as np
from monai.data.image_reader import ITKReader, NibabelReader

from ..keys import Keys

logger = logging.getLogger(__name__)

NIFTI_SUFFIXES = (".nii.gz", ".nii")


def is_nifti(path: str | os.PathLike) -> bool:
    """Tell NIfTI files by their suffix, in any case."""
    return Path(path).name.lower().endswith(NIFTI_SUFFIXES)


def stem_of(path: str | os.PathLike) -> str:
    """Return the name of an image without its folder and its suffix, `.nii.gz` counting as one.

    Example:
        >>> stem_of("scans/p01.T1.nii.gz"), stem_of("p01.mha"), stem_of("dicom/series_4")
        ('p01.T1', 'p01', 'series_4')
    """
    name = Path(path).name
    for suffix in NIFTI_SUFFIXES:
        if name.lower().endswith(suffix):
            return name[: -len(suffix)]
    return Path(path).stem


def list_images(input: str | os.PathLike) -> list[dict[str, str]]:
    """List the images of an inference run as data set items: one file, or the NIfTI files of a folder in name order.

    A workflow can be built before there are scans; `check_images`, when it is run, says what is wrong.

    Returns:
        One `{"image": path}` per image, none where there is nothing. Whether a file can be read shows when it is its
        turn.
    """
    path = Path(input)
    if not str(input) or not path.exists():
        return []
    if not path.is_dir():
        return [{Keys.IMAGE: str(path)}]
    files = sorted(file for file in path.iterdir() if is_nifti(file) and not file.name.startswith("."))
    return [{Keys.IMAGE: str(file)} for file in files]


def check_images(input: str | os.PathLike) -> None:
    """See that there are images, and that their outputs can be told apart.

    Raises:
        FileNotFoundError: nothing is there, or the folder holds no NIfTI file.
        ValueError: two files of the folder would give outputs of one name.
    """
    path = Path(input)
    if not str(input) or not path.exists():
        raise FileNotFoundError(f"input '{input}' does not exist. Give a NIfTI file, or a folder of them.")
    stems = [stem_of(item[Keys.IMAGE]) for item in list_images(input)]
    if not stems:
        what = "is empty" if not any(path.iterdir()) else "holds no file that ends in .nii or .nii.gz"
        raise FileNotFoundError(f"the input folder '{path}' {what}. Put the scans there, or name one file.")
    doubled = next((stem for stem in stems if stems.count(stem) > 1), None)
    if doubled is not None:
        raise ValueError(f"the input folder '{path}' holds '{doubled}' as .nii and as .nii.gz. Keep one of them.")


def read_image(path: str | os.PathLike) -> tuple[np.ndarray, np.ndarray]:
    """Read a scan as it lies in its file, and refuse what cannot be one.

    NIfTI goes through MONAI's `NibabelReader` (scale factors applied; sform before qform), every other format (`.mha`,
    `.nrrd`, ...) through its `ITKReader`. A fourth axis of length 1 is dropped.

    Returns:
        The volume `(x, y, z)` in float32 and its affine `(4, 4)` in float64: voxel to NIfTI RAS+ world mm.

    Raises:
        OSError: the file does not exist, or is damaged or of no known format.
        ValueError: it is not one 3D volume of finite real numbers with contrast and a usable affine.
    """
    path = Path(path)
    volume, affine = _load(path)
    volume = _one_volume(path, volume)
    _check_voxels(path, volume)
    check_affine(affine, path)
    return volume, affine


def check_affine(affine: np.ndarray, path: str | os.PathLike) -> None:
    """Refuse an affine that gives voxels no place in the world.

    Raises:
        ValueError: an entry is not finite, a voxel axis has length 0, or the axes lie in one plane.
    """
    finite = affine.shape == (4, 4) and np.isfinite(affine).all()
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    if not finite or not abs(np.linalg.det(affine[:3, :3])) > 1e-6 * spacing.prod():
        raise ValueError(
            f"scan '{path}' has an unusable affine, voxel spacing {np.round(spacing, 6).tolist()} mm: it must be "
            "finite and invertible. Export the scan again from its DICOM series, or correct its header."
        )


def _load(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return the array `(X, Y, Z, ...)` and its RAS+ affine as MONAI's reader gives them."""
    if path.is_dir():
        raise OSError(f"scan '{path}' is a folder; convert its DICOM series to NIfTI first, for example with dcm2niix.")
    if not path.is_file():
        raise FileNotFoundError(f"scan '{path}' does not exist; check the pattern or the table's path.")
    reader = NibabelReader() if is_nifti(path) else ITKReader()
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
