"""Results of inference with their records: which there are, and how they are shown."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..geometry.orientation import spacing_of
from ..scans.dicom.files import has_dicom
from ..scans.read_volume import Storage, Volume
from .packed import read_viewed
from .scene import Layer, Scene

IMAGE = "image"
MAPS = {"expected_error": "expected error", "standard_deviation": "standard deviation"}
"""Roles of outputs in a record that are maps of uncertainty, and their names."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Result:
    """An output of inference.

    Attributes:
        image: file, or folder of a DICOM series.
        maps: maps of uncertainty by role.
        record: content of its JSON record; empty if there is none.
        notes: lines that warn.
    """

    image: Path
    maps: dict[str, Path] = field(default_factory=dict)
    record: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def find_results(path: str | os.PathLike) -> list[Result]:
    """Return the results of a path: a result, its record, or a folder with several.

    Raises:
        FileNotFoundError: the path, or the image that a record names, does not exist.
        ValueError: a folder holds no result, or a record is damaged.
    """
    place = Path(path)
    if not place.exists():
        raise FileNotFoundError(
            f"result '{path}' does not exist; give an output of inference (.nii.gz or its .json), or their folder."
        )
    if place.suffix.lower() == ".json":
        return [_of_record(place, _record(place))]
    for record, content in _records(place.resolve().parent):
        if place.name in content["outputs"].values():
            return [_of_record(record, content)]
    results = [_of_record(record, content) for record, content in _records(place)]
    if not results and (place.is_file() or has_dicom(place)):
        note = "No record (.json) names this file, so its input and its task are not known."
        results = [Result(place, notes=(note,))]
    if not results:
        raise ValueError(
            f"folder '{path}' holds no result: no record (.json) of inference. Give the output_dir of inference, or "
            "an image."
        )
    return results


def _records(folder: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Yield the records of a folder in order; other JSON files are left out."""
    for path in sorted(folder.glob("*.json")):
        try:
            yield path, _record(path)
        except ValueError:
            continue


def _record(path: Path) -> dict[str, Any]:
    """Return the content of a record of inference.

    Raises:
        ValueError: it is another file.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        names = [content["outputs"][IMAGE], *content["outputs"].values()]
        if not all(isinstance(name, str) and Path(name).name == name for name in names):
            raise ValueError(f"outputs is {content['outputs']!r}; it must name files beside the record")
        return content
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"'{path}' is no record of inference ({type(error).__name__}: {error}). Give the .json that it wrote."
        ) from error


def _of_record(path: Path, record: dict[str, Any]) -> Result:
    image = path.parent / record["outputs"][IMAGE]
    if not image.exists():
        raise FileNotFoundError(f"record '{path}' names '{image.name}', which is not beside it. Copy it there too.")
    maps = {role: path.parent / name for role, name in record["outputs"].items() if role in MAPS}
    gone = [
        f"Without the {MAPS[role]}: '{file.name}' is not there." for role, file in maps.items() if not file.exists()
    ]
    return Result(image, {role: file for role, file in maps.items() if file.exists()}, record, tuple(gone))


def open_result(result: Result, *, input: str | os.PathLike | None = None) -> Scene:
    """Read a result and what belongs to it.

    Args:
        result: from `find_results`.
        input: scan to show beside it; by default the one that the record names.

    Raises:
        OSError: a file is damaged, or `input` does not exist.
        ValueError: a file is not one volume, or the record is damaged.
    """
    image = read_result(result.image)
    try:
        return _scene(result, image, input)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"the record of '{result.image}' is damaged ({type(error).__name__}: {error}). Run inference again."
        ) from error


def _scene(result: Result, image: Volume, input: str | os.PathLike | None) -> Scene:
    record = result.record
    same = bool(record) and record["task"]["source_modality"] == record["task"]["target_modality"]
    scan, notes = _input(record, input)
    window = _window_of(record) or _window(image.voxels)
    unit = "input's units" if same else _scale(record) if record else ""
    columns = []
    if scan is not None:
        own = window if same else _window(scan.voxels)
        columns.append([Layer("input", scan, own, "input's units", linked="scan" if same else None)])
    columns.append([Layer("result", image, window, unit, linked="scan" if same else None)])
    maps = [(MAPS[role], read_result(path)) for role, path in result.maps.items()]
    if maps:
        columns.append(
            [
                Layer(
                    name, volume, (0.0, float(f"{_percentile(volume.voxels, 99.5):.2g}") or 1.0), unit, colors="error"
                )
                for name, volume in maps
            ]
        )
    return Scene(
        columns,
        base=image,
        wipe=scan is not None,
        facts=_facts(record, image, scan),
        notes=[*result.notes, *notes, *map(str, record.get("warnings", []))],
    )


def read_result(path: Path) -> Volume:
    """Read an output; in a DICOM series the mapping to real values is applied, which other readers of it ignore.

    Raises:
        OSError: the file is damaged.
        ValueError: it is not one volume.
    """
    volume = read_viewed(path)
    if not volume.headers or "RealWorldValueMappingSequence" not in volume.headers[0]:
        return volume
    mapping = volume.headers[0].RealWorldValueMappingSequence[0]
    slope, intercept = float(mapping.RealWorldValueSlope), float(mapping.RealWorldValueIntercept)
    return Volume(
        path=volume.path,
        format=volume.format,
        voxels=(volume.voxels.astype(np.float64) * slope + intercept).astype(np.float32),
        affine=volume.affine,
        files=volume.files,
        sha256=volume.sha256,
        storage=Storage(volume.storage.dtype, slope, intercept),
    )


def _input(record: dict[str, Any], input: str | os.PathLike | None) -> tuple[Volume | None, list[str]]:
    """Return the scan, if it can be read, and what there is to say about it."""
    if input is not None:
        return read_viewed(Path(input)), []
    if not record:
        return None, []
    path = record["input"].get("path")
    if path is None:
        return None, ["Without the input: the record does not name it (deidentify). Give it as input."]
    try:
        scan = read_viewed(path)
    except (OSError, ValueError) as error:
        logger.warning("the page is without the input: %s", error)
        return None, [f"Without the input, '{path}': {error} If it was moved, give its new place as input."]
    changed = scan.sha256 != record["input"].get("sha256", scan.sha256)
    return scan, [f"The input '{path}' was changed after the result was made."] if changed else []


def _facts(record: dict[str, Any], image: Volume, scan: Volume | None) -> list[str]:
    facts = []
    if record:
        task = record["task"]
        facts.append(
            f"{task['source_modality']} → {task['target_modality']}, factor {task['factor']:g}, "
            f"{task['through_plane']} slices, by {' '.join(record.get('bundle', {}).values()) or 'an unnamed bundle'}"
        )
    before = f"{_spacing(scan)} → " if scan is not None else ""
    facts.append(f"Voxel spacing {before}{_spacing(image)} mm")
    error = record.get("expected_error")
    if error:
        facts.append(
            f"Mean expected error inside the head: {100 * error['part_of_range']:.1f} % of the intensity range "
            f"({error['in_units']:.3g})"
        )
    return [*facts, str(record.get("note", "Not for diagnosis."))]


def _spacing(volume: Volume) -> str:
    return " × ".join(f"{mm:.3g}" for mm in spacing_of(volume.affine))


def _window_of(record: dict[str, Any]) -> tuple[float, float] | None:
    """Return the intensities of black and white of the network, if it kept the input's units."""
    intensity = record.get("intensity", {})
    low, high = intensity.get("network_black"), intensity.get("network_white")
    return (float(low), float(high)) if low is not None and high is not None and low < high else None


def _scale(record: dict[str, Any]) -> str:
    """Return the scale of an output of another modality in words."""
    low, high = record["intensity"]["range"]
    return f"scale {low:g} to {high:g}"


def _window(voxels: np.ndarray) -> tuple[float, float]:
    """Return the percentiles of non-zero voxels that the network's input is scaled by."""
    low, high = _percentile(voxels, 0.5), _percentile(voxels, 99.5)
    return (low, high) if low < high else (low, low + 1)


def _percentile(voxels: np.ndarray, percent: float) -> float:
    inside = voxels[(voxels != 0) & np.isfinite(voxels)]
    return float(np.percentile(inside, percent)) if inside.size else 0.0
