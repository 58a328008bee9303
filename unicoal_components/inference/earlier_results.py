"""Protection of existing files: only results of earlier runs may be replaced."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import nibabel as nib

from ..scans.image_paths import is_nifti

MARK = "UniCOAL"
"""First word of the header description of every result."""

NOTE = "Synthesized by a network; research only, not for diagnosis."
"""Note in every record."""


def check_replaceable(paths: Iterable[Path]) -> None:
    """Raise an error if a file to be replaced is not an earlier result, such as a scan or its BIDS sidecar.

    Args:
        paths: files to be written; folders and missing files are ignored.

    Raises:
        ValueError: a file is not an earlier result; the message names it.
    """
    for path in paths:
        if path.is_file() and not (_is_result(path) if is_nifti(path) else _is_record(path)):
            raise ValueError(
                f"the output would overwrite '{path}', which is no earlier output. Choose another output_dir, or move "
                "that file away."
            )


def _is_result(path: Path) -> bool:
    try:
        header: Any = nib.load(path).header
        return header["descrip"].item().decode(errors="replace").startswith(MARK)
    except Exception:  # an unreadable file is not a result
        return False


def _is_record(path: Path) -> bool:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and content.get("note") == NOTE
