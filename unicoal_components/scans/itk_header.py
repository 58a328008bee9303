"""Headers of MetaImage and NRRD files: where the voxels are, and how they are stored."""

import os
import re
from pathlib import Path
from typing import NamedTuple

LONGEST = 1 << 20
"""Bytes in which a header must end."""

PACKED = ("gzip", "gz")
"""NRRD encodings that are compressed by gzip."""


class DataPlace(NamedTuple):
    """Place of the voxels.

    Attributes:
        path: file that holds them.
        start: first byte of them.
        encoding: "raw", "gzip" (also for zlib), or the name of another encoding.
    """

    path: Path
    start: int
    encoding: str


def data_place(path: Path) -> DataPlace:
    """Return the place of the voxels of a MetaImage (`.mha`, `.mhd`) or NRRD (`.nrrd`, `.nhdr`) file.

    Raises:
        ValueError: the header does not end, or names several data files, or one outside of its own folder.
    """
    with open(path, "rb") as file:
        content = file.read(LONGEST)
    if content.startswith(b"NRRD"):
        header = re.match(rb"(.*?\n)\r?\n", content, flags=re.DOTALL)
        text, start = (header[1], header.end()) if header else (content, 0)
        name = _field(text, rb"data ?file\s*:")
        encoding = (_field(text, rb"encoding\s*:") or "raw").lower()
        encoding = "gzip" if encoding in PACKED else encoding
        if header is None and name is None:
            raise ValueError("its header does not end")
    else:
        header = re.search(rb"^\s*ElementDataFile\s*=[^\n]*\n?", content, flags=re.MULTILINE)
        if header is None:
            raise ValueError("its header names no ElementDataFile")
        text, start = content[: header.end()], header.end()
        name = _field(text, rb"ElementDataFile\s*=")
        name = None if str(name).upper() == "LOCAL" else name
        encoding = "gzip" if str(_field(text, rb"CompressedData\s*=")).lower() == "true" else "raw"
    if name is None:
        return DataPlace(path, start, encoding)
    if name in ("", "LIST", "..") or os.path.basename(name) != name or re.search(r"%\d*d|\s\d", name):
        raise ValueError(
            f"its header takes voxels from '{name}'; only one file in its own folder is read. Save the volume as one "
            "file, .mha or .nrrd"
        )
    return DataPlace(path.with_name(name), 0, encoding)


def _field(header: bytes, pattern: bytes) -> str | None:
    """Return the value of the last field whose name and separator match a pattern."""
    found = re.findall(rb"^\s*" + pattern + rb"[ \t]*([^\r\n]*)", header, flags=re.MULTILINE | re.IGNORECASE)
    return found[-1].decode(errors="replace").strip() if found else None
