"""One volume from one image file, checked; the only place where scans enter the package."""

import logging
import os
import zlib
from pathlib import Path

import nibabel as nib
import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError

from ..keys import Keys

logger = logging.getLogger(__name__)

NIFTI_SUFFIXES = (".nii.gz", ".nii")
UNREADABLE = (OSError, EOFError, ValueError, TypeError, RuntimeError, zlib.error, ImageFileError, HeaderDataError)


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

    Returns:
        One `{"image": path}` per image. Whether a file can be read shows when it is its turn.

    Raises:
        FileNotFoundError: nothing is there, or the folder holds no NIfTI file.
        ValueError: two files of the folder would give outputs of one name.
    """
    path = Path(input)
    if not str(input) or not path.exists():
        raise FileNotFoundError(f"input '{input}' does not exist. Give a NIfTI file, or a folder of them.")
    if not path.is_dir():
        return [{Keys.IMAGE: str(path)}]
    files = sorted(file for file in path.iterdir() if is_nifti(file) and not file.name.startswith("."))
    if not files:
        what = "is empty" if not any(path.iterdir()) else "holds no file that ends in .nii or .nii.gz"
        raise FileNotFoundError(f"the input folder '{path}' {what}. Put the scans there, or name one file.")
    stems = [stem_of(file) for file in files]
    doubled = next((stem for stem in stems if stems.count(stem) > 1), None)
    if doubled is not None:
        raise ValueError(f"the input folder '{path}' holds '{doubled}' as .nii and as .nii.gz. Keep one of them.")
    return [{Keys.IMAGE: str(file)} for file in files]


def read_image(path: str | os.PathLike) -> tuple[np.ndarray, np.ndarray]:
    """Read a scan as it lies in its file, and refuse what cannot be one.

    NIfTI goes through nibabel (scale factors applied; sform before qform); everything else, a folder of DICOM slices
    included, through MONAI's ITK reader.

    Returns:
        The volume `(x, y, z)` in float32 and its affine `(4, 4)` in float64: voxel to NIfTI RAS+ world mm.

    Raises:
        FileNotFoundError: nothing is there, or the folder is empty.
        ValueError: the file is damaged, or holds no three-dimensional, finite, non-constant volume with a usable
            affine. Trailing axes of length 1 are dropped. The message names the file and the way out.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"there is no image '{path}'. Check the spelling, or give an absolute path.")
    if path.is_dir() and not any(path.iterdir()):
        raise FileNotFoundError(f"the folder '{path}' is empty; an image file or a folder of DICOM slices is needed.")
    try:
        volume, affine = _read_nifti(path) if is_nifti(path) else _read_other(path)
    except UNREADABLE as error:
        reason = " ".join(str(error).split())[:300]
        raise ValueError(
            f"cannot read '{path}' as an image: {reason}. The file may be truncated or of another format; "
            "copy or convert it again (a NIfTI file, .nii or .nii.gz, is always accepted)."
        ) from error
    return check_volume(volume, path), check_affine(affine, path)


def _read_nifti(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Read NIfTI with nibabel, as float32 without a second copy in memory."""
    image = nib.load(path)
    if not isinstance(image, nib.Nifti1Image):
        raise ValueError(f"nibabel reads it as {type(image).__name__}, which is no NIfTI file")
    if image.get_data_dtype().kind not in "iuf":
        raise ValueError(f"its voxels are of type {image.get_data_dtype()}, not one real number each")
    if image.header.get("sform_code") == 0 == image.header.get("qform_code"):
        logger.warning("'%s' states no orientation (sform and qform code 0): left and right are a guess.", path)
    return image.get_fdata(dtype=np.float32, caching="unchanged"), np.asarray(image.affine)


def _read_other(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Read any ITK format with MONAI, which turns the affine into RAS+."""
    from monai.transforms import LoadImage  # slow to import, and only needed here

    image = LoadImage(reader="ITKReader", image_only=True, dtype=np.float32)(str(path))
    return image.numpy(), np.asarray(image.affine.numpy())


def check_volume(volume: np.ndarray, path: str | os.PathLike) -> np.ndarray:
    """Return `volume` without trailing axes of length 1, or say why it is no scan.

    Raises:
        ValueError: not three axes of two voxels or more, NaN or infinite voxels, or one value everywhere.
    """
    while volume.ndim > 3 and volume.shape[-1] == 1:
        volume = volume[..., 0]
    if volume.ndim != 3 or min(volume.shape) < 2:
        raise ValueError(
            f"'{path}' has the shape {volume.shape}; one 3D volume with at least 2 voxels along every axis is needed. "
            "Split a 4D series into its volumes; stack single slices into a volume."
        )
    if not np.isfinite(volume).all():
        count = int(volume.size - np.isfinite(volume).sum())
        raise ValueError(f"'{path}' has {count} NaN or infinite voxels. Set them to 0 (background) and try again.")
    low, high = float(volume.min()), float(volume.max())
    if low == high:
        raise ValueError(f"'{path}' is constant: every voxel is {low:g}. It holds no image; export it again.")
    return volume


def check_affine(affine: np.ndarray, path: str | os.PathLike) -> np.ndarray:
    """Return `affine` in float64, or say why no world position follows from it.

    Raises:
        ValueError: an entry is not finite, a voxel axis has length 0, or two axes are parallel.
    """
    affine = np.asarray(affine, dtype=np.float64)
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    volume = abs(np.linalg.det(affine[:3, :3])) if np.isfinite(affine).all() else 0.0
    if not volume > 1e-6 * spacing.prod():
        raise ValueError(
            f"'{path}' has a singular affine (voxel spacing {np.round(spacing, 6).tolist()} mm), so its voxels have no "
            "place in the world. Correct the header (sform, qform and pixdim), or convert the original scan again."
        )
    return affine
