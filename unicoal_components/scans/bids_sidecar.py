"""What the JSON file beside a NIfTI file, as dcm2niix and BIDS write it, tells of the scan."""

import json
from pathlib import Path
from typing import Any

from .dicom.modality_rules import modality_of_header, modality_of_name
from .dicom.volume import gap_warning, positive_number
from .image_paths import stem_of


def sidecar_of(path: Path) -> dict[str, Any]:
    """Return the content of `<name>.json` beside `<name>.nii.gz`; empty where there is none that can be read."""
    try:
        content = json.loads(path.with_name(f"{stem_of(path)}.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def sidecar_facts(path: Path) -> tuple[str | None, list[str]]:
    """Return the modality that the file's JSON or else its name tells, and warnings, a clause each.

    Descriptions and times (RepetitionTime, EchoTime, InversionTime in seconds) are asked as those of DICOM headers are;
    SliceThickness and SpacingBetweenSlices in mm tell of a gap.
    """
    told = sidecar_of(path)
    modality = modality_of_header(told, seconds=True) or modality_of_name(path.name)
    try:
        gap = gap_warning(float(told["SliceThickness"]), float(told["SpacingBetweenSlices"]))
    except (KeyError, TypeError, ValueError):
        gap = None
    return modality, [] if gap is None else [gap]


def sidecar_thickness(path: Path) -> float | None:
    """Return the SliceThickness in mm that the file's JSON tells; `None` where it tells none that is positive."""
    return positive_number(sidecar_of(path).get("SliceThickness"))
