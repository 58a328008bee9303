"""Which file is which modality of which subject: by a name pattern, or by a table; `layouts` knows common folders."""

import csv
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..datasets.datalist import SECTIONS

COLUMNS = ("subject", "section", "person", "mask")
"""Of a table, besides one column per modality."""


@dataclass(frozen=True)
class SubjectFiles:
    """The scans of one subject.

    Attributes:
        subject: the name, which becomes `<subject>.h5`.
        files: per modality (lower case) the scan; a modality without a file is absent.
        section: training, validation or test; `None` where the split is drawn.
        person: whose scans these are; several subjects (sessions) of one person go into one section. `None`: the
            subject is a person of its own.
        mask: an image of the reference's space, non-zero in the brain; `None`: there is none.
        notes: what was decided in finding the files, in words.
    """

    subject: str
    files: Mapping[str, Path]
    section: str | None = None
    person: str | None = None
    mask: Path | None = None
    notes: tuple[str, ...] = ()


def find_subjects(
    folder: str | os.PathLike, *, pattern: str, modalities: Sequence[str], names: Mapping[str, str] | None = None
) -> list[SubjectFiles]:
    """Find every subject below `folder` whose files follow `pattern`, in order of their names.

    Args:
        folder: where the pattern starts.
        pattern: relative path with `{subject}` and `{modality}`, such as `{subject}/{modality}.nii.gz`; `*` stands for
            anything but a folder separator.
        modalities: lower-case names.
        names: per modality its spelling in file names where that differs, such as `{"t1": "T1w"}`.

    Raises:
        FileNotFoundError: the folder does not exist.
        ValueError: a pattern without the two fields, names for unknown modalities, a modality of which no file exists,
            two files for one modality of one subject.
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
    return [SubjectFiles(subject, found[subject]) for subject in sorted(found)]


def _matches(folder: Path, pattern: str) -> list[tuple[str, Path]]:
    """Return (subject, path) of every file that fits; a second `{subject}` must repeat the first."""
    expression = re.escape(pattern).replace(r"\*", "[^/]*")
    expression = expression.replace(r"\{subject\}", "(?P<subject>[^/]+?)", 1).replace(r"\{subject\}", "(?P=subject)")
    result = []
    for path in sorted(folder.glob(pattern.replace("{subject}", "*"))):
        match = re.fullmatch(expression, path.relative_to(folder).as_posix())
        if match:
            result.append((match["subject"], path))
    return result


def add_masks(subjects: Sequence[SubjectFiles], folder: str | os.PathLike, *, pattern: str) -> list[SubjectFiles]:
    """Give every subject its mask, found by `pattern` below `folder`; a subject without one keeps what it has.

    Raises:
        ValueError: a pattern without `{subject}`, a mask for none of the subjects, or two for one.
    """
    if set(re.findall(r"\{(.*?)\}", pattern)) != {"subject"}:
        raise ValueError(
            f"mask '{pattern}' must contain {{subject}} and no other field, such as '{{subject}}/mask.nii'."
        )
    masks: dict[str, Path] = {}
    for subject, path in _matches(Path(folder), pattern):
        if subject in masks:
            raise ValueError(
                f"subject '{subject}' has two masks: '{masks[subject]}' and '{path}'. Specify --mask more."
            )
        masks[subject] = path
    if not masks.keys() & {item.subject for item in subjects}:
        raise ValueError(
            f"no file below '{folder}' matches the mask '{pattern}' for any of the subjects, such as "
            f"'{subjects[0].subject}'. Correct --mask."
        )
    return [replace(item, mask=masks.get(item.subject, item.mask)) for item in subjects]


def read_table(path: str | os.PathLike, *, modalities: Sequence[str] | None = None) -> list[SubjectFiles]:
    """Read a CSV with the column `subject`, one per modality and, if wanted, `section`, `person`, `mask`, in its order.

    Paths are absolute or relative to the CSV's folder; an empty cell means that the subject lacks the modality.

    Args:
        path: the CSV file (comma separated, UTF-8, with a header row; case of the header does not matter).
        modalities: the columns to take; `None` takes all besides subject, section, person and mask.

    Raises:
        FileNotFoundError: the table does not exist.
        ValueError: missing or doubled columns, a row without a usable name or section, a subject named twice.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"table '{path}' does not exist or is not a file.")
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = [[cell.strip() for cell in row] for row in csv.reader(file) if any(cell.strip() for cell in row)]
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
                "leave the whole column out to have the split drawn."
            )
        if subject in result:
            raise ValueError(f"table '{path}' has subject '{subject}' twice; write one row per subject.")
        files = {name: path.parent / cells[name] for name in modalities if cells[name]}
        mask = path.parent / cells["mask"] if cells.get("mask") else None
        result[subject] = SubjectFiles(subject, files, section, cells.get("person") or None, mask)
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
    """Refuse an empty list, doubled names and names that cannot be dataset names."""
    usable = all(isinstance(name, str) and name.isidentifier() and name == name.lower() for name in modalities)
    if not modalities or len(set(modalities)) < len(modalities) or not usable:
        raise ValueError(
            f"modalities {list(modalities)} must be different lower-case words such as t1, t2, pd, flair; "
            "a file's own spelling goes into names."
        )
