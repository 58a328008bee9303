"""Which images an inference run has: a file, a folder, a list; and what their outputs are called."""

import os
from collections.abc import Sequence
from pathlib import Path

from ..keys import Keys
from .dicom.series import has_dicom, is_dicom, split_uid, study_uid

NIFTI_SUFFIXES = (".nii.gz", ".nii")
ITK_SUFFIXES = (".mha", ".mhd", ".nrrd", ".nhdr")
LIST_SUFFIX = ".txt"
COMMENT = "#"

Input = str | os.PathLike | Sequence[str | os.PathLike]


def is_nifti(path: str | os.PathLike) -> bool:
    """Tell NIfTI files by their suffix, in any case."""
    return Path(path).name.lower().endswith(NIFTI_SUFFIXES)


def stem_of(path: str | os.PathLike) -> str:
    """Return the name of an image without its folder and its suffix, `.nii.gz` counting as one.

    Example:
        >>> stem_of("scans/p01.T1.nii.gz"), stem_of("p01.mha"), stem_of("dicom/series.4::1.2.3")
        ('p01.T1', 'p01', 'series.4')
    """
    place, _ = split_uid(path)
    name = place.resolve().name if place.name in ("", "..") else place.name
    for suffix in (*NIFTI_SUFFIXES, *ITK_SUFFIXES):
        if name.lower().endswith(suffix):
            return name[: -len(suffix)]
    return name


def list_images(input: Input) -> list[dict[str, str]]:
    """List the images of an inference run as data set items.

    A workflow can be built before there are scans; `check_images`, when it is run, says what is wrong.

    Args:
        input: an image file (NIfTI, `.mha`, `.nrrd`, ...); a folder of such files; a folder of DICOM files, of one or
            several series, also as `folder::SeriesInstanceUID`; a folder of such folders, one a study; a text file that
            ends in `.txt`, one path a line, relative to its own folder (empty lines and those after `#` count not); or
            a list of any of these.

    Returns:
        One `{"image": path}` per image, none where there is nothing. Whether it can be read shows when it is its turn.
    """
    return [{Keys.IMAGE: path} for path in _paths(input)]


def check_images(input: Input) -> None:
    """See that there are images, and that their outputs can be told apart.

    Raises:
        FileNotFoundError: nothing is there, or a folder holds no image.
        ValueError: two images would give outputs of one name.
    """
    if not _inputs(input):
        raise FileNotFoundError("the input is an empty list. Give a NIfTI file or a DICOM folder, or several of them.")
    for given in _inputs(input):
        place, _ = split_uid(given)
        if not str(given) or not place.exists():
            raise FileNotFoundError(
                f"input '{given}' does not exist. Give a NIfTI file or a DICOM folder, or a folder or list of them."
            )
        if not _paths(given):
            what = "holds no path" if place.is_file() else "is empty" if not any(place.iterdir()) else "holds no image"
            raise FileNotFoundError(
                f"the input {'list' if place.is_file() else 'folder'} '{place}' {what} that could be read (.nii.gz, "
                ".nii, .mha, .nrrd, DICOM). Put the scans there, or name one file."
            )
    paths = _paths(input)
    stems = [stem_of(path) for path in paths]
    doubled = next((stem for stem in stems if stems.count(stem) > 1), None)
    if doubled is not None:
        same = [path for path, stem in zip(paths, stems, strict=True) if stem == doubled]
        raise ValueError(
            f"the input '{input}' holds '{doubled}' more than once: '{same[0]}' and '{same[1]}' would give outputs of "
            "one name. Keep one of them, rename it, or run them one after the other with different output folders."
        )


def _inputs(input: Input) -> list[str | os.PathLike]:
    return [_as_typed(given) for given in ([input] if isinstance(input, str | os.PathLike) else input)]


def _as_typed(given: str | os.PathLike) -> str | os.PathLike:
    """Undo what MONAI does to a name: it makes "::" of every "#" in a configuration."""
    typed = str(given).replace("::", "#")
    return typed if typed != str(given) and not os.path.exists(given) and os.path.exists(typed) else given


def _paths(input: Input) -> list[str]:
    return [path for given in _inputs(input) for path in _paths_of(given)]


def _paths_of(given: str | os.PathLike) -> list[str]:
    """List what one path stands for."""
    place, uid = split_uid(given)
    if not str(given) or not place.exists():
        return []
    if uid is not None:
        return [str(given)]
    if place.is_dir():
        return _paths_in(place)
    if place.suffix.lower() == LIST_SUFFIX:
        lines = [line.strip() for line in place.read_text(encoding="utf-8-sig").splitlines()]
        return [str(place.parent / line) for line in lines if line and not line.startswith(COMMENT)]
    return [str(place)]


def _paths_in(folder: Path) -> list[str]:
    """List the image files of a folder in name order; where there are none, it or its folders as DICOM studies."""
    suffixes = (*NIFTI_SUFFIXES, *ITK_SUFFIXES)
    files = sorted(file for file in folder.iterdir() if file.name.lower().endswith(suffixes))
    images = [str(file) for file in files if not file.name.startswith(".") and file.is_file()]
    return images or [str(study) for study in _studies_in(folder)]


def _studies_in(folder: Path) -> list[Path]:
    """Return the folders in this one that hold a study each, or this one where it is (part of) a study itself."""
    entries = sorted(folder.iterdir())
    if any(entry.is_file() and is_dicom(entry) for entry in entries):
        return [folder]
    inner = [entry for entry in entries if entry.is_dir() and entry.name[0] != "." and has_dicom(entry)]
    return [folder] if len(inner) > 1 and len({_study_uid(entry) for entry in inner}) == 1 else inner


def _study_uid(folder: Path) -> str:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.name[0] != ".")
    first = next(path for path in files if path.name != "DICOMDIR" and is_dicom(path))
    return study_uid(first) or str(folder)
