"""What a command left: files that are whole or not, unfinished names, and what it said."""

import csv
import gzip
import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import nibabel as nib
import numpy as np
import pydicom
import torch
from PIL import Image

from unicoal_components.files.claim import LOCK


def _hdf5(path: Path) -> None:
    with h5py.File(path) as file:
        file.visititems(lambda _, item: item[()] if isinstance(item, h5py.Dataset) else None)


def _csv(path: Path) -> None:
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    if not rows or len({len(row) for row in rows}) > 1 or not path.read_bytes().endswith(b"\n"):
        raise ValueError("rows of several lengths")


def _html(path: Path) -> None:
    if not path.read_text(encoding="utf-8").rstrip().endswith("</html>"):
        raise ValueError("no end")


def _png(path: Path) -> None:
    with Image.open(path) as image:
        image.load()


READERS: Mapping[str, Callable[[Path], Any]] = {
    ".h5": _hdf5,
    ".csv": _csv,
    ".html": _html,
    ".png": _png,
    ".json": lambda path: json.loads(path.read_text(encoding="utf-8")),
    ".pt": lambda path: torch.load(path, weights_only=True),
    ".gz": lambda path: gzip.decompress(path.read_bytes()),
    ".dcm": lambda path: pydicom.dcmread(path).pixel_array,
}
"""Of each kind of file, what fails if it is not whole. Logs (`error.log`, TensorBoard's) are not checked."""


def files_of(folder: Path) -> list[Path]:
    """Return all files below a folder."""
    return sorted(path for path in folder.rglob("*") if path.is_file())


def states(folder: Path) -> dict[str, tuple[int, int]]:
    """Return size and time of change of all files below a folder, by name; but of the lock, which others try."""
    found = {path: path.stat() for path in files_of(folder) if path.name != LOCK}
    return {str(path.relative_to(folder)): (state.st_size, state.st_mtime_ns) for path, state in found.items()}


def unfinished(folder: Path) -> list[str]:
    """Return the files and folders with unfinished names, and those by which a process claims a folder."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob(".*") if path.name.startswith("."))


def damaged(folder: Path) -> list[str]:
    """Return the files under final names that cannot be read to their end."""
    found = []
    for path in files_of(folder):
        relative = path.relative_to(folder)
        if any(part.startswith(".") for part in relative.parts) or path.suffix not in READERS:
            continue
        try:
            READERS[path.suffix](path)
        except Exception as error:
            found.append(f"{relative}: {type(error).__name__}")
    return found


def _value(path: Path) -> Any:
    """Return what a file says, without what differs from run to run."""
    if path.suffix == ".dcm":
        slice = pydicom.dcmread(path)
        return [slice.ImagePositionPatient, slice.ImageOrientationPatient, slice.pixel_array.tolist()]
    if path.suffix == ".gz":
        image = nib.Nifti1Image.from_filename(path)
        return [image.affine.tolist(), np.asanyarray(image.dataobj).tolist()]
    return path.read_bytes().hex()


def content(folder: Path, patterns: Sequence[str], *, as_bytes: bool) -> dict[str, str]:
    """Return a checksum of each file that matches a pattern: of its bytes, or of its values."""
    found = {}
    for path in sorted({path for pattern in patterns for path in folder.glob(pattern)}):
        value = path.read_bytes() if as_bytes else repr(_value(path)).encode()
        found[str(path.relative_to(folder))] = hashlib.sha256(value).hexdigest()
    return found


def said_of_stop(text: str, name: str) -> str:
    """Return what is wrong with the words of a command that a signal stopped, "" if nothing is."""
    if "Traceback (most recent call last)" in text:
        return "traceback"
    last = text.rstrip().rpartition("\n")[2]
    return "" if last.startswith(f"stopped by {name}: ") else "silent" if name not in text else "no last line"


def said_of_disk(text: str, folder: Path) -> str:
    """Return what is wrong with the words of a command whose disk is full, "" if nothing is."""
    if "Traceback (most recent call last)" in text:
        return "traceback"
    found = re.search(r"^error: .*$", text, re.MULTILINE | re.DOTALL)
    words = found[0] if found else ""
    if str(folder) not in words:
        return "file not named"
    return "" if "No space left on device" in words else "cause not named"
