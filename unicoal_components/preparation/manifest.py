"""Manifest of a prepared cohort: a CSV table with one row per scan."""

import csv
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..files.atomic import atomic_path
from .subject_files import SubjectFiles

PREPARED, UP_TO_DATE, FAILED = "prepared", "up to date", "failed"

COLUMNS = (
    "subject",
    "person",
    "session",
    "section",
    "modality",
    "status",
    "reason",
    "source",
    "sha256",
    "original_shape",
    "original_spacing",
    "original_orientation",
    "shape",
    "spacing",
    "steps",
    "translation_mm",
    "rotation_deg",
    "metric",
    "thin_axes",
    "detail",
    "output",
    "output_sha256",
    "acquisition",
    "warnings",
)


@dataclass(frozen=True)
class SubjectResult:
    """Result of the preparation of one subject.

    Attributes:
        item: input files of the subject.
        status: "prepared", "up to date" or "failed".
        reason: why it failed, or why a finished subject was rebuilt; else empty.
        section: training, validation or test.
        output: name of the subject file; empty if failed.
        output_sha256: SHA-256 of the subject file.
        shape: shape of the volumes along x, y, z.
        spacing: voxel spacing in mm along x, y, z.
        history: history in the subject file (`provenance.py`).
        fingerprints: fingerprints of the scans, see `scan_fingerprints`.
    """

    item: SubjectFiles
    status: str
    reason: str = ""
    section: str = ""
    output: str = ""
    output_sha256: str = ""
    shape: tuple[int, ...] = ()
    spacing: tuple[float, ...] = ()
    history: Mapping[str, Any] = field(default_factory=dict)
    fingerprints: Mapping[str, str] = field(default_factory=dict)

    @property
    def person(self) -> str:
        """Name of the person whose scans these are."""
        return self.item.person or self.item.subject


def write_manifest(path: str | os.PathLike, results: Sequence[SubjectResult], *, modalities: Sequence[str]) -> None:
    """Write a CSV with one row per subject and modality, atomically; unknown cells are empty.

    It tells what there is, not what a run did: a subject that was up to date is "prepared" here.

    Lengths are in mm; shapes and spacings are along x, y, z, such as `170x256x256`. `translation_mm` is how far
    registration moves the center of the reference, `metric` the mutual information at its end. `thin_axes` are the
    planes whose slices are truly thin, `detail` is the measure behind this (`thin_axes.py`).

    Args:
        path: path of the CSV file.
        results: results in the order of the rows.
        modalities: modalities in the order of the rows: all of them for failed subjects, else those in the file.

    Raises:
        OSError: the file cannot be written.
    """
    with atomic_path(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, restval="", lineterminator="\n")
        writer.writeheader()
        for result in results:
            writer.writerows(manifest_rows(result, modalities))


def manifest_rows(result: SubjectResult, modalities: Sequence[str]) -> Iterator[dict[str, str]]:
    """Yield the rows of one subject."""
    item, known = result.item, result.history.get("modalities", {})
    common = {
        "subject": item.subject,
        "person": result.person,
        "session": item.session or "",
        "section": result.section,
        "status": FAILED if result.status == FAILED else PREPARED,
        "reason": result.reason if result.status == FAILED else "",
        "output": result.output,
        "output_sha256": result.output_sha256,
        "shape": _times(result.shape),
        "spacing": _times(result.spacing),
    }
    for name in modalities:
        if not known or name in known:
            source = {"modality": name, "source": str(item.files.get(name, ""))}
            acquired = result.history.get("recipe", {}).get("acquisition", {}).get(name, {})
            text = {"acquisition": "; ".join(f"{field} {value}" for field, value in acquired.items())}
            yield common | source | text | _modality_cells(known.get(name, {}), item.notes)


def _modality_cells(known: Mapping[str, Any], notes: Sequence[str]) -> dict[str, str]:
    """Return the cells that come from the history of one modality."""
    cells = {"warnings": "; ".join([*known.get("warnings", ()), *notes])}
    if known:
        cells |= {
            "sha256": known["sha256"],
            "original_shape": _times(known["shape"]),
            "original_spacing": _times(known["spacing"]),
            "original_orientation": known["orientation"],
            "steps": "; ".join(map(describe_step, known["steps"])),
        }
    if "thin_axes" in known:
        thin = known["thin_axes"]
        cells["thin_axes"] = " ".join(thin["planes"]) or "none"
        cells["detail"] = " ".join(
            f"{plane}:{'unknown' if value is None else format(value, '.2g')}" for plane, value in thin["detail"].items()
        )
    for record in known.get("steps", ()):
        if record["step"] == "register":
            cells |= {name: f"{record[name]:.4g}" for name in ("translation_mm", "rotation_deg", "metric")}
    return cells


def describe_step(record: Mapping[str, Any]) -> str:
    """Return the record of a step as one line of text.

    Example:
        >>> describe_step({"step": "resample", "to": "grid of t1", "spacing": [1.0, 1.0, 1.0], "by": "bspline"})
        'resample to grid of t1, spacing 1x1x1, by bspline'
    """
    words = []
    for name, value in record.items():
        if name == "matrix":
            continue
        if isinstance(value, float):
            value = f"{value:.6g}"
        elif isinstance(value, list):
            value = _times(value)
        words.append(f"{name} {value}" if name != "step" else str(value))
    return f"{words[0]} {', '.join(words[1:])}" if len(words) > 1 else words[0]


def _times(values: Sequence[Any]) -> str:
    """Return values as `170x256x256`; nested lists keep their brackets."""
    if any(isinstance(value, list | tuple) for value in values):
        return str([list(value) for value in values]).replace(" ", "")
    return "x".join(f"{value:g}" for value in values)


def quality_name(subject: str) -> str:
    """Return the path of a subject's quality panel relative to the output folder."""
    return Path("quality", f"{subject}.png").as_posix()
