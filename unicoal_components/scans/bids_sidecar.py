"""Reader of the JSON file next to a NIfTI file, as written by dcm2niix and BIDS."""

from pathlib import Path
from typing import Any

from ..files.json_file import read_json
from .dicom.modality_rules import modality_of_header, modality_of_name, type_warning
from .dicom.volume import gap_warning, positive_number
from .file_names import stem_of

LENGTHS = ("SliceThickness", "SpacingBetweenSlices")
"""Elements in mm."""


def sidecar_of(path: Path) -> dict[str, Any]:
    """Return the content of `<name>.json` next to `<name>.nii.gz`; empty if there is no readable one."""
    return _read(path)[0]


def _read(path: Path) -> tuple[dict[str, Any], list[str]]:
    """Return the content, empty if there is none, and a warning if there is a file that cannot be read."""
    sidecar = path.with_name(f"{stem_of(path)}.json")
    if not sidecar.is_file():
        return {}, []
    try:
        content = read_json(sidecar)
    except (OSError, ValueError):
        content = None
    if isinstance(content, dict):
        return content, []
    return {}, [f"'{sidecar.name}' beside it is damaged or no JSON object and was ignored"]


def sidecar_facts(path: Path) -> tuple[str | None, list[str]]:
    """Return the modality from the file's JSON, or else from its name, and a list of warnings.

    Descriptions and times (RepetitionTime, EchoTime, InversionTime in seconds) are interpreted like those of DICOM
    headers. SliceThickness and SpacingBetweenSlices in mm reveal a gap. Each warning is a clause about the scan.
    """
    sidecar, warnings = _read(path)
    kind = type_warning(sidecar)
    modality = None
    if kind is None:
        modality = modality_of_header(sidecar, seconds=True) or modality_of_name(path.name)
    else:
        warnings.append(kind)
    lengths = {name: positive_number(sidecar[name]) for name in LENGTHS if name in sidecar}
    warnings += [
        f"its JSON has {name} {sidecar[name]!r:.40}, no number above 0, which was ignored"
        for name, length in lengths.items()
        if length is None
    ]
    thickness, spacing = (lengths.get(name) for name in LENGTHS)
    gap = gap_warning(thickness, spacing) if thickness and spacing else None
    return modality, warnings if gap is None else [*warnings, gap]


def sidecar_thickness(path: Path) -> float | None:
    """Return the SliceThickness in mm from the file's JSON; `None` if it is missing or not positive."""
    return positive_number(sidecar_of(path).get("SliceThickness"))
