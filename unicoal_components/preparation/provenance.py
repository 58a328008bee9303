"""How the volumes of a subject file came about, as JSON inside the file; the manifest is read from it."""

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
from .options import PreparationSteps
from .subject_files import SubjectFiles
from .thin_axes import ThinAxes

RECIPE_VERSION = 3
"""To be raised when the same options and scans give other volumes than before: finished subjects are then redone."""

HISTOGRAM_BINS = 64
SOFTWARE = ("itk", "numpy")


def make_recipe(item: SubjectFiles, modalities: Sequence[str], steps: PreparationSteps) -> dict[str, Any]:
    """Return all that determines a subject's volumes: options, and checksums of the sources.

    Args:
        item: the subject's files.
        modalities: those to store, all among its files, in order; the first is the reference unless the steps name one.
        steps: the options.

    Raises:
        OSError: a file is not there or cannot be read.
    """
    known: dict[Path, str] = {}
    for path in [*(item.files[name] for name in modalities), *_mask(item, steps)]:
        if path not in known:
            known[path] = sha256_of(path)
    sources = [{"modality": name, "name": _name(item, name), "sha256": known[item.files[name]]} for name in modalities]
    masks = [known[path] for path in _mask(item, steps)]
    return {"version": RECIPE_VERSION, "options": steps.options(), "sources": sources, "masks": masks}


def _mask(item: SubjectFiles, steps: PreparationSteps) -> list[Path]:
    """Return the mask if it is used."""
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
    """Return the JSON text; the same input gives the same text.

    Args:
        recipe: of `make_recipe`.
        originals: the scans as they were read.
        finals: the same after all steps, before scaling.
        limits: the intensities that became 0 and 255.
        records: what was done to each, in order.
        thin: along which axes each is thin, and how that is known.
        notes: about the subject as a whole.
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
    """Return shape and spacing in the file's own order of axes, and where those point to."""
    axes = [next(axis for axis, pair in enumerate(("LR", "PA", "SI")) if letter in pair) for letter in scan.orientation]
    return {
        "shape": [scan.volume.shape[axis] for axis in axes],
        "spacing": [round(float(scan.spacing[axis]), 4) for axis in axes],
        "orientation": scan.orientation,
    }


def _scaling(limits: tuple[float, float]) -> dict[str, Any]:
    return {"step": "scale_intensity", "percentiles": list(PERCENTILES), "low": limits[0], "high": limits[1]}


def _histogram(stack: np.ndarray, limits: tuple[float, float]) -> dict[str, Any]:
    """Count the non-zero voxels in bins that reach beyond the two limits as far as there are voxels, within reason."""
    low, high = limits
    inside = stack[stack != 0]
    start = max(float(inside.min()), low - 0.25 * (high - low))
    stop = min(float(inside.max()), high + 0.5 * (high - low))
    counts, _ = np.histogram(inside, HISTOGRAM_BINS, range=(start, stop))
    return {"start": start, "stop": stop, "counts": counts.tolist()}


@cache
def _versions() -> dict[str, str]:
    """Return the versions of the packages that shape the volumes, where they are installed."""
    found = {}
    for name in SOFTWARE:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
