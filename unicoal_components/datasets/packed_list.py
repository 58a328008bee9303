"""The datalist of a packed set: its sections and subjects are the groups of the file."""

import os
from pathlib import Path
from typing import Any

import h5py

from .open_subject import MARK, damage_named

CONTENT = "packed training set"
"""The root's attribute `content` says that the file is one."""

SCHEMA_VERSION = 1


def is_hdf5(path: str | os.PathLike) -> bool:
    """Tell whether a file is HDF5, so that a datalist in it would be a packed set."""
    return bool(h5py.is_hdf5(os.fspath(path)))


def read_packed_list(path: str | os.PathLike) -> dict[str, Any]:
    """Read what a datalist's JSON would hold.

    Returns:
        Per section a list of `{"subject": "p01", "path": "set.h5::training/p01"}`, with `"repeat"` where there is one,
        in the order of the datalist that was packed; paths are relative to the set's folder. And `modalities`.

    Raises:
        ValueError: the file is a subject file or another HDF5 file, or a packed set of a newer version.
        OSError: it is damaged.
    """
    name = Path(path).name
    with damage_named(path, is_set=True), h5py.File(path, "r") as file:
        if file.attrs.get("content") != CONTENT:
            raise ValueError(
                f"datalist '{path}' is an HDF5 file that is no packed training set, perhaps one subject's; give a "
                "datalist.json, or what scripts/pack_training_set.py writes."
            )
        if int(file.attrs["schema"]) > SCHEMA_VERSION:
            raise ValueError(
                f"packed set '{path}' has schema {file.attrs['schema']}, this version reads up to {SCHEMA_VERSION}; "
                "update unicoal_components."
            )
        sections: dict[str, Any] = {
            section: [
                {"subject": subject, "path": f"{name}{MARK}{section}/{subject}"}
                | ({"repeat": int(item.attrs["repeat"])} if "repeat" in item.attrs else {})
                for subject, item in group.items()
            ]
            for section, group in file.items()
        }
        return sections | {"modalities": [str(word) for word in file.attrs["modalities"]]}
