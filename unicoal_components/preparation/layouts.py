"""Search for subjects in well-known folder layouts: IXI, BraTS, BIDS and folders of DICOM series."""

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from ..scans.dicom.files import has_dicom
from ..scans.dicom.series import find_series
from .subject_files import SubjectFiles, check_modalities

IXI_WORDS = {"t1": "T1", "t2": "T2", "pd": "PD"}
BRATS_WORDS = {"t1": ("t1", "t1n"), "t1c": ("t1ce", "t1c"), "t2": ("t2", "t2w"), "flair": ("flair", "t2f")}
BIDS_WORDS = {"t1": "T1w", "t1c": "ce-*_T1w", "t2": "T2w", "pd": "PDw", "flair": "FLAIR"}
NIFTI = r"\.nii(\.gz)?"


class Visit(NamedTuple):
    """The person of a subject (`None`: each subject is a different person) and the name of the session."""

    person: str | None = None
    session: str | None = None


Found = Iterator[tuple[str, str, Visit, Path]]
"""Subject, modality, visit and path of each file."""


def find_layout(
    folder: str | os.PathLike,
    *,
    layout: str,
    modalities: Sequence[str] | None = None,
    names: Mapping[str, str] | None = None,
) -> list[SubjectFiles]:
    """Find all subjects of a collection in a known layout, sorted by name.

    - `ixi`: one folder per modality, `IXI-T1/IXI002-Guys-0828-T1.nii.gz` (or `T1/...`); modalities t1, t2, pd.
    - `brats`: `<case>/<case>_t1ce.nii.gz` (2019), `<case>/<case>-t1c.nii.gz` (2023), at any depth; t1, t1c, t2, flair.
      Time points of the 2023 names (`BraTS-GLI-00005-000`) belong to one person.
    - `bids`: `sub-01/[ses-02/]anat/sub-01_ses-02_T1w.nii.gz`; t1, t1c (T1w with ce), t2, pd, flair. A session is a
      subject `sub-01_ses-02` of the person `sub-01`.
    - `dicom`: one folder per subject with any number of series in it; each modality is found by the descriptions of
      the series.

    If a modality has several files (runs, acquisitions), the first one is taken, sorted by name with numbers compared
    as numbers; the notes of the subject record this.

    Args:
        folder: top folder of the collection.
        layout: one of the names above.
        modalities: lower-case names; `None` takes all that the layout knows and any subject has. `dicom` needs them.
        names: spelling of a modality in file names where it differs from the layout's: the end of the file name
            (`{"t1": "T1_brain"}`), for BIDS optionally with entities (`{"t1": "acq-mprage_T1w"}`, `*` for anything).

    Returns:
        The subjects, sorted by name.

    Raises:
        FileNotFoundError: the folder does not exist.
        ValueError: an unknown layout or modality, or no file for a wanted modality.
    """
    folder = Path(folder)
    if layout not in LAYOUTS:
        raise ValueError(
            f"layout is {layout!r}; it must be one of {', '.join(LAYOUTS)}. For other layouts give --pattern."
        )
    if not folder.is_dir():
        raise FileNotFoundError(f"input folder '{folder}' does not exist or is not a folder.")
    if modalities is not None:
        check_modalities(modalities)
    finder, words = LAYOUTS[layout]
    if layout == "dicom":
        if modalities is None or names:
            raise ValueError("layout dicom needs --modalities, such as t1,t2, and takes no --names.")
        spellings: dict[str, tuple[str, ...]] = dict.fromkeys(modalities, ())
    else:
        spellings = _spellings(layout, words, modalities, names or {})
    subjects = _collect(finder(folder, spellings), list(spellings))
    _check_found(subjects, folder, layout, modalities, spellings)
    return subjects


def _spellings(
    layout: str, words: Mapping[str, str | tuple[str, ...]], modalities: Sequence[str] | None, names: Mapping[str, str]
) -> dict[str, tuple[str, ...]]:
    """Return the accepted spellings of each wanted modality."""
    known = {name: (word,) if isinstance(word, str) else word for name, word in words.items()}
    known |= {name: (spelling,) for name, spelling in names.items()}
    unknown = [name for name in modalities or () if name not in known]
    if unknown:
        raise ValueError(
            f"layout {layout} has no modality {unknown[0]!r}, only {', '.join(known)}; correct --modalities, or give "
            f"its spelling with --names, such as {unknown[0]}={unknown[0].upper()}."
        )
    return {name: known[name] for name in (known if modalities is None else modalities)}


def _collect(found: Found, modalities: Sequence[str]) -> list[SubjectFiles]:
    """Collect the files of each subject; of several files for one modality take the first and add a note."""
    candidates: dict[str, dict[str, list[Path]]] = {}
    visits: dict[str, Visit] = {}
    for subject, modality, visit, path in found:
        candidates.setdefault(subject, {}).setdefault(modality, []).append(path)
        visits[subject] = visit
    result = []
    for subject in sorted(candidates):
        files, notes = {}, []
        for modality in (name for name in modalities if name in candidates[subject]):
            files[modality], *others = sorted(candidates[subject][modality], key=_natural)
            if others:
                notes.append(
                    f"{modality}: took '{files[modality].name}', the first of {1 + len(others)}; not "
                    + ", ".join(f"'{path.name}'" for path in others)
                )
        result.append(SubjectFiles(subject, files, notes=tuple(notes), **visits[subject]._asdict()))
    return result


def _natural(path: Path) -> list[tuple[int, int | str]]:
    """Return a sort key that puts run-2 before run-10, and a name before a longer name that begins with it."""
    words = re.split(r"(\d+)", re.sub(rf"{NIFTI}$", "", path.name, flags=re.IGNORECASE))
    return [(1, int(word)) if word.isdigit() else (0, word) for word in words] + [(0, str(path))]


def _check_found(
    subjects: Sequence[SubjectFiles],
    folder: Path,
    layout: str,
    modalities: Sequence[str] | None,
    spellings: Mapping[str, tuple[str, ...]],
) -> None:
    """Check that subjects were found and that every wanted modality has at least one file."""
    present = {name for item in subjects for name in item.files}
    lacking = [name for name in modalities or () if name not in present]
    if subjects and not lacking:
        return
    content = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
    wanted = {name: list(spellings[name]) for name in lacking or spellings if spellings[name]}
    raise ValueError(
        f"folder '{folder}' holds nothing in the layout {layout} for {', '.join(lacking or spellings)}"
        + (f", spelled {wanted}" if wanted else "")
        + f"; found {sorted(present) or 'no modalities'} of {len(subjects)} subjects, and directly in the folder "
        f"{content[:5]}{' and more' if len(content) > 5 else ''}. Give the top folder of the collection, another "
        "--layout, or a --pattern."
    )


def _ixi(folder: Path, spellings: Mapping[str, tuple[str, ...]]) -> Found:
    """Find files that end in `-T1` in the folders `IXI-T1` or `T1`, and so on."""
    subfolders = [path for path in sorted(folder.iterdir()) if path.is_dir()]
    for modality, words in spellings.items():
        for word in words:
            for subfolder in subfolders:
                if re.fullmatch(rf"(IXI[-_])?{re.escape(word)}", subfolder.name, re.IGNORECASE):
                    for path in sorted(subfolder.iterdir()):
                        match = re.fullmatch(rf"(.+)[-_]{re.escape(word)}{NIFTI}", path.name, re.IGNORECASE)
                        if match:
                            yield match[1], modality, Visit(), path


def _brats(folder: Path, spellings: Mapping[str, tuple[str, ...]]) -> Found:
    """Find files that begin with the name of their folder."""
    modality_of = {word: modality for modality, words in spellings.items() for word in words}
    for path in sorted(folder.rglob("*.nii*")):
        match = re.fullmatch(rf"{re.escape(path.parent.name)}[-_](.+?){NIFTI}", path.name)
        if match and match[1] in modality_of:
            case = path.parent.name
            time_point = re.fullmatch(r"(BraTS-[A-Za-z]+-\d+)-(\d+)", case)
            visit = Visit(time_point[1], time_point[2]) if time_point else Visit()
            yield case, modality_of[match[1]], visit, path


def _bids(folder: Path, spellings: Mapping[str, tuple[str, ...]]) -> Found:
    """Find images in the `anat` folders, with and without sessions; skip phase, real and imaginary parts."""
    for path in sorted([*folder.glob("sub-*/anat/*.nii*"), *folder.glob("sub-*/ses-*/anat/*.nii*")]):
        match = re.fullmatch(rf"(.+)_([A-Za-z0-9]+){NIFTI}", path.name)
        if not match:
            continue
        entities = match[1].split("_")
        if any(entity in ("part-phase", "part-real", "part-imag") for entity in entities):
            continue
        labels = path.relative_to(folder).parts[:-2]
        for modality, words in spellings.items():
            if any(_is_spelled(word, entities, match[2]) for word in words):
                yield "_".join(labels), modality, Visit(*labels), path


def _is_spelled(word: str, entities: Sequence[str], suffix: str) -> bool:
    """Return whether a file has the suffix and all entities of `word`; a `ce` entity only if `word` has one."""
    *wanted, end = word.split("_")
    expressions = [re.escape(entity).replace(r"\*", ".*") for entity in wanted]
    enhanced = any(entity.startswith("ce-") for entity in entities)
    return (
        suffix == end
        and all(any(re.fullmatch(expression, entity) for entity in entities) for expression in expressions)
        and (not enhanced or any(entity.startswith("ce-") for entity in wanted))
    )


def _dicom(folder: Path, spellings: Mapping[str, tuple[str, ...]]) -> Found:
    """Take each folder as a subject and find its series by their modality.

    If several series fit, none fits the only modality, or a file is damaged, the folder itself is returned; reading it
    then chooses, or raises an error that explains the problem.
    """
    for subject_folder in sorted(folder.iterdir()):
        if subject_folder.name.startswith(".") or not subject_folder.is_dir() or not has_dicom(subject_folder):
            continue
        try:
            series = find_series(subject_folder)
        except OSError:
            yield from ((subject_folder.name, modality, Visit(), subject_folder) for modality in spellings)
            continue
        for modality in spellings:
            fitting = [one.key for one in series if one.modality == modality]
            if len(fitting) == 1:
                yield (
                    subject_folder.name,
                    modality,
                    Visit(),
                    subject_folder.with_name(f"{subject_folder.name}::{fitting[0]}"),
                )
            elif fitting or len(spellings) == 1:
                yield subject_folder.name, modality, Visit(), subject_folder


Words = Mapping[str, str | tuple[str, ...]]
LAYOUTS: dict[str, tuple[Callable[[Path, Mapping[str, tuple[str, ...]]], Found], Words]] = {
    "ixi": (_ixi, IXI_WORDS),
    "brats": (_brats, BRATS_WORDS),
    "bids": (_bids, BIDS_WORDS),
    "dicom": (_dicom, {}),
}
"""Per layout the function that finds its files, and its spelling of the modalities."""
