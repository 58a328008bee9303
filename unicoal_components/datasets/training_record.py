"""Record next to a file of weights: the subjects of its training and of its selection."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..files.atomic import atomic_path
from ..files.checksum import SHA256, file_sha256, record_path
from ..files.json_file import read_json
from .fingerprint import scan_fingerprints

SCHEMA_VERSION = 1
EARLIER = "earlier "

Subjects = dict[str, dict[str, str]]


def training_subjects(*, data: Sequence[Mapping[str, str]], pretrained: str | os.PathLike | None = None) -> Subjects:
    """Collect the fingerprints of all scans of a training.

    Args:
        data: `{"subject": name, "path": file}` for each training subject.
        pretrained: weights that the training starts from; the subjects in their record are included.

    Returns:
        Per subject and modality its fingerprint (`fingerprint.py`). If the pretrained weights have no record, there is
        an entry without scans for their unknown subjects.
    """
    subjects = {entry["subject"]: scan_fingerprints(entry["path"]) for entry in data}
    if pretrained is None:
        return subjects
    unknown: Subjects = {} if record_path(pretrained).is_file() else {f"whoever made {Path(pretrained).name}": {}}
    return merged(subjects, read_record(pretrained) | unknown)


def merged(subjects: Subjects, earlier: Subjects) -> Subjects:
    """Return the subjects of two trainings; if two share a name, the earlier one gets the prefix "earlier ".

    Args:
        subjects: subjects of the later training.
        earlier: subjects of the earlier training.

    Example:
        >>> merged({"a": {"t1": "x"}}, {"a": {"t1": "y"}, "b": {}})
        {'a': {'t1': 'x'}, 'earlier a': {'t1': 'y'}, 'b': {}}
    """
    both = dict(subjects)
    for name, scans in earlier.items():
        while name in both and both[name] != scans:
            name = EARLIER + name
        both[name] = scans
    return both


def own_name(name: str) -> str:
    """Return the name of a subject before `merged`.

    Example:
        >>> own_name("earlier earlier a")
        'a'
    """
    while name.startswith(EARLIER):
        name = name.removeprefix(EARLIER)
    return name


def training_record(*, subjects: Subjects, images_seen: int, selected_by: Subjects | None = None) -> dict[str, Any]:
    """Return the content of the record of weights, which `save_weights` writes beside them.

    Args:
        subjects: subjects from `training_subjects`.
        images_seen: number of training images for these weights, without those of an earlier training.
        selected_by: subjects whose quality selected these weights among others, in the same form; training subjects
            are removed. `None` = unknown.
    """
    content: dict[str, Any] = {"schema": SCHEMA_VERSION, "images_seen": images_seen, "subjects": subjects}
    if selected_by is not None:
        content["selected_by"] = {name: scans for name, scans in selected_by.items() if subjects.get(name) != scans}
    return content


def write_record(weights: str | os.PathLike, **facts: Any) -> None:
    """Write the record of weights that are there already, with their checksum; see `training_record`."""
    content = training_record(**facts)
    if Path(weights).is_file():
        content[SHA256] = file_sha256(weights)
    with atomic_path(record_path(weights)) as partial:
        partial.write_text(json.dumps(content, indent=4) + "\n", encoding="utf-8")


def read_record(weights: str | os.PathLike) -> Subjects:
    """Read the training subjects of weights; empty if there is no record.

    Args:
        weights: file of the weights.

    Raises:
        ValueError: the file is not a valid record.
    """
    return _read(weights).get("subjects", {})


def read_selected_by(weights: str | os.PathLike) -> Subjects | None:
    """Read the subjects by which weights were selected; `None` if unknown.

    Args:
        weights: file of the weights.

    Raises:
        ValueError: see `read_record`.
    """
    return _read(weights).get("selected_by")


def _read(weights: str | os.PathLike) -> dict[str, Subjects]:
    """Return the subjects in a record, by entry; empty if there is no record."""
    path = record_path(weights)
    if not path.is_file():
        return {}
    try:
        content = read_json(path)
        entries = {"subjects": content["subjects"], "selected_by": content.get("selected_by")}
        return {
            entry: {str(name): dict(scans) for name, scans in subjects.items()}
            for entry, subjects in entries.items()
            if subjects is not None or entry == "subjects"
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"'{path}' is no record of a training ({error}); copy it again with its weights, or remove it."
        ) from error
