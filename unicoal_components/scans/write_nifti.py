"""Writer of NIfTI files."""

import gzip
from collections.abc import Iterable, Sequence
from pathlib import Path

import nibabel as nib
import numpy as np

from ..files.atomic import atomic_path
from .storage import Storage

ALIGNED = 2
"""NIfTI code of sform and qform: coordinates aligned to another file (the input)."""


def write_nifti(
    path: Path,
    shape: Sequence[int],
    planes: Iterable[np.ndarray],
    affine: np.ndarray,
    description: str,
    *,
    storage: Storage | None = None,
    display: tuple[float, float] | None = None,
) -> None:
    """Write voxels `(x, y, z)` plane by plane, atomically, with the same bytes for the same input.

    The affine is written to the sform, and to the qform as far as that can represent it: without shear, by the nearest
    orthonormal axes, as ITK opens no file whose sform is sheared and whose qform has no code. Lengths are in mm.

    Args:
        path: `.nii.gz` file to write.
        shape: X, Y and Z.
        planes: Z arrays `(X, Y)` of stored numbers; each is released before the next one is requested.
        affine: voxel (x, y, z, 1) to NIfTI RAS+ world mm.
        description: text for the header, cut to 79 characters.
        storage: type, slope and intercept of the stored numbers; `None` = float32 without scaling.
        display: intensities that viewers should show as black and white; `None` = decided by the viewer.
    """
    storage = storage or Storage()
    header = nib.Nifti1Header()
    header.set_data_dtype(np.dtype(storage.dtype))
    header.set_data_shape(shape)
    header.set_slope_inter(storage.slope, storage.intercept)
    header.set_sform(affine, code=ALIGNED)
    header.set_qform(affine, code=ALIGNED)
    header.set_xyzt_units("mm")
    header["descrip"] = description[:79]
    if display is not None:
        header["cal_min"], header["cal_max"] = display
    little = np.dtype(storage.dtype).newbyteorder("<")
    with (
        atomic_path(path) as partial,
        open(partial, "wb") as raw,
        gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0, compresslevel=4) as packed,
    ):
        header.write_to(packed)
        for plane in planes:
            packed.write(plane.astype(little).tobytes(order="F"))


def nifti_storage(storage: Storage) -> Storage:
    """Return the given number format if NIfTI supports it, or else float32.

    Example:
        >>> nifti_storage(Storage("int16", 2.0)).dtype, nifti_storage(Storage("float16")).dtype
        ('int16', 'float32')
    """
    try:
        nib.Nifti1Header().set_data_dtype(np.dtype(storage.dtype))
    except nib.spatialimages.HeaderDataError:
        return Storage()
    return storage


def stored(values: np.ndarray, storage: Storage) -> np.ndarray:
    """Return values as stored in a file: with slope and intercept removed; rounded and clipped for integer types.

    Example:
        >>> stored(np.array([-3.0, 0.9, 70000.0]), Storage("uint16", 0.5)).tolist()
        [0, 2, 65535]
    """
    numbers = (values - storage.intercept) / storage.slope
    dtype = np.dtype(storage.dtype)
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        high = float(limits.max)  # for 64 bits rounded up, as float64 cannot represent it
        high = high if high <= limits.max else float(np.nextafter(high, 0))
        numbers = np.clip(np.rint(numbers.astype(np.float64)), limits.min, high)
    return numbers.astype(dtype)
