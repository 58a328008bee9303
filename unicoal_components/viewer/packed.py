"""Voxels as the page's script reads them: the numbers that the file stores, compressed."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..scans.dicom.series import split_uid
from ..scans.read_volume import Storage, Volume, check_affine, load_file, read_image

INTEGERS = ("uint8", "int16", "uint16")
"""Types that are kept; other numbers become float32."""


class Packed(NamedTuple):
    """Voxels in a form for a page; value = slope · stored + intercept.

    Attributes:
        dtype: type of the stored numbers, little-endian, one of `INTEGERS` or float32.
        slope: factor.
        intercept: summand.
        content: stored numbers, the first axis fastest, compressed by gzip.
    """

    dtype: str
    slope: float
    intercept: float
    content: bytes


def read_viewed(path: str | Path) -> Volume:
    """Read a volume to look at: any format that is read as a scan, of any intensities.

    Raises:
        OSError: the file does not exist, is damaged, or has an unknown format.
        ValueError: it is not one 3D volume of real numbers with a usable affine.
    """
    location, _ = split_uid(path)
    volume = load_file(location) if location.is_file() else read_image(path, warn=False)
    check_affine(volume.affine, path)
    return volume


def packed(voxels: np.ndarray, storage: Storage) -> Packed:
    """Compress voxels without loss.

    Args:
        voxels: float32 `(x, y, z)`.
        storage: number format of their file; its integers are used if they give these voxels exactly.

    Example:
        >>> voxels = np.float32([[[0, 3, 255]]])
        >>> packed(voxels, Storage("uint8")).dtype, packed(voxels + 0.5, Storage()).dtype
        ('uint8', 'float32')
    """
    slope, intercept = storage.slope, storage.intercept
    dtype = np.dtype(storage.dtype).name
    if dtype in INTEGERS and np.isfinite(voxels).all():
        integers = np.rint((voxels.astype(np.float64) - intercept) / slope)
        bounds = np.iinfo(dtype)
        if integers.min() >= bounds.min and integers.max() <= bounds.max:
            stored = integers.astype(np.dtype(dtype).newbyteorder("<"))
            if np.array_equal((stored * np.float64(slope) + intercept).astype(np.float32), voxels):
                return Packed(dtype, slope, intercept, _compressed(stored))
    return Packed("float32", 1.0, 0.0, _compressed(voxels.astype("<f4", copy=False)))


def _compressed(stored: np.ndarray) -> bytes:
    return gzip.compress(stored.tobytes(order="F"), compresslevel=4, mtime=0)
