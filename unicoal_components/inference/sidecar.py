"""JSON record next to every output, with its provenance."""

import json
import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from nibabel.orientations import aff2axcodes

from .. import __version__
from ..files.atomic import atomic_path
from ..geometry.orientation import spacing_of
from ..scans.checksums import checksum
from ..scans.earlier_results import NOTE
from .loaded_scan import LoadedScan, now
from .prediction import Prediction


def bundle_of(folder: str | os.PathLike | None) -> dict[str, str]:
    """Return name and version of the bundle in a folder from its metadata; empty if there are none."""
    path = Path(folder or "") / "configs" / "metadata.json"
    if folder is None or not path.is_file():
        return {}
    metadata = json.loads(path.read_text(encoding="utf-8"))
    return {key: str(metadata[key]) for key in ("name", "version") if key in metadata}


def software_of(bundle: Mapping[str, str]) -> list[str]:
    """Return names and versions of the software, such as ["unicoal_components 0.1.0", "Uni-COAL sr 0.1.0"]."""
    return [f"unicoal_components {__version__}", *([" ".join(bundle.values())] if bundle else [])]


def geometry(shape: tuple[int, ...], affine: np.ndarray) -> dict[str, Any]:
    """Return a description of a grid: matrix, spacing in mm, orientation, affine (voxel to RAS+ mm)."""
    return {
        "matrix": [int(size) for size in shape],
        "spacing_mm": [round(float(mm), 6) for mm in spacing_of(affine)],
        "orientation": "".join(aff2axcodes(affine)),
        "affine": np.asarray(affine).tolist(),
    }


def sidecar(
    prediction: Prediction,
    *,
    outputs: Mapping[str, Path],
    bundle: Mapping[str, str],
    weights: str | os.PathLike | None,
    options: Mapping[str, Any],
    seconds: Mapping[str, float],
    warnings: Sequence[str] = (),
    anonymous: bool = False,
) -> dict[str, Any]:
    """Return the content of the record.

    Args:
        prediction: prediction of one scan.
        outputs: files that were written, by role.
        bundle: name and version of the bundle.
        weights: file of the weights, whose checksum is recorded; omitted if `None` or missing.
        options: options of the run.
        seconds: time of each part of the run.
        warnings: warnings in addition to those of the scan.
        anonymous: whether to omit the path of the scan.
    """
    scan = prediction.scan
    path = {} if anonymous else {"path": scan.path}
    return {
        "note": NOTE,
        "input": path | {"format": scan.format, "sha256": scan.sha256, "dtype": scan.storage.dtype},
        "input_geometry": geometry(scan.shape, scan.affine),
        "task": prediction.task | {"through_plane": scan.plane},
        "outputs": {role: file.name for role, file in outputs.items()},
        "output_geometry": geometry(*prediction.grid),
        "intensity": prediction.intensity,
        "expected_error": _error_of(prediction),
        "bundle": dict(bundle),
        "weights": None if weights is None or not Path(weights).is_file() else {"sha256": checksum([weights])},
        "software": {"unicoal_components": __version__, "torch": torch.__version__},
        "options": dict(options),
        "seconds": {name: round(value, 3) for name, value in seconds.items()},
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "warnings": [*scan.warnings, *warnings],
    }


def _error_of(prediction: Prediction) -> dict[str, float] | None:
    """Return the mean expected error inside the head, on two scales; `None` if the network does not predict it."""
    fraction = prediction.expected_error
    if fraction is None:
        return None
    low, high = prediction.scale
    return {"part_of_range": fraction, "in_units": fraction * (high - low)}


def write_sidecar(path: Path, content: Mapping[str, Any]) -> None:
    """Write the record atomically."""
    with atomic_path(path) as partial:
        partial.write_text(json.dumps(content, indent=4) + "\n", encoding="utf-8")


def seconds_of(scan: LoadedScan, written: float) -> dict[str, float]:
    """Return the seconds of reading, synthesis and writing of a volume; `written` is the time when writing began."""
    return {"reading": scan.read - scan.started, "synthesis": written - scan.read, "writing": now() - written}
