"""HDF5 files made in memory and written whole.

The HDF5 library ends the process when the disk gets full under an open file; from memory it never writes to the disk.
"""

import os

import h5py

from .atomic import atomic_path


def image_of(file: h5py.File) -> bytes:
    """Return the bytes of a file made by `h5py.File.in_memory()`, the same as those that h5py writes to a disk."""
    file.flush()
    return file.id.get_file_image()


def write_image(path: str | os.PathLike, image: bytes) -> None:
    """Write the bytes of an HDF5 file atomically.

    Raises:
        CannotWriteError: the file cannot be written; the message names it and the reason.
    """
    with atomic_path(path) as partial:
        partial.write_bytes(image)
