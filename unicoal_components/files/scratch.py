"""Temporary arrays on disk, for data too large for main memory."""

import mmap
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np


def scratch_array(
    shape: Sequence[int], dtype: np.dtype | type | str, folder: str | os.PathLike, *, order: str = "C"
) -> np.memmap:
    """Return an array in a nameless file that is removed with the array or the process.

    The space is reserved at once, so that a full disk is an error here, not a crash when the array is written.

    Args:
        shape: shape of the array.
        dtype: data type of the array.
        folder: folder on a disk with enough space; created if needed.
        order: memory order, "C" or "F".

    Raises:
        OSError: the folder cannot be written, or lacks the space; the message names it.
    """
    size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=os.fspath(folder)) as file:
            reserve(file.fileno(), size)
            return np.memmap(file, dtype=dtype, mode="r+", shape=tuple(shape), order=order)  # type: ignore[call-overload]
    except OSError as error:
        raise OSError(
            f"cannot write {size / 1e6:.0f} MB into '{folder}' while a volume is made: {error.strerror or error}. "
            "Choose a folder that you may write to and that has space left, such as with --output_dir."
        ) from error


def reserve(file: int, size: int) -> None:
    """Reserve `size` bytes for an open file, or raise OSError; if unsupported, only set its length."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file, 0, size)
    else:
        os.truncate(file, size)


def release(array: np.memmap) -> None:
    """Release the memory of the array's pages; they stay in the file and are read again on access."""
    pages = getattr(array, "_mmap", None)
    if pages is not None and hasattr(mmap, "MADV_DONTNEED"):
        pages.madvise(mmap.MADV_DONTNEED)
