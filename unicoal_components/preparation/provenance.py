"""Processing history of a subject file, stored in it as JSON; the manifest is made from it."""

import json
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from .. import __version__
from ..scans.checksums import sha256_of
from ..scans.intensity import PERCENTILES
from ..scans.scan import Scan
from .acquisition import acquisition_of
from .options import PreparationSteps
from .subject_files import SubjectFiles
from .thin_axes import ThinAxes

RECIPE_VERSION = 3
"""Increase it when the same options and scans give other volumes than before: finished subjects are then rebuilt."""

HISTOGRAM_BINS = 64
SOFTWARE = ("itk", "numpy")


def make_recipe(item: SubjectFiles, modalities: Sequence[str], steps: PreparationSteps) -> dict[str, Any]:
    """Return all that determines a subject file, as JSON values: the options and the checksums of the sources.

    The session and the acquisition (`acquisition_of`) of each modality are included where they are known.

    Args:
        item: files of the subject.
        modalities: modalities to store, in order; the first is the reference unless the steps name another.
        steps: the options.

    Raises:
        OSError: a file does not exist or cannot be read.
    """
    known: dict[Path, str] = {}
    for path in [*(item.files[name] for name in modalities), *_mask(item, steps)]:
        if path not in known:
            known[path] = sha256_of(path)
    sources = [{"modality": name, "name": _name(item, name), "sha256": known[item.files[name]]} for name in modalities]
    masks = [known[path] for path in _mask(item, steps)]
    recipe = {"version": RECIPE_VERSION, "options": steps.options(), "sources": sources, "masks": masks}
    acquisition = {name: facts for name in modalities if (facts := acquisition_of(item.files[name]))}
    known_facts = {"session": item.session, "acquisition": acquisition}
    return recipe | {name: value for name, value in known_facts.items() if value}


def _mask(item: SubjectFiles, steps: PreparationSteps) -> list[Path]:
    """Return the path of the mask if the steps use it."""
    return [item.mask] if item.mask is not None and steps.crop == "brain" else []


def _name(item: SubjectFiles, modality: str) -> str:
    return Path(item.files[modality]).name


def make_history(
    recipe: Mapping[str, Any],
    *,
    originals: Mapping[str, Scan],
    finals: Mapping[str, Scan],
    limits: Mapping[str, tuple[float, float]],
    records: Mapping[str, Sequence[Mapping[str, Any]]],
    thin: Mapping[str, ThinAxes],
    notes: Sequence[str] = (),
) -> str:
    """Return the history as JSON text; the same input gives the same text.

    Args:
        recipe: result of `make_recipe`.
        originals: per modality the scan as it was read.
        finals: per modality the scan after all steps, before scaling.
        limits: per modality the intensities that became 0 and 255.
        records: per modality the records of its steps, in order.
        thin: per modality the axes along which it is thin, and how they were found.
        notes: notes about the subject as a whole.
    """
    modalities = {
        source["modality"]: {
            "source": source["name"],
            "sha256": source["sha256"],
            **_original_geometry(originals[source["modality"]]),
            "steps": [*records[source["modality"]], _scaling(limits[source["modality"]])],
            "thin_axes": thin[source["modality"]].record(),
            "warnings": [*finals[source["modality"]].warnings, *thin[source["modality"]].warnings],
            "histogram": _histogram(finals[source["modality"]].stack, limits[source["modality"]]),
        }
        for source in recipe["sources"]
    }
    content = {
        "recipe": recipe,
        "software": {"unicoal_components": __version__} | _versions(),
        "modalities": modalities,
        "notes": list(notes),
    }
    return json.dumps(content)


def _original_geometry(scan: Scan) -> dict[str, Any]:
    """Return shape, spacing in mm and orientation in the file's own order of axes."""
    axes = [next(axis for axis, pair in enumerate(("LR", "PA", "SI")) if letter in pair) for letter in scan.orientation]
    return {
        "shape": [scan.volume.shape[axis] for axis in axes],
        "spacing": [round(float(scan.spacing[axis]), 4) for axis in axes],
        "orientation": scan.orientation,
    }


def _scaling(limits: tuple[float, float]) -> dict[str, Any]:
    return {"step": "scale_intensity", "percentiles": list(PERCENTILES), "low": limits[0], "high": limits[1]}


def _histogram(stack: np.ndarray, limits: tuple[float, float]) -> dict[str, Any]:
    """Count the non-zero voxels in bins that reach beyond the limits by at most 25 % below and 50 % above."""
    low, high = limits
    inside = stack[stack != 0]
    start = max(float(inside.min()), low - 0.25 * (high - low))
    stop = min(float(inside.max()), high + 0.5 * (high - low))
    counts, _ = np.histogram(inside, HISTOGRAM_BINS, range=(start, stop))
    return {"start": start, "stop": stop, "counts": counts.tolist()}


@cache
def _versions() -> dict[str, str]:
    """Return the versions of the packages that affect the volumes, if installed."""
    found = {}
    for name in SOFTWARE:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
