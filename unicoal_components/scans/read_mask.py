"""A mask from an image file, such as that of a brain: which voxels are not 0."""

import os
from pathlib import Path

import numpy as np

from ..geometry.orientation import to_stack
from .read_volume import check_affine, load_file
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
    mask = load_file(path)
    filled = np.nan_to_num(mask.voxels) != 0
    if not filled.any():
        raise ValueError(f"mask '{path}' is empty: no voxel is other than 0. Make it again, or correct --mask.")
    check_affine(mask.affine, path)
    stack = to_stack(filled.astype(np.float32), mask.affine, through_plane="axial")
    return Scan(path, stack.slices, stack.affine, stack.orientation)
