"""Reader of one volume from an image file or a DICOM series; all scans enter the package here."""

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from pydicom import Dataset

from ..files.memory_limit import TooLargeError
from .bids_sidecar import sidecar_facts, sidecar_thickness
from .checksums import checksum, combined, files_of
from .dicom.series import choose_series, split_uid
from .dicom.volume import read_series
from .file_content import check_content
from .file_names import ITK_SUFFIXES, NIBABEL_SUFFIXES, NIFTI_SUFFIXES, is_nifti
from .image_formats import reader_of
from .nifti_affine import usable
from .storage import Storage

KNOWN = (*NIFTI_SUFFIXES, *NIBABEL_SUFFIXES, *ITK_SUFFIXES)

POSSIBLE = (1e-3, 1e3)
"""Voxel spacings in mm that are not refused."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Volume:
    """A scan as stored in its file.

    Attributes:
        path: file or folder; for a DICOM series `folder::SeriesInstanceUID`.
        format: "nifti", "dicom", or the suffix of another format, such as "mgz".
        voxels: float32 `(x, y, z)`, in the scan's own units.
        affine: `(4, 4)`, float64, voxel (x, y, z, 1) to NIfTI RAS+ world mm.
        files: files that were read.
        sha256: checksum of the files, see `checksum`.
        storage: number format of the files.
        modality: t1, t2, ... according to its header, the JSON next to it or its name; `None` if unknown.
        warnings: warnings for the user, each a clause about the scan.
        slice_thickness: in mm along z, the axis of the scanner's slices; `None` if unknown.
        headers: DICOM headers in the order of z, without pixels; empty for other formats.
        series_number: SeriesNumber of a DICOM series; `None` if it has none.
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


def read_image(
    path: str | os.PathLike, *, modality: str | None = None, nan_background: bool = False, warn: bool = True
) -> Volume:
    """Read a scan as stored in its file, and check that it is usable.

    NIfTI, FreeSurfer (`.mgz`), MINC and Analyze files are read by nibabel with scale factors applied (see
    `nifti_affine` for the affine; MONAI's reader would change the header before it can be checked), a folder as DICOM
    by `read_series`, and `.mha` and `.nrrd` by ITK. Compression is recognized by content. A fourth axis of length 1
    is dropped.

    Args:
        path: file, or folder of DICOM files; `folder::SeriesInstanceUID` for one of several series.
        modality: modality by which to choose among several series in a folder; see `choose_series`.
        nan_background: whether NaN is background, and becomes 0 with a warning; otherwise it is an error.
        warn: log the warnings.

    Raises:
        OSError: the file does not exist, is damaged, or has an unknown format.
        ValueError: the file is not one 3D volume of finite real numbers with contrast and a usable affine.
    """
    location, uid = split_uid(path)
    if location.is_dir():
        volume = _read_dicom(location, uid, modality)
    else:
        files_of(path)  # whether it exists
        volume = load_file(location)
    if nan_background:
        volume = _with_background(volume)
    _check_voxels(volume.path, volume.voxels)
    check_affine(volume.affine, volume.path)
    for warning in volume.warnings if warn else ():
        logger.warning("scan '%s': %s.", volume.path, warning)
    return volume


def check_affine(affine: np.ndarray, path: str | os.PathLike) -> None:
    """Raise an error if an affine is not finite or not invertible, or its voxels are of no possible size.

    Raises:
        ValueError: an entry is not finite, a voxel axis has length 0 or one outside of `POSSIBLE`, or the axes are in
            one plane.
    """
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    if not usable(affine) or spacing.min() < POSSIBLE[0] or spacing.max() > POSSIBLE[1]:
        raise ValueError(
            f"scan '{path}' has an unusable affine, voxel spacing {np.round(spacing, 6).tolist()} mm: it must be "
            f"finite, invertible and between {POSSIBLE[0]:g} and {POSSIBLE[1]:g} mm. Export the scan again from its "
            "DICOM series, or correct its header."
        )


def _read_dicom(folder: Path, uid: str | None, modality: str | None) -> Volume:
    series = choose_series(folder, uid=uid, modality=modality)
    read = read_series(series)
    return Volume(
        path=series.path,
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
    """Read one volume from a NIfTI or ITK file without checking intensities and affine; see `read_image`.

    Raises:
        OSError: the file is damaged or has an unknown format.
        ValueError: the file is not one 3D volume of real numbers, or its header states more voxels than it holds or
            than fit into memory.
    """
    check_content(path)
    name = path.name.lower()
    if not name.endswith(KNOWN):
        raise ValueError(
            f"scan '{path}' has an unknown suffix. Known are {', '.join(KNOWN)}, and folders of DICOM files; convert "
            "it to NIfTI first."
        )
    try:
        parts = reader_of(path)(path)
    except TooLargeError:
        raise
    except Exception as error:  # each reader raises its own types: EOFError, ImageFileError, ...
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
        format="nifti" if is_nifti(path) else path.suffix[1:].lower(),
        voxels=_one_volume(path, voxels),
        affine=np.asarray(affine, dtype=np.float64),
        files=files,
        sha256=checksum(files),
        storage=storage,
        modality=modality,
        warnings=(*warnings, *more),
        slice_thickness=sidecar_thickness(path),
    )


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
            f"scan '{path}' has shape {shape}: a 3D volume of at least 2 voxels along each axis is needed. "
            "Stack the slices into one file first."
        )
    return volume.astype(np.float32, copy=False)


def _with_background(volume: Volume) -> Volume:
    """Return a volume with 0 in place of NaN, and a warning if there is any."""
    missing = np.isnan(volume.voxels)
    if not missing.any():
        return volume
    warning = f"{100 * missing.mean():.1f} % of its voxels are NaN and were taken as background, 0"
    voxels = np.where(missing, np.float32(0), volume.voxels)
    return replace(volume, voxels=voxels, warnings=(*volume.warnings, warning))


def _check_voxels(path: str | os.PathLike, volume: np.ndarray) -> None:
    """Raise an error if intensities are not finite, all 0, or constant."""
    broken = int(np.count_nonzero(~np.isfinite(volume)))
    if broken:
        raise ValueError(
            f"scan '{path}' has {broken} NaN or infinite voxels. Export it again, or replace them (background by 0). "
            "If NaN is its background, --nan_background true of an inference (unicoal: --set nan_background=true) or "
            "--nan_background of a preparation takes it as 0."
        )
    if not volume.any():
        raise ValueError(f"scan '{path}' is empty: every voxel is 0. Export it again, or exclude this subject.")
    inside = volume[volume != 0]
    if inside.min() == inside.max():
        raise ValueError(
            f"scan '{path}' is constant: every non-zero voxel is {inside[0]:g}. It may be a mask; give the scan itself."
        )
