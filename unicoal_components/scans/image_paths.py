"""List the images of an inference run and name their outputs."""

import codecs
import logging
import os
from collections.abc import Sequence
from pathlib import Path

from ..keys import Keys
from .dicom.files import has_dicom, is_dicom, study_uid
from .dicom.series import split_uid

NIFTI_SUFFIXES = (".nii.gz", ".nii")
NIBABEL_SUFFIXES = (".mgz", ".mgh", ".mnc", ".hdr", ".img")
ITK_SUFFIXES = (".mha", ".mhd", ".nrrd", ".nhdr")
FOLDER_SUFFIXES = (*NIFTI_SUFFIXES, ".mgz", ".mgh", ".mnc", *ITK_SUFFIXES)
"""Images that are taken from a folder."""

LIST_SUFFIX = ".txt"
COMMENT = "#"

logger = logging.getLogger(__name__)

Input = str | os.PathLike | Sequence[str | os.PathLike]


def is_nifti(path: str | os.PathLike) -> bool:
    """Return whether a path has a NIfTI suffix, in upper or lower case."""
    return Path(path).name.lower().endswith(NIFTI_SUFFIXES)


def stem_of(path: str | os.PathLike) -> str:
    """Return the name of an image without folder and suffix; `.nii.gz` counts as one suffix.

    Example:
        >>> stem_of("scans/p01.T1.nii.gz"), stem_of("p01.mha"), stem_of("dicom/series.4::1.2.3")
        ('p01.T1', 'p01', 'series.4')
    """
    location, _ = split_uid(path)
    name = location.resolve().name if location.name in ("", "..") else location.name
    for suffix in (*NIFTI_SUFFIXES, *NIBABEL_SUFFIXES, *ITK_SUFFIXES):
        if name.lower().endswith(suffix):
            return name[: -len(suffix)]
    return name


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
            problem = "is empty" if is_empty else f"holds no {content}"
            raise FileNotFoundError(
                f"the input {kind} '{location}' {problem} that can be read (.nii.gz, .nii, .mha, .nrrd, DICOM). Put "
                "the scans there, or name one file."
            )
    paths = _paths(input)
    stems = [stem_of(path) for path in paths]
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
    """List the image files of a folder in name order; if there are none, its DICOM studies."""
    files = sorted(file for file in folder.iterdir() if file.name.lower().endswith(FOLDER_SUFFIXES))
    images = [str(file) for file in files if not file.name.startswith(".") and file.is_file()]
    return images or [str(study) for study in _studies_in(folder)]


def _lines(path: Path) -> list[str]:
    """Return the paths in a list: UTF-8, or UTF-16 with its byte order mark, as Windows writes it; quotes are removed.

    Raises:
        ValueError: the list has another encoding.
    """
    content = path.read_bytes()
    wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        text = content.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"the list '{path}' is neither UTF-8 nor UTF-16 ({error}). Save it as UTF-8.") from error
    lines = [line.strip() for line in text.splitlines()]
    return [line.strip("\"'") for line in lines if line and not line.startswith(COMMENT)]


def _report_skipped(folder: Path, images: list[str]) -> None:
    """Log the entries of a folder of image files that are not processed.

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
    processed = {*images, *(str(folder / f"{stem_of(path)}.json") for path in images)}
    others = [entry.name for entry in entries if str(entry) not in processed]
    if others and images != [str(folder)]:
        more = f" and {len(others) - 10} more" if len(others) > 10 else ""
        logger.warning("folder '%s': not images, not processed: %s%s.", folder, ", ".join(others[:10]), more)


def _studies_in(folder: Path) -> list[Path]:
    """Return the subfolders with one study each, or the folder itself if it is (part of) one study."""
    entries = sorted(folder.iterdir())
    if any(entry.is_file() and is_dicom(entry) for entry in entries):
        return [folder]
    inner = [entry for entry in entries if entry.is_dir() and entry.name[0] != "." and has_dicom(entry)]
    return [folder] if len(inner) > 1 and len({_study_uid(entry) for entry in inner}) == 1 else inner


def _study_uid(folder: Path) -> str:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.name[0] != ".")
    first = next(path for path in files if path.name != "DICOMDIR" and is_dicom(path))
    return study_uid(first) or str(folder)
