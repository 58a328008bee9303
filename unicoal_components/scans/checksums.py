"""SHA-256 of what a scan is stored in: a file, a header with its data file, or a folder of DICOM files."""

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

from .dicom.series import split_uid

HEADERS = (".mhd", ".nhdr", ".hdr", ".img")
"""Suffixes of files that come with a second one of the same name."""


def files_of(path: str | os.PathLike) -> list[Path]:
    """List the files that hold a scan, in order; of `folder::<SeriesInstanceUID>` all of the folder.

    Raises:
        FileNotFoundError: nothing is there.
    """
    place, _ = split_uid(path)
    if place.is_dir():
        return sorted(file for file in place.rglob("*") if file.is_file() and not file.name.startswith("."))
    if not place.is_file():
        raise FileNotFoundError(f"scan '{path}' does not exist; check the pattern or the table's path.")
    if place.suffix.lower() in HEADERS:
        return sorted(file for file in place.parent.iterdir() if file.stem == place.stem and file.is_file())
    return [place]


def sha256_of(path: str | os.PathLike) -> str:
    """Return the SHA-256 of a file's bytes; of several files, that of their names and checksums.

    Raises:
        OSError: something is not there or cannot be read.
    """
    files = files_of(path)
    if len(files) == 1:
        return _file_sha256(files[0])
    place = Path(os.path.commonpath(files)) if files else Path()
    lines = [f"{_file_sha256(file)}  {file.relative_to(place).as_posix()}\n" for file in files]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def checksum(files: Iterable[str | os.PathLike]) -> str:
    """Return the SHA-256 of one file, or that of the sorted SHA-256 of several, whatever their names."""
    return combined(_file_sha256(file) for file in files)


def combined(checksums: Iterable[str]) -> str:
    """Return the one SHA-256, or that of several sorted ones."""
    sums = sorted(checksums)
    return sums[0] if len(sums) == 1 else hashlib.sha256("".join(sums).encode()).hexdigest()


def _file_sha256(path: str | os.PathLike) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
