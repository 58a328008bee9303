"""One volume from one image file or DICOM series, checked; the only place where scans enter the package."""

import gzip
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from pydicom import Dataset

from .bids_sidecar import sidecar_facts, sidecar_thickness
from .checksums import checksum, combined, files_of
from .dicom.series import choose_series, split_uid
from .dicom.volume import read_series
from .image_paths import is_nifti
from .nifti_affine import nifti_affine, usable

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Storage:
    """How a file keeps its numbers: value = slope · stored + intercept, `stored` of the type `dtype`.

    Attributes:
        dtype: numpy name, such as "int16".
        slope: not 0.
        intercept: 0 for most files.
    """

    dtype: str = "float32"
    slope: float = 1.0
    intercept: float = 0.0


@dataclass(frozen=True, eq=False)
class Volume:
    """A scan as it lies in its file.

    Attributes:
        path: file or folder; of a DICOM series `folder::SeriesInstanceUID`.
        format: "nifti", "dicom", or "itk" for every other one.
        voxels: float32 `(x, y, z)`, in the scan's own units.
        affine: `(4, 4)`, float64, voxel (x, y, z, 1) to NIfTI RAS+ world mm.
        files: those that were read.
        sha256: of the files, see `checksum`.
        storage: how they keep the numbers.
        modality: t1, t2, ... if its header, the JSON beside it or its name says so; `None` where nothing does.
        warnings: what a user should know of it, a clause each whose subject is the scan.
        slice_thickness: in mm along z, the axis of the scanner's slices; `None` where nothing tells.
        headers: of a DICOM series, in the order of z and without pixels; empty for other formats.
        series_number: of a DICOM series; `None` where it has none.
    """

    path: str
    format: str
    voxels: np.ndarray
    affine: np.ndarray
    files: tuple[Path, ...]
    sha256: str
    storage: Storage = Storage()
    modality: str | None = None
    warnings: tuple[str, ...] = ()
    slice_thickness: float | None = None
    headers: Sequence[Dataset] = ()
    series_number: int | None = None


def read_image(path: str | os.PathLike, *, modality: str | None = None) -> Volume:
    """Read a scan as it lies in its file, and refuse what cannot be one.

    NIfTI goes through nibabel (scale factors applied; see `nifti_affine` for its place; MONAI's reader would alter the
    header before it can be judged), a folder through `read_series` as DICOM, every other file (`.mha`, `.nrrd`, ...)
    through ITK. A fourth axis of length 1 is dropped.

    Args:
        path: file, or folder with DICOM files; `folder::SeriesInstanceUID` for one of several series.
        modality: of several series in a folder, the one of this modality; see `choose_series`.

    Raises:
        OSError: the file does not exist, or is damaged or of no known format.
        ValueError: it is not one 3D volume of finite real numbers with contrast and a usable affine.
    """
    place, uid = split_uid(path)
    if place.is_dir():
        volume = _read_dicom(place, uid, modality)
    elif not place.is_file():
        raise FileNotFoundError(f"scan '{path}' does not exist; check the path, pattern or table.")
    else:
        volume = load_file(place)
    _check_voxels(volume.path, volume.voxels)
    check_affine(volume.affine, volume.path)
    for warning in volume.warnings:
        logger.warning("scan '%s': %s.", volume.path, warning)
    return volume


def check_affine(affine: np.ndarray, path: str | os.PathLike) -> None:
    """Refuse an affine that gives voxels no place in the world.

    Raises:
        ValueError: an entry is not finite, a voxel axis has length 0, or the axes lie in one plane.
    """
    if not usable(affine):
        spacing = np.linalg.norm(affine[:3, :3], axis=0)
        raise ValueError(
            f"scan '{path}' has an unusable affine, voxel spacing {np.round(spacing, 6).tolist()} mm: it must be "
            "finite and invertible. Export the scan again from its DICOM series, or correct its header."
        )


def _read_dicom(folder: Path, uid: str | None, modality: str | None) -> Volume:
    series = choose_series(folder, uid=uid, modality=modality)
    read = read_series(series)
    named = f"{folder}::{series.key}"
    return Volume(
        path=named if split_uid(named)[1] == series.key else str(folder),  # some UIDs are none
        format="dicom",
        voxels=read.voxels,
        affine=read.affine,
        files=series.files,
        sha256=combined(read.checksums),
        storage=Storage() if read.rescale is None else Storage(read.stored_dtype, *read.rescale),
        modality=series.modality,
        warnings=read.warnings,
        slice_thickness=read.slice_thickness,
        headers=read.source,
        series_number=series.number,
    )


def load_file(path: Path) -> Volume:
    """Read one volume from a NIfTI file, or one that ITK knows, whatever its voxels and affine are; see `read_image`.

    Raises:
        OSError: it is damaged or of no known format.
        ValueError: it is not one 3D volume of real numbers.
    """
    try:
        _check_gzip(path)
        parts = _nifti_parts(path) if is_nifti(path) else _itk_parts(path)
    except Exception as error:  # every reader has its own: EOFError, zlib.error, ImageFileError, RuntimeError, ...
        reason = " ".join(str(error).split()[-25:]) or type(error).__name__
        raise OSError(
            f"cannot read scan '{path}': it is truncated, damaged or of an unknown format ({reason}). "
            "Copy or export the file again."
        ) from error
    voxels, affine, storage, warnings = parts
    files = tuple(files_of(path))
    modality, more = sidecar_facts(path)
    return Volume(
        path=str(path),
        format="nifti" if is_nifti(path) else "itk",
        voxels=_one_volume(path, voxels),
        affine=np.asarray(affine, dtype=np.float64),
        files=files,
        sha256=checksum(files),
        storage=storage,
        modality=modality,
        warnings=(*warnings, *more),
        slice_thickness=sidecar_thickness(path),
    )


Parts = tuple[np.ndarray, np.ndarray, Storage, list[str]]


def _nifti_parts(path: Path) -> Parts:
    """Return voxels `(x, y, z, ...)`, affine, how the numbers are kept, and warnings."""
    image: Any = nib.load(path)
    affine, warnings = nifti_affine(image)
    voxels = image.dataobj
    storage = Storage(str(voxels.dtype), float(voxels.slope), float(voxels.inter))
    return np.asanyarray(voxels), affine, storage, warnings


def _itk_parts(path: Path) -> Parts:
    import itk  # here, as it takes seconds and most scans are NIfTI or DICOM

    from ..geometry.itk_image import from_itk

    voxels, affine = from_itk(itk.imread(str(path)))
    return voxels, affine, Storage(str(voxels.dtype)), []


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
    return volume.astype(np.float32, copy=False)


def _check_voxels(path: str | os.PathLike, volume: np.ndarray) -> None:
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
