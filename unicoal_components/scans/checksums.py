"""SHA-256 checksums of scans: one file, a header with its data file, or a folder of DICOM files."""

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

from ..files.checksum import file_sha256
from .dicom.series import split_uid

HEADERS = (".mhd", ".nhdr", ".hdr", ".img")
"""Suffixes of formats that consist of two files of the same name."""


def files_of(path: str | os.PathLike) -> list[Path]:
    """List the files of a scan in order; for `folder::<SeriesInstanceUID>`, all files of the folder.

    Raises:
        FileNotFoundError: the path does not exist.
    """
    location, _ = split_uid(path)
    if location.is_dir():
        return sorted(file for file in location.rglob("*") if file.is_file() and not file.name.startswith("."))
    if location.is_symlink() and not location.exists():
        raise FileNotFoundError(
            f"scan '{path}' is a link to a file that is not there. Fetch it, for example with 'git annex get' or "
            "'datalad get'."
        )
    if not location.is_file():
        raise FileNotFoundError(f"scan '{path}' does not exist; check the pattern, or the path in the table.")
    if location.suffix.lower() in HEADERS:
        return sorted(file for file in location.parent.iterdir() if file.stem == location.stem and file.is_file())
    return [location]


def sha256_of(path: str | os.PathLike) -> str:
    """Return the SHA-256 of a file's bytes; for several files, that of their names and checksums.

    Raises:
        OSError: a file does not exist or cannot be read.
    """
    files = files_of(path)
    if len(files) == 1:
        return file_sha256(files[0])
    location = Path(os.path.commonpath(files)) if files else Path()
    lines = [f"{file_sha256(file)}  {file.relative_to(location).as_posix()}\n" for file in files]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def checksum(files: Iterable[str | os.PathLike]) -> str:
    """Return the SHA-256 of one file, or a combined one of several files that does not depend on their names."""
    return combined(file_sha256(file) for file in files)


def combined(checksums: Iterable[str]) -> str:
    """Return a single SHA-256 as it is; of several, the SHA-256 of the sorted ones."""
    sums = sorted(checksums)
    return sums[0] if len(sums) == 1 else hashlib.sha256("".join(sums).encode()).hexdigest()
