"""Reader of the JSON file next to a NIfTI file, as written by dcm2niix and BIDS."""

from pathlib import Path
from typing import Any

from ..files.json_file import read_json
from .dicom.modality_rules import modality_of_header, modality_of_name
from .dicom.volume import gap_warning, positive_number
from .file_names import stem_of


def sidecar_of(path: Path) -> dict[str, Any]:
    """Return the content of `<name>.json` next to `<name>.nii.gz`; empty if there is no readable one."""
    try:
        content = read_json(path.with_name(f"{stem_of(path)}.json"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def sidecar_facts(path: Path) -> tuple[str | None, list[str]]:
    """Return the modality from the file's JSON, or else from its name, and a list of warnings.

    Descriptions and times (RepetitionTime, EchoTime, InversionTime in seconds) are interpreted like those of DICOM
    headers. SliceThickness and SpacingBetweenSlices in mm reveal a gap. Each warning is a clause about the scan.
    """
    sidecar = sidecar_of(path)
    modality = modality_of_header(sidecar, seconds=True) or modality_of_name(path.name)
    try:
        gap = gap_warning(float(sidecar["SliceThickness"]), float(sidecar["SpacingBetweenSlices"]))
    except (KeyError, TypeError, ValueError):
        gap = None
    return modality, [] if gap is None else [gap]


def sidecar_thickness(path: Path) -> float | None:
    """Return the SliceThickness in mm from the file's JSON; `None` if it is missing or not positive."""
    return positive_number(sidecar_of(path).get("SliceThickness"))
