"""Voxels, affine and number format of an image file, by format; sizes are checked before voxels are read."""

import io
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import h5py
import nibabel as nib
import numpy as np

from ..files.hdf5_check import check_all_own
from .file_content import is_gzipped, opened
from .file_names import NIBABEL_SUFFIXES, is_nifti
from .itk_header import data_place
from .nifti_affine import nifti_affine
from .stated_size import DEFLATE, check_stated_size, inflated_size, unpacked_size
from .storage import Storage

Parts = tuple[np.ndarray, np.ndarray, Storage, list[str]]
"""Voxels `(x, y, z, ...)`, affine, number format, and warnings."""

HEADER = 540
"""Bytes that hold the header of NIfTI-1, NIfTI-2, Analyze and FreeSurfer files."""

ANALYZE = (
    "it is an Analyze file, which does not state its orientation; left and right, and which end is up, are guessed as "
    "nibabel does. Give NIfTI if there is one"
)


def reader_of(path: Path) -> Callable[[Path], Parts]:
    """Return the function that reads a file, by its suffix."""
    suffix = path.suffix.lower()
    if is_nifti(path):
        return nifti_parts
    if suffix not in NIBABEL_SUFFIXES:
        return itk_parts
    return {".mnc": minc_parts, ".hdr": analyze_parts, ".img": analyze_parts}.get(suffix, freesurfer_parts)


def nifti_parts(path: Path) -> Parts:
    """Read a NIfTI file, compressed or not, whatever its name says."""
    with opened(path) as file:
        start = file.read(HEADER)
    kind: Any = nib.Nifti2Header if nib.Nifti2Header.may_contain_header(start) else nib.Nifti1Header
    header = kind(start[: kind.template_dtype.itemsize], check=False)
    _check_size(path, header, int(header["vox_offset"]))
    if is_gzipped(path) == path.name.lower().endswith(".gz"):
        image: Any = nib.load(path.absolute())  # as nibabel takes "~" for the home folder
    else:
        with opened(path) as file:
            image = (nib.Nifti2Image if kind is nib.Nifti2Header else nib.Nifti1Image).from_bytes(file.read())
    affine, warnings = nifti_affine(image)
    voxels = image.dataobj
    storage = Storage(str(voxels.dtype), float(voxels.slope), float(voxels.inter))
    return np.asanyarray(voxels), affine, storage, warnings


def freesurfer_parts(path: Path) -> Parts:
    """Read a FreeSurfer file (`.mgz`, `.mgh`)."""
    kind: Any = nib.freesurfer.mghformat.MGHHeader
    with opened(path) as file:
        header = kind.from_fileobj(io.BytesIO(file.read(HEADER)), check=False)
    _check_spacing(header["delta"])
    _check_size(path, header, header.get_data_offset())
    with opened(path) as file:
        image: Any = nib.MGHImage.from_bytes(file.read())  # nibabel's load leaves the file open
    voxels = np.asanyarray(image.dataobj)
    return voxels, image.affine, Storage(str(voxels.dtype)), []


def analyze_parts(path: Path) -> Parts:
    """Read a pair of header and data file, Analyze or NIfTI."""
    image: Any = nib.load(path.absolute())
    held = Path(image.file_map["image"].filename).stat().st_size
    check_stated_size(path, image.shape, image.get_data_dtype().itemsize, held=held)
    voxels = np.asanyarray(image.dataobj)
    affine, warnings = nifti_affine(image) if isinstance(image, nib.Nifti1Pair) else (image.affine, [ANALYZE])
    return voxels, affine, Storage(str(voxels.dtype)), warnings


def minc_parts(path: Path) -> Parts:
    """Read a MINC file, version 1 (netCDF) or 2 (HDF5)."""
    if h5py.is_hdf5(path):
        with h5py.File(path, "r") as file:
            check_all_own(file, path)
    image: Any = nib.load(path.absolute())
    if not h5py.is_hdf5(path):
        check_stated_size(path, image.shape, image.get_data_dtype().itemsize, held=path.stat().st_size)
    voxels = np.asanyarray(image.dataobj)
    return voxels, image.affine, Storage(str(voxels.dtype)), []


def itk_parts(path: Path) -> Parts:
    """Read a MetaImage or NRRD file."""
    import itk  # takes seconds, and most scans are NIfTI or DICOM

    from ..geometry.itk_image import from_itk

    place, name = data_place(path), str(path.absolute())
    stated = itk.ImageIOFactory.CreateImageIO(name, itk.CommonEnums.IOFileMode_ReadMode)
    if stated is None:
        raise ValueError("ITK does not know its format")
    stated.SetFileName(name)
    stated.ReadImageInformation()
    shape = [stated.GetDimensions(axis) for axis in range(stated.GetNumberOfDimensions())]
    _check_spacing([stated.GetSpacing(axis) for axis in range(len(shape))])
    itemsize = stated.GetComponentSize() * stated.GetNumberOfComponents()
    size = place.path.stat().st_size - place.start
    held = size if place.encoding == "raw" else size * max(DEFLATE, itemsize)
    needed = check_stated_size(path, shape, itemsize, held=held)
    if place.encoding == "gzip":
        check_stated_size(path, shape, itemsize, held=inflated_size(place.path, place.start, needed))
    voxels, affine = from_itk(itk.imread(name))
    return voxels, affine, Storage(str(voxels.dtype)), []


def _check_spacing(spacing: Iterable[float]) -> None:
    """Raise an error for a spacing that is not above 0; libraries take it as a mirrored axis, or as its absolute."""
    values = [float(value) for value in spacing]
    if not all(0 < value < np.inf for value in values):
        raise ValueError(f"its header states the voxel spacing {values}")


def _check_size(path: Path, header: Any, offset: int) -> None:
    """Compare a header with its file; a compressed file is read to its end, as nibabel stops before its checksum."""
    shape, itemsize = header.get_data_shape(), header.get_data_dtype().itemsize
    size = path.stat().st_size
    if not is_gzipped(path):
        check_stated_size(path, shape, itemsize, held=size, offset=offset)
        return
    needed = check_stated_size(path, shape, itemsize, held=size * DEFLATE, offset=offset)
    check_stated_size(path, shape, itemsize, held=unpacked_size(path, needed), offset=offset)
