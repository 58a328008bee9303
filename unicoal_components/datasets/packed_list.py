"""Reader of the datalist in a packed set, whose groups are its sections and subjects."""

import os
from pathlib import Path
from typing import Any

import h5py

from ..files.hdf5_check import check_own
from .attributes import numbers_of
from .open_subject import MARK, damage_named

CONTENT = "packed training set"
"""Value of the root attribute `content` of every packed set."""

SCHEMA_VERSION = 1


def is_hdf5(path: str | os.PathLike) -> bool:
    """Return whether a file is HDF5, as packed sets are."""
    return bool(h5py.is_hdf5(os.fspath(path)))


def read_packed_list(path: str | os.PathLike) -> dict[str, Any]:
    """Return the datalist of a packed set, in the form of a JSON datalist.

    Args:
        path: the packed set.

    Returns:
        Per section a list of `{"subject": "p01", "path": "set.h5::training/p01"}`, with `"repeat"` if present, in the
        order of the packed datalist; paths are relative to the set's folder. Also `modalities`.

    Raises:
        ValueError: the file is another kind of HDF5 file, such as a subject file, a packed set of a newer version, or
            refers to other files.
        OSError: the file is damaged.
    """
    with damage_named(path, is_set=True), h5py.File(path, "r") as file:
        if not isinstance(content := file.attrs.get("content"), str) or content != CONTENT:
            raise ValueError(
                f"datalist '{path}' is an HDF5 file but not a packed training set, perhaps a subject file; give a "
                "datalist.json, or a file written by scripts/pack_training_set.py."
            )
        if numbers_of(file, "schema", path) > SCHEMA_VERSION:
            raise ValueError(
                f"packed set '{path}' has schema {file.attrs['schema']}, this version reads up to {SCHEMA_VERSION}; "
                "update unicoal_components."
            )
        sections: dict[str, Any] = {section: _subjects(file, section, path) for section in file}
        return sections | {"modalities": [str(word) for word in file.attrs["modalities"]]}


def _subjects(file: h5py.File, section: str, path: str | os.PathLike) -> list[dict[str, Any]]:
    """Return the entries of a section, without following links out of the file."""
    entries: list[dict[str, Any]] = []
    check_own(file, section, path)
    group = file[section]
    for subject in group:
        check_own(group, subject, path)
        item = group[subject]
        repeat = {"repeat": int(numbers_of(item, "repeat", path))} if "repeat" in item.attrs else {}
        entries.append({"subject": subject, "path": f"{Path(path).name}{MARK}{section}/{subject}"} | repeat)
    return entries
