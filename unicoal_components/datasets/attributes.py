"""Reader of attributes of HDF5 files, which may hold anything."""

import os
from collections.abc import Sequence
from typing import Any

import h5py
import numpy as np

Box = tuple[int, int, int, int, int, int]
Grid = tuple[np.ndarray | None, tuple[float, float, float] | None, Box]


def numbers_of(
    item: h5py.Group | h5py.Dataset, name: str, path: str | os.PathLike, *, shape: Sequence[int] = ()
) -> np.ndarray:
    """Return an attribute as finite numbers.

    Args:
        item: file, group or dataset with the attribute.
        name: name of the attribute.
        path: path of the file, used in error messages.
        shape: shape that it must have; () = one number, also in an array of one.

    Raises:
        ValueError: it is no number, not finite, or of another shape.
    """
    value: Any = item.attrs[name]
    try:
        numbers = np.asarray(value, dtype=np.float64)
        numbers = numbers.reshape(()) if not shape and numbers.size == 1 else numbers
    except (TypeError, ValueError, OverflowError):
        numbers = np.full(1, np.nan)
    if numbers.shape != tuple(shape) or not np.isfinite(numbers).all():
        kind = f"finite numbers of shape {tuple(shape)}" if shape else "one finite number"
        raise ValueError(
            f"'{name}' of '{item.name}' in '{path}' is {value!r:.80}; it must be {kind}. Prepare it again."
        )
    return numbers


def grid_of(file: h5py.Group, path: str | os.PathLike, shape: Sequence[int]) -> Grid:
    """Return affine, spacing and foreground box of a subject's file, see `SubjectHeader`.

    Args:
        file: the open file, or the group of a subject.
        path: path of the file, used in error messages.
        shape: (D, H, W) of its volumes.

    Raises:
        ValueError: an attribute does not have the right form, or cannot belong to volumes of this shape.
    """
    affine = numbers_of(file, "affine", path, shape=(4, 4)) if "affine" in file.attrs else None
    spacing = numbers_of(file, "spacing", path, shape=(3,)) if "spacing" in file.attrs else None
    box = [bound for size in shape for bound in (0, size)]
    if "foreground_box" in file.attrs:
        box = numbers_of(file, "foreground_box", path, shape=(6,)).astype(int).tolist()
    singular = affine is not None and not abs(np.linalg.det(affine[:3, :3])) > 0
    inside = all(0 <= low < high <= size for low, high, size in zip(box[::2], box[1::2], shape, strict=True))
    if singular or not inside or (spacing is not None and not spacing.min() > 0):
        raise ValueError(
            f"subject file '{path}' has the spacing {spacing}, the foreground_box {box} and the shape {tuple(shape)}: "
            "spacings must be above 0, the affine invertible, and the box inside. Prepare this subject again."
        )
    return affine, None if spacing is None else tuple(spacing.tolist()), tuple(box)  # type: ignore[return-value]
