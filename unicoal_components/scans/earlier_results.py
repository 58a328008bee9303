"""Results of earlier runs: recognized by their content, left out of input folders."""

import zlib
from pathlib import Path

from ..files.json_file import read_json
from .dicom.files import is_derived_series
from .file_content import opened
from .file_names import is_nifti

MARK = "UniCOAL"
"""First word of the header description of every result."""

DESCRIPTION = slice(148, 228)
"""Place of the description in the header of NIfTI-1."""

NOTE = "Synthesized by a network; research only, not for diagnosis."
"""Note in every record."""


def is_result(path: Path) -> bool:
    """Return whether a file or folder was written by an earlier run: an image, a record, or a DICOM series."""
    if path.is_dir():
        return is_derived_series(path)
    return _is_image(path) if is_nifti(path) else path.suffix == ".json" and _is_record(path)


def _is_image(path: Path) -> bool:
    try:
        with opened(path) as file:
            return file.read(DESCRIPTION.stop)[DESCRIPTION].startswith(MARK.encode())
    except (OSError, EOFError, zlib.error):  # an unreadable file is no result
        return False


def _is_record(path: Path) -> bool:
    try:
        content = read_json(path)
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and content.get("note") == NOTE
