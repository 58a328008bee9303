"""The record beside a file of weights: whose scans they were trained on, and chosen by."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..files.atomic import atomic_path
from .fingerprint import scan_fingerprints

SCHEMA_VERSION = 1
EARLIER = "earlier "

Subjects = dict[str, dict[str, str]]


def record_path(weights: str | os.PathLike) -> Path:
    """Return the record's place: `model.pt` has `model.training.json`."""
    return Path(weights).with_suffix(".training.json")


def training_subjects(*, data: Sequence[Mapping[str, str]], pretrained: str | os.PathLike | None = None) -> Subjects:
    """Collect the fingerprints of all scans that a training sees.

    Args:
        data: `{"subject": name, "path": file}` for each subject of the training.
        pretrained: weights that it starts from; whom their record names counts too.

    Returns:
        Per subject, per modality, its fingerprint (`fingerprint.py`). Where the earlier training left no record, a
        subject without scans says so.
    """
    subjects = {entry["subject"]: scan_fingerprints(entry["path"]) for entry in data}
    if pretrained is None:
        return subjects
    unknown: Subjects = {} if record_path(pretrained).is_file() else {f"whoever made {Path(pretrained).name}": {}}
    return merged(subjects, read_record(pretrained) | unknown)


def merged(subjects: Subjects, earlier: Subjects) -> Subjects:
    """Return the subjects of two trainings; of two that share a name, the earlier one gets "earlier " in front.

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
    """Return the name that a subject had before `merged`.

    >>> own_name("earlier earlier a")
    'a'
    """
    while name.startswith(EARLIER):
        name = name.removeprefix(EARLIER)
    return name


def write_record(
    weights: str | os.PathLike, *, subjects: Subjects, images_seen: int, selected_by: Subjects | None = None
) -> None:
    """Write the record of a file of weights.

    Args:
        weights: the file beside which it is written.
        subjects: from `training_subjects`.
        images_seen: training images up to these weights, without those of an earlier training.
        selected_by: by whose quality these weights were chosen among others, in the same shape; those that the training
            saw too are left out. `None` = not known.
    """
    content: dict[str, Any] = {"schema": SCHEMA_VERSION, "images_seen": images_seen, "subjects": subjects}
    if selected_by is not None:
        content["selected_by"] = {name: scans for name, scans in selected_by.items() if subjects.get(name) != scans}
    with atomic_path(record_path(weights)) as partial:
        partial.write_text(json.dumps(content, indent=4) + "\n", encoding="utf-8")


def read_record(weights: str | os.PathLike) -> Subjects:
    """Read whom weights were trained on; nobody where there is no record.

    Raises:
        ValueError: the file is not such a record.
    """
    return _read(weights).get("subjects", {})


def read_selected_by(weights: str | os.PathLike) -> Subjects | None:
    """Read by whom weights were chosen; `None` where no record tells.

    Raises:
        ValueError: see `read_record`.
    """
    return _read(weights).get("selected_by")


def _read(weights: str | os.PathLike) -> dict[str, Subjects]:
    """Return the entries of a record that name subjects; none where there is no record."""
    path = record_path(weights)
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
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
