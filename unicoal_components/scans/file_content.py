"""Content of an image file, whatever its name: compression, and files that only stand for another one."""

import gzip
import zlib
from pathlib import Path
from typing import BinaryIO

GZIP = b"\x1f\x8b"
UNPACK = "Unpack it and give the folder or file in it"
BEGINNINGS = {
    b"PK\x03\x04": f"a zip archive. {UNPACK}",
    b"7z\xbc\xaf\x27\x1c": f"a 7-Zip archive. {UNPACK}",
    b"Rar!\x1a\x07": f"a RAR archive. {UNPACK}",
    b"BZh": f"compressed by bzip2. {UNPACK}",
    b"\xfd7zXZ\x00": f"compressed by xz. {UNPACK}",
    b"\x28\xb5\x2f\xfd": f"compressed by zstd. {UNPACK}",
    b"\x00\x05\x16\x07": "a file of attributes that macOS writes beside others; give the one whose name lacks '._'",
    b"<!doctype html": "a web page, such as one that asks to log in; download the scan again",
    b"<html": "a web page, such as one that asks to log in; download the scan again",
}
"""First bytes, in lower case where they are text, of files that are no images."""
TAR = (257, b"ustar")
DICOMDIR = b"1.2.840.10008.1.3.10"
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
        OSError: the file is empty.
        ValueError: the file is a pointer of git-annex or Git LFS, an archive, a web page, or a DICOM file.
    """
    start = _beginning(path)
    if not start:
        raise OSError(f"scan '{path}' is an empty file. Copy or export it again.")
    if start[128:132] == b"DICM":
        if DICOMDIR in start:
            raise ValueError(f"scan '{path}' is a DICOMDIR, which only lists files. Give the folder that holds these.")
        raise ValueError(f"scan '{path}' is a single DICOM file. Give the folder that holds the whole series.")
    for text, meaning in POINTERS.items():
        if text in start:
            raise ValueError(f"scan '{path}' is {meaning}.")
    for beginning, meaning in BEGINNINGS.items():
        if start.startswith(beginning) or start.lstrip().lower().startswith(beginning):
            raise ValueError(f"scan '{path}' is {meaning}.")
    if start[TAR[0] :].startswith(TAR[1]):
        raise ValueError(f"scan '{path}' is a tar archive. {UNPACK}.")


def _beginning(path: Path) -> bytes:
    """Return the first bytes of a file, decompressed if that is possible."""
    with open(path, "rb") as file:
        start = file.read(1024)
    if not start.startswith(GZIP):
        return start
    try:
        return zlib.decompressobj(wbits=zlib.MAX_WBITS | 16).decompress(start, 512) or start
    except zlib.error:
        return start  # damaged, as is said when it is read


def opened(path: Path) -> BinaryIO:
    """Open a file for reading, decompressed if it is compressed, whatever its name says."""
    return gzip.open(path) if is_gzipped(path) else open(path, "rb")  # type: ignore[return-value]
