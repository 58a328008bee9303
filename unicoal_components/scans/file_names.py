"""Names of image files: their suffixes, and the name without."""

import os
from pathlib import Path

from .dicom.series import split_uid

NIFTI_SUFFIXES = (".nii.gz", ".nii")
NIBABEL_SUFFIXES = (".mgz", ".mgh", ".mnc", ".hdr", ".img")
ITK_SUFFIXES = (".mha", ".mhd", ".nrrd", ".nhdr")
FOLDER_SUFFIXES = (*NIFTI_SUFFIXES, ".mgz", ".mgh", ".mnc", *ITK_SUFFIXES)
"""Images that are taken from a folder."""


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
