"""What already lies where a result shall go: replaced where it is an earlier result, refused where it is a scan."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import nibabel as nib

from ..scans.image_paths import is_nifti

MARK = "UniCOAL"
"""How the header's description of every result begins."""

NOTE = "Synthesized by a network; research only, not for diagnosis."
"""Stands in every record."""


def check_replaceable(paths: Iterable[Path]) -> None:
    """Refuse to replace files that are no results, such as a measured scan or its BIDS record; folders are not asked.

    Raises:
        ValueError: one is none; the message names it.
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
    except Exception:  # whatever it is, it is not ours
        return False


def _is_record(path: Path) -> bool:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and content.get("note") == NOTE
