"""Reader and writer of datalists, which assign subject files to training, validation and test."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..files.atomic import atomic_path
from ..files.json_file import read_json
from .open_subject import split_packed
from .packed_list import is_hdf5, read_packed_list

SCHEMA_VERSION = 1
SECTIONS = ("training", "validation", "test")
EXPECTED_FORMAT = (
    'it must be {"training": [{"subject": "name", "path": "file.h5"}, ...], "validation": [...], "test": [...]}, as '
    "written by 'unicoal prepare' together with the subject files."
)


def write_datalist(
    path: str | os.PathLike, *, sections: Mapping[str, Sequence[Mapping[str, Any]]], modalities: Sequence[str]
) -> None:
    """Write the datalist JSON atomically.

    Args:
        path: the JSON file.
        sections: per section (training, validation, test) a list of `{"subject": ..., "path": ...}`, optionally with
            `"repeat": n`, see `SliceDataset`; a section may be empty or absent (it is then written empty). Paths are
            absolute or relative to the JSON's folder, and written relative to it, so that the folder can be moved.
        modalities: lower-case names in the order of their class indices.

    Raises:
        ValueError: a section is unknown, an entry is incomplete, a subject occurs twice, or a repeat is not a positive
            integer.
        OSError: the file cannot be written.
    """
    text = datalist_text(path, sections=sections, modalities=modalities)
    with atomic_path(path) as partial:
        partial.write_text(text, encoding="utf-8")


def datalist_text(
    path: str | os.PathLike, *, sections: Mapping[str, Sequence[Mapping[str, Any]]], modalities: Sequence[str]
) -> str:
    """Return what `write_datalist` would write; see there for the arguments and errors."""
    folder = Path(path).absolute().parent
    unknown = sorted(set(sections) - set(SECTIONS))
    if unknown:
        raise ValueError(f"cannot write datalist '{path}': unknown sections {unknown}; allowed are {list(SECTIONS)}.")
    content: dict = {name: list(sections.get(name, ())) for name in SECTIONS}
    _check_sections(path, content)
    for name in SECTIONS:
        content[name] = [
            {"subject": entry["subject"], "path": Path(os.path.relpath(folder / entry["path"], folder)).as_posix()}
            | _repeat(entry)
            for entry in content[name]
        ]
    content |= {"modalities": list(modalities), "schema": SCHEMA_VERSION}
    return json.dumps(content, indent=4) + "\n"


def read_datalist(path: str | os.PathLike, section: str) -> list[dict[str, Any]]:
    """Read one section as a list of `{"subject": name, "path": absolute path}`; an empty section gives `[]`.

    An entry with `"repeat": n` keeps it: its slices occur n times per round of training (see `SliceDataset`). In a
    packed set, `set.h5`, paths are such as `/folder/set.h5::training/p01`, which every reader of subject files accepts.

    Args:
        path: JSON file or packed set.
        section: "training", "validation" or "test".

    Raises:
        FileNotFoundError: the datalist, or a subject file in this section, does not exist.
        ValueError: the file is not a datalist or lacks the section, a subject occurs twice, or a repeat is not a
            positive integer.
    """
    content = _load(path)
    if section not in SECTIONS or section not in content:
        found = [name for name in SECTIONS if name in content]
        raise ValueError(
            f"datalist '{path}' has no section '{section}'; it has {found}. "
            'Correct the name, or add an empty list for a section without subjects, such as "validation": [].'
        )
    _check_sections(path, content)
    folder = Path(path).absolute().parent
    entries = [
        {"subject": entry["subject"], "path": str(folder / entry["path"])} | _repeat(entry)
        for entry in content[section]
    ]
    for entry in entries:
        if not split_packed(entry["path"])[0].is_file():
            raise FileNotFoundError(
                f"datalist '{path}' has '{entry['path']}' for subject '{entry['subject']}', which does not exist; "
                "paths are relative to the datalist's own folder."
            )
    return entries


def read_modalities(path: str | os.PathLike) -> list[str]:
    """Read the modality names of a datalist, in the order of their class indices."""
    names = _load(path).get("modalities")
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise ValueError(f'datalist \'{path}\' must list its "modalities", such as ["t1", "t2"]; it has {names!r}.')
    return names


def sections_of(path: str | os.PathLike) -> list[str]:
    """Return the names of a datalist's sections; see `read_datalist` for errors."""
    content = _load(path)
    return [name for name in SECTIONS if name in content]


def _repeat(entry: Mapping[str, Any]) -> dict[str, int]:
    return {"repeat": entry["repeat"]} if "repeat" in entry else {}


def _load(path: str | os.PathLike) -> dict:
    """Read the content of a JSON file or a packed set; every error names the file."""
    if not Path(path).is_file():
        raise FileNotFoundError(
            f"datalist '{path}' does not exist; 'unicoal prepare' and 'unicoal simulate' write one."
        )
    if is_hdf5(path):
        return read_packed_list(path)
    content = read_json(path)
    if not isinstance(content, dict):
        raise ValueError(f"datalist '{path}' holds one {type(content).__name__}; {EXPECTED_FORMAT}")
    if content.get("schema", SCHEMA_VERSION) != SCHEMA_VERSION:
        raise ValueError(f"datalist '{path}' has schema {content['schema']!r}; this version reads {SCHEMA_VERSION}.")
    return content


def _check_sections(path: str | os.PathLike, content: Mapping) -> None:
    """Raise an error for incomplete entries and repeated subjects, which would leak training data into test data."""
    seen: dict[str, str] = {}
    for section in SECTIONS:
        entries = content.get(section, [])
        if not isinstance(entries, list):
            raise ValueError(
                f"datalist '{path}', section '{section}' holds one {type(entries).__name__}; {EXPECTED_FORMAT}"
            )
        for entry in entries:
            if not isinstance(entry, Mapping) or not all(
                isinstance(entry.get(key), str) for key in ("subject", "path")
            ):
                raise ValueError(f"datalist '{path}', section '{section}' has the entry {entry!r}; {EXPECTED_FORMAT}")
            repeat = entry.get("repeat", 1)
            if isinstance(repeat, bool) or not isinstance(repeat, int) or repeat < 1:
                raise ValueError(
                    f"datalist '{path}', section '{section}', subject '{entry['subject']}' has repeat {repeat!r}; it "
                    "must be a positive integer, the number of times its slices occur in a round of training; omit it "
                    "for 1."
                )
            subject = entry["subject"]
            if subject in seen:
                raise ValueError(
                    f"datalist '{path}' has subject '{subject}' in '{seen[subject]}' and again in '{section}'; "
                    "a subject may occur only once, in one section."
                )
            seen[subject] = section
