"""Content of an image file, whatever its name: compression, and files that only stand for another one."""

import gzip
from pathlib import Path
from typing import BinaryIO

GZIP = b"\x1f\x8b"
ZIP = b"PK\x03\x04"
POINTERS = {
    b"version https://git-lfs": "a Git LFS pointer; fetch the content first ('git lfs pull')",
    b"annex/objects/": "a git-annex pointer; fetch the content first ('git annex get', 'datalad get')",
}
"""Text near the beginning of small files that take the place of an image."""


def is_gzipped(path: Path) -> bool:
    """Return whether a file is compressed by gzip, by its first bytes."""
    with open(path, "rb") as file:
        return file.read(2) == GZIP


def check_content(path: Path) -> None:
    """Raise an error for files that hold no image but stand for one, or hold several files.

    Raises:
        ValueError: the file is a pointer of git-annex or Git LFS, a zip archive, or a DICOM file.
    """
    with open(path, "rb") as file:
        start = file.read(256)
    if start[128:132] == b"DICM":
        raise ValueError(f"scan '{path}' is a single DICOM file. Give the folder that holds the whole series.")
    for text, meaning in POINTERS.items():
        if text in start:
            raise ValueError(f"scan '{path}' is {meaning}.")
    if start.startswith(ZIP):
        raise ValueError(f"scan '{path}' is a zip archive. Unpack it and give the folder or file in it.")


def opened(path: Path) -> BinaryIO:
    """Open a file for reading, decompressed if it is compressed, whatever its name says."""
    return gzip.open(path) if is_gzipped(path) else open(path, "rb")  # type: ignore[return-value]
