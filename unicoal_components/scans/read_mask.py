"""Reader of masks, such as brain masks, from image files."""

import os
from pathlib import Path

import numpy as np

from ..geometry.orientation import to_stack
from .read_volume import check_affine, load_file
from .scan import Scan


def read_mask(path: str | os.PathLike) -> Scan:
    """Read a mask as a stack of 0 and 1; its non-zero voxels may all have one value.

    Args:
        path: image file; every voxel that is not 0 belongs to the mask.

    Raises:
        OSError: the file does not exist, or is damaged or of no known format.
        ValueError: the file is not one 3D volume of real numbers with a usable affine, or every voxel is 0.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"mask '{path}' does not exist or is not a file; check --mask or the column mask of the table."
        )
    mask = load_file(path)
    filled = np.nan_to_num(mask.voxels) != 0
    if not filled.any():
        raise ValueError(f"mask '{path}' is empty: no voxel differs from 0. Create it again, or correct --mask.")
    check_affine(mask.affine, path)
    stack = to_stack(filled.astype(np.float32), mask.affine, through_plane="axial")
    return Scan(path, stack.slices, stack.affine, stack.orientation)
