"""The manifest: a table of what became of every scan."""

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
    *("subject", "person", "section", "modality", "status", "reason", "source", "sha256"),
    *("original_shape", "original_spacing", "original_orientation", "shape", "spacing", "steps"),
    *(
        "translation_mm",
        "rotation_deg",
        "metric",
        "thin_axes",
        "detail",
        "output",
        "output_sha256",
        "seconds",
        "warnings",
    ),
)


@dataclass(frozen=True)
class Outcome:
    """What became of one subject.

    Attributes:
        item: its files.
        status: "prepared", "up to date" or "failed".
        reason: why it failed, or why a finished subject was redone; else empty.
        section: training, validation or test.
        output: name of the subject file; empty where it failed.
        output_sha256: of the subject file.
        seconds: it took.
        shape: of the volumes along x, y, z.
        spacing: of their voxels in mm along x, y, z.
        history: of the subject file (`history.py`).
    """

    item: SubjectFiles
    status: str
    reason: str = ""
    section: str = ""
    output: str = ""
    output_sha256: str = ""
    seconds: float = 0.0
    shape: tuple[int, ...] = ()
    spacing: tuple[float, ...] = ()
    history: Mapping[str, Any] = field(default_factory=dict)


def write_manifest(path: str | os.PathLike, outcomes: Sequence[Outcome], *, modalities: Sequence[str]) -> None:
    """Write a CSV with one row per subject and modality, atomically; unknown cells are empty.

    Lengths are in mm, shapes and spacings along x, y, z as `170x256x256`; `translation_mm` is how far registration
    moves the center of the reference, `metric` what it reached. `thin_axes` are the planes whose slices are truly thin,
    `detail` is what tells (`thin_axes.py`).

    Args:
        path: the file.
        outcomes: in the order of the rows.
        modalities: in the order of the rows; of failed subjects all, of others those in the file.

    Raises:
        OSError: it cannot be written.
    """
    with atomic_path(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, restval="", lineterminator="\n")
        writer.writeheader()
        for outcome in outcomes:
            writer.writerows(manifest_rows(outcome, modalities))


def manifest_rows(outcome: Outcome, modalities: Sequence[str]) -> Iterator[dict[str, str]]:
    """Yield the rows of one subject."""
    item, known = outcome.item, outcome.history.get("modalities", {})
    common = {
        "subject": item.subject,
        "person": item.person or item.subject,
        "section": outcome.section,
        "status": outcome.status,
        "reason": outcome.reason,
        "output": outcome.output,
        "output_sha256": outcome.output_sha256,
        "seconds": f"{outcome.seconds:.2f}",
        "shape": _times(outcome.shape),
        "spacing": _times(outcome.spacing),
    }
    for name in modalities:
        if not known or name in known:
            source = {"modality": name, "source": str(item.files.get(name, ""))}
            yield common | source | _modality_cells(known.get(name, {}), item.notes)


def _modality_cells(known: Mapping[str, Any], notes: Sequence[str]) -> dict[str, str]:
    """Return the cells that the history of one modality fills."""
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
    """Write a step's record on one line.

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
    """Write 170x256x256; nested lists keep their brackets."""
    if any(isinstance(value, list | tuple) for value in values):
        return str([list(value) for value in values]).replace(" ", "")
    return "x".join(f"{value:g}" for value in values)


def quality_name(subject: str) -> str:
    """Return where a subject's panel is, below the output folder."""
    return Path("quality", f"{subject}.png").as_posix()
