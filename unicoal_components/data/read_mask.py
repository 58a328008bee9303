"""A mask from an image file, such as that of a brain: which voxels are not 0."""

import os
from pathlib import Path

import numpy as np
from monai.data.image_reader import ITKReader, NibabelReader

from .geometry import to_stack
from .read_volume import check_affine, is_nifti
from .scan import Scan


def read_mask(path: str | os.PathLike) -> Scan:
    """Read a mask as a stack of 0 and 1; unlike a scan it may be constant where it is not 0.

    Raises:
        OSError: the file does not exist, or is damaged or of no known format.
        ValueError: it is not one 3D volume of real numbers with a usable affine, or is empty.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"mask '{path}' does not exist or is no file; check --mask or the table's column mask.")
    reader = NibabelReader() if is_nifti(path) else ITKReader()
    try:
        voxels, meta = reader.get_data(reader.read(path))
    except Exception as error:  # every reader has its own
        raise OSError(
            f"cannot read mask '{path}': it is truncated, damaged or of an unknown format ({error}). Make it again."
        ) from error
    mask = np.asarray(voxels)
    if mask.ndim > 3 and set(mask.shape[3:]) == {1}:
        mask = mask.reshape(mask.shape[:3])
    if mask.ndim != 3 or mask.dtype.kind not in "buif" or not np.nan_to_num(mask).any():
        raise ValueError(
            f"mask '{path}' is {mask.dtype} {mask.shape} with {np.count_nonzero(mask)} voxels that are not 0; it must "
            "be one 3D volume of numbers, not empty. Make it again, or correct --mask."
        )
    affine = np.asarray(meta["affine"], dtype=np.float64)
    check_affine(affine, path)
    stack = to_stack((np.nan_to_num(mask) != 0).astype(np.float32), affine, through_plane="axial")
    return Scan(path, stack.slices, stack.affine, stack.orientation)
