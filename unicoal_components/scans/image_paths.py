"""List the images of an inference run and name their outputs."""

import logging
import os
from collections.abc import Sequence
from pathlib import Path

from ..files.text_file import read_text
from ..keys import Keys
from .dicom.files import has_dicom, is_derived_series, is_dicom, study_uid
from .dicom.series import split_uid
from .earlier_results import is_result
from .file_names import FOLDER_SUFFIXES, stem_of

LIST_SUFFIX = ".txt"
COMMENT = "#"
PAIR = (".hdr", ".img")

LONGEST_NAME = 200
"""Bytes of a name without its suffix; those of outputs are longer, and a file name has at most 255."""

logger = logging.getLogger(__name__)

Input = str | os.PathLike | Sequence[str | os.PathLike]


def list_images(input: Input) -> list[dict[str, str]]:
    """List the images of an inference run as dataset items.

    Missing scans are no error here, so that a workflow can be built before they exist; `check_images` reports them when
    it runs.

    Args:
        input: an image file (NIfTI, `.mha`, `.nrrd`, ...); a folder of such files; a folder of DICOM files with one or
            several series, also as `folder::SeriesInstanceUID`; a folder of such folders, one per study; a `.txt` file
            with one path per line, relative to its own folder (empty lines and lines starting with `#` are ignored); or
            a list of any of these.

    Returns:
        One `{"image": path}` per image; empty if there is none. The files are not read.
    """
    return [{Keys.IMAGE: path} for path in _paths(input)]


def check_images(input: Input) -> None:
    """Check that there are images and that their outputs get different names.

    Raises:
        FileNotFoundError: an input does not exist, or a folder or list contains no image.
        ValueError: two images would get outputs of the same name.
    """
    if not _inputs(input):
        raise FileNotFoundError("the input is an empty list. Give a NIfTI file or a DICOM folder, or several of them.")
    for given in _inputs(input):
        location, uid = split_uid(given)
        if not str(given) or not location.exists():
            raise FileNotFoundError(
                f"input '{given}' does not exist. Give a NIfTI file or a DICOM folder, or a folder or list of them."
            )
        found = _paths_of(given)
        if location.is_dir() and uid is None:
            _report_skipped(location, found)
        if not found:
            kind, content = ("list", "path") if location.is_file() else ("folder", "image")
            is_empty = kind == "folder" and not any(location.iterdir())
            readable = f"holds no {content} that can be read (.nii.gz, .nii, .mha, .nrrd, DICOM)"
            raise FileNotFoundError(
                f"the input {kind} '{location}' {'is empty' if is_empty else readable}. Put the scans there, or name "
                "one file."
            )
    paths = _paths(input)
    stems = [stem_of(path) for path in paths]
    long = next((stem for stem in stems if len(os.fsencode(stem)) > LONGEST_NAME), None)
    if long is not None:
        raise ValueError(
            f"the name '{long}' has more than {LONGEST_NAME} bytes; those of the outputs would be too long. Rename the "
            "scan, or give it by a link with a shorter name."
        )
    repeated = next((stem for stem in stems if stems.count(stem) > 1), None)
    if repeated is not None:
        same = [path for path, stem in zip(paths, stems, strict=True) if stem == repeated]
        raise ValueError(
            f"the input '{input}' holds '{repeated}' more than once: '{same[0]}' and '{same[1]}' would give outputs of "
            "the same name. Keep one of them, rename one, or run them separately with different output folders."
        )


def _inputs(input: Input) -> list[str | os.PathLike]:
    return [_as_typed(given) for given in ([input] if isinstance(input, str | os.PathLike) else input)]


def _as_typed(given: str | os.PathLike) -> str | os.PathLike:
    """Undo a change by MONAI, which replaces every "#" in a configuration by "::"."""
    typed = str(given).replace("::", "#")
    return typed if typed != str(given) and not os.path.exists(given) and os.path.exists(typed) else given


def _paths(input: Input) -> list[str]:
    return [path for given in _inputs(input) for path in _paths_of(given)]


def _paths_of(given: str | os.PathLike) -> list[str]:
    """List the images that one path stands for."""
    location, uid = split_uid(given)
    if not str(given) or not location.exists():
        return []
    if uid is not None:
        return [str(given)]
    if location.is_dir():
        return _paths_in(location)
    if location.suffix.lower() == LIST_SUFFIX:
        return [str(location.parent / line) for line in _lines(location)]
    return [str(location)]


def _paths_in(folder: Path) -> list[str]:
    """List the image files of a folder in name order, without earlier results; if there are none, its DICOM studies."""
    files = sorted(file for file in folder.iterdir() if file.name.lower().endswith(FOLDER_SUFFIXES))
    images = [file for file in files if not file.name.startswith(".") and file.is_file() and not is_result(file)]
    return [str(image) for image in images or _studies_in(folder)]


def _lines(path: Path) -> list[str]:
    """Return the paths in a list, without quotes; for the encoding see `read_text`."""
    lines = [line.strip() for line in read_text(path, name="list").splitlines()]
    return [line.strip("\"'") for line in lines if line and not line.startswith(COMMENT)]


def _report_skipped(folder: Path, images: list[str]) -> None:
    """Log the entries of a folder of images that are not processed, with the reason.

    Raises:
        FileNotFoundError: an image is a link to a file that is not there.
    """
    entries = [entry for entry in sorted(folder.iterdir()) if not entry.name.startswith(".")]
    broken = [entry.name for entry in entries if entry.is_symlink() and not entry.exists()]
    if broken:
        raise FileNotFoundError(
            f"'{folder}' has links to files that are not there: {', '.join(broken[:10])}. Fetch them, for example with "
            "'git annex get' or 'datalad get', or remove the links."
        )
    if images == [str(folder)]:
        return  # one study; which of its series is taken is said when it is read
    processed = {*images, *(str(folder / f"{stem_of(path)}.json") for path in images)}
    skipped: dict[str, list[str]] = {}
    for entry in entries:
        if str(entry) not in processed:
            skipped.setdefault(_reason(entry), []).append(entry.name)
    for reason, names in skipped.items():
        more = f" and {len(names) - 10} more" if len(names) > 10 else ""
        logger.warning("folder '%s': %s, not processed: %s%s.", folder, reason, ", ".join(names[:10]), more)


def _reason(entry: Path) -> str:
    """Return why an entry of a folder is not processed."""
    if is_result(entry):
        return "earlier results"
    if has_dicom(entry) if entry.is_dir() else is_dicom(entry):
        return "DICOM beside image files"
    if entry.suffix.lower() in PAIR:
        return "pairs of header and image, which are to be given by name"
    return "folders without DICOM" if entry.is_dir() else "not images"


def _studies_in(folder: Path) -> list[Path]:
    """Return the subfolders with one study each, or the folder itself if it is (part of) one study.

    Subfolders with a series of an earlier run are left out.
    """
    entries = sorted(folder.iterdir())
    if any(entry.is_file() and is_dicom(entry) for entry in entries):
        return [folder]
    inner = [entry for entry in entries if entry.is_dir() and entry.name[0] != "." and has_dicom(entry)]
    inner = [entry for entry in inner if not is_derived_series(entry)]
    return [folder] if len(inner) > 1 and len({_study_uid(entry) for entry in inner}) == 1 else inner


def _study_uid(folder: Path) -> str:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.name[0] != ".")
    first = next(path for path in files if path.name != "DICOMDIR" and is_dicom(path))
    return study_uid(first) or str(folder)
