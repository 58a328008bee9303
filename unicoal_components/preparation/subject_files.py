"""Search for the files of each subject by a name pattern or a table; for known collections see `layouts`."""

import csv
import io
import logging
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path

from ..datasets.datalist import SECTIONS
from ..files.text_file import read_text

logger = logging.getLogger(__name__)

COLUMNS = ("subject", "section", "person", "session", "mask")
"""Columns of a table next to one column per modality."""


@dataclass(frozen=True)
class SubjectFiles:
    """The scans of one subject.

    Attributes:
        subject: name of the subject, whose file is `<subject>.h5`.
        files: per modality (lower case) the path of its scan; a modality without a scan is absent.
        section: training, validation or test; `None` if the split is drawn.
        person: person whose scans these are; several subjects (sessions) of one person share a section. `None` if this
            is the person's only subject.
        mask: path of an image in the world space of the reference, non-zero in the brain; `None` if there is none.
        session: name of the visit in which the scans were made; `None` if it is unknown.
        notes: decisions in the search for the files, as sentences.
    """

    subject: str
    files: Mapping[str, Path]
    section: str | None = None
    person: str | None = None
    mask: Path | None = None
    session: str | None = None
    notes: tuple[str, ...] = ()


def find_subjects(
    folder: str | os.PathLike, *, pattern: str, modalities: Sequence[str], names: Mapping[str, str] | None = None
) -> list[SubjectFiles]:
    """Find all subjects below `folder` whose files match `pattern`, sorted by name.

    Args:
        folder: folder that the pattern is relative to.
        pattern: relative path with `{subject}` and `{modality}`, such as `{subject}/{modality}.nii.gz`; `*` stands for
            anything but a folder separator.
        modalities: lower-case names.
        names: spelling of a modality in file names where it differs, such as `{"t1": "T1w"}`.

    Returns:
        The subjects, sorted by name.

    Raises:
        FileNotFoundError: the folder does not exist.
        ValueError: the pattern lacks one of its fields, `names` has an unknown modality, a modality has no file, or a
            subject has two files for one modality.
    """
    folder, names = Path(folder), dict(names or {})
    check_modalities(modalities)
    if not folder.is_dir():
        raise FileNotFoundError(f"input folder '{folder}' does not exist or is not a folder.")
    if set(re.findall(r"\{(.*?)\}", pattern)) != {"subject", "modality"}:
        raise ValueError(
            f"pattern '{pattern}' must contain {{subject}} and {{modality}} and no other field, "
            "such as '{subject}/{modality}.nii.gz'."
        )
    if set(names) - set(modalities):
        raise ValueError(f"names has {sorted(set(names) - set(modalities))}, which are not among {list(modalities)}.")
    found: dict[str, dict[str, Path]] = {}
    for modality in modalities:
        matches = _matches(folder, pattern.replace("{modality}", names.get(modality, modality)))
        if not matches:
            raise ValueError(
                f"no file below '{folder}' matches '{pattern}' for modality '{modality}', spelled "
                f"'{names.get(modality, modality)}'. Correct the pattern or the modality, or give its spelling with "
                f"names, such as {modality}={modality.upper()}."
            )
        for subject, path in matches:
            files = found.setdefault(subject, {})
            if modality in files:
                raise ValueError(
                    f"subject '{subject}' has two files for '{modality}': '{files[modality]}' and '{path}'. "
                    "Make the pattern more specific."
                )
            files[modality] = path
    _tell_unmatched(folder, pattern, found)
    return [SubjectFiles(subject, found[subject]) for subject in sorted(found)]


def _tell_unmatched(folder: Path, pattern: str, found: Mapping[str, Mapping[str, Path]]) -> None:
    """Log the entries of the folder in which no file matches."""
    used = {path.relative_to(folder).parts[0] for files in found.values() for path in files.values()}
    others = sorted(entry.name for entry in folder.iterdir() if entry.name not in used and entry.name[0] != ".")
    if others:
        more = f" and {len(others) - 10} more" if len(others) > 10 else ""
        logger.warning(
            "folder '%s': nothing matches '%s' in %s%s; not processed.", folder, pattern, ", ".join(others[:10]), more
        )


def _matches(folder: Path, pattern: str) -> list[tuple[str, Path]]:
    """Return (subject, path) of every file that matches; all `{subject}` of a pattern must be equal."""
    expression = re.escape(pattern).replace(r"\*", "[^/]*")
    expression = expression.replace(r"\{subject\}", "(?P<subject>[^/]+?)", 1).replace(r"\{subject\}", "(?P=subject)")
    result = []
    place, _, name = pattern.replace("{subject}", "*").rpartition("/")
    folders = folder.glob(place) if place else [folder]
    entries = (entry for inner in folders if inner.is_dir() for entry in inner.iterdir())
    for path in sorted(entry for entry in entries if fnmatchcase(entry.name, name)):  # glob leaves out broken links
        match = re.fullmatch(expression, path.relative_to(folder).as_posix())
        if match:
            result.append((match["subject"], path))
    return result


def add_masks(subjects: Sequence[SubjectFiles], folder: str | os.PathLike, *, pattern: str) -> list[SubjectFiles]:
    """Add to every subject the mask that `pattern` finds below `folder`; without a match its mask stays.

    Args:
        subjects: the subjects.
        folder: folder that the pattern is relative to.
        pattern: relative path with `{subject}`, such as `{subject}/mask.nii.gz`.

    Raises:
        ValueError: the pattern lacks `{subject}`, no subject has a mask, or a subject has two.
    """
    if set(re.findall(r"\{(.*?)\}", pattern)) != {"subject"}:
        raise ValueError(
            f"mask '{pattern}' must contain {{subject}} and no other field, such as '{{subject}}/mask.nii'."
        )
    masks: dict[str, Path] = {}
    for subject, path in _matches(Path(folder), pattern):
        if subject in masks:
            raise ValueError(
                f"subject '{subject}' has two masks: '{masks[subject]}' and '{path}'. Make --mask more specific."
            )
        masks[subject] = path
    if not masks.keys() & {item.subject for item in subjects}:
        raise ValueError(
            f"no file below '{folder}' matches the mask '{pattern}' for any of the subjects, such as "
            f"'{subjects[0].subject}'. Correct --mask."
        )
    return [replace(item, mask=masks.get(item.subject, item.mask)) for item in subjects]


def read_table(path: str | os.PathLike, *, modalities: Sequence[str] | None = None) -> list[SubjectFiles]:
    """Read subjects from a CSV with the column `subject`, one per modality, and further optional ones.

    These are `section`, `person`, `session` and `mask`. Paths are absolute or relative to the CSV's folder; an empty
    cell means that the subject lacks the modality.

    Args:
        path: path of the CSV file (comma separated, with a header row in any case; for its encoding see `read_text`).
        modalities: columns to read; `None` reads all except those above.

    Returns:
        The subjects in the order of the rows.

    Raises:
        FileNotFoundError: the table does not exist.
        ValueError: missing or duplicate columns, a row with too few cells or an unknown section, or a subject that
            occurs twice.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"table '{path}' does not exist or is not a file.")
    lines = csv.reader(io.StringIO(read_text(path, name="table"), newline=""))
    rows = [[cell.strip() for cell in row] for row in lines if any(cell.strip() for cell in row)]
    header = [cell.lower() for cell in rows[0]] if rows else []
    modalities = _table_modalities(path, header, modalities)
    result: dict[str, SubjectFiles] = {}
    for number, row in enumerate(rows[1:], start=2):
        if len(row) != len(header):
            raise ValueError(f"table '{path}', row {number} has {len(row)} cells, the header has {len(header)}: {row}.")
        cells = dict(zip(header, row, strict=True))
        subject, section = cells["subject"], cells.get("section")
        if section is not None and section not in SECTIONS:
            raise ValueError(
                f"table '{path}', subject '{subject}': section '{section}' must be one of {list(SECTIONS)}; "
                "for a random split, leave out the whole column."
            )
        if subject in result:
            raise ValueError(f"table '{path}' has subject '{subject}' twice; write one row per subject.")
        files = {name: path.parent / cells[name] for name in modalities if cells[name]}
        mask = path.parent / cells["mask"] if cells.get("mask") else None
        result[subject] = SubjectFiles(
            subject, files, section, cells.get("person") or None, mask, cells.get("session") or None
        )
    if not result:
        raise ValueError(f"table '{path}' has no rows below its header; write one row per subject.")
    return list(result.values())


def _table_modalities(path: Path, header: Sequence[str], modalities: Sequence[str] | None) -> list[str]:
    """Return the modality columns to read, after checking the header."""
    columns = [name for name in header if name not in COLUMNS]
    if "subject" not in header or not columns or len(set(header)) < len(header):
        raise ValueError(
            f"table '{path}' must be comma separated with a header such as 'subject,t1,t2,section', "
            f"each column once; it has {list(header)}."
        )
    chosen = columns if modalities is None else list(modalities)
    check_modalities(chosen)
    unknown = [name for name in chosen if name not in columns]
    if unknown:
        raise ValueError(f"table '{path}' has no column for modalities {unknown}; it has {columns}.")
    return chosen


def check_modalities(modalities: Sequence[str]) -> None:
    """Check that the list is not empty and holds different names that can be dataset names."""
    usable = all(isinstance(name, str) and name.isidentifier() and name == name.lower() for name in modalities)
    if not modalities or len(set(modalities)) < len(modalities) or not usable:
        raise ValueError(
            f"modalities {list(modalities)} must be different lower-case words such as t1, t2, pd, flair; "
            "give other spellings in file names with names."
        )
