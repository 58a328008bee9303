"""Preparation of one subject: its scans are processed, scaled and written to a subject file."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..datasets.hdf5 import write_subject
from ..scans.intensity import percentile_range, scale_to_uint8
from ..scans.read_mask import read_mask
from ..scans.scan import Scan, read_scan
from .options import PreparationSteps
from .pipeline import apply_steps
from .provenance import make_history, make_recipe
from .subject_files import SubjectFiles
from .thin_axes import check_usable, find_thin_axes

NO_STEPS = PreparationSteps()


def prepare_subject(
    item: SubjectFiles,
    path: str | os.PathLike,
    *,
    modalities: Sequence[str],
    allow_missing: bool = False,
    steps: PreparationSteps = NO_STEPS,
    recipe: Mapping[str, Any] | None = None,
) -> None:
    """Read one subject's scans, apply the steps, scale the intensities and write the subject file with its history.

    Args:
        item: files of the subject.
        path: path of the subject file.
        modalities: modalities to store; the first that the subject has is the reference unless the steps name another.
        allow_missing: accept a subject that lacks some of the modalities (not all).
        steps: steps before the scaling; by default none, so that the scans must share a grid.
        recipe: result of `make_recipe` for these scans and steps; `None` makes it here, which reads all scans.

    Raises:
        ValueError: a missing modality, an unusable scan, different grids, nothing to crop to, or a subject's only scan
            is truly thin along no axis.
        OSError: a scan cannot be read, or the subject file cannot be written.
    """
    present = present_modalities(item, modalities, allow_missing)
    recipe = make_recipe(item, present, steps) if recipe is None else recipe
    originals = {name: _read(item, name, steps) for name in present}
    mask = read_mask(item.mask) if item.mask is not None and steps.crop == "brain" else None
    finals, records = apply_steps(originals, steps, mask)
    scaled = {name: scale_intensity(scan) for name, scan in finals.items()}
    limits = {name: limits for name, (_, limits) in scaled.items()}
    thin = {name: find_thin_axes(volume, steps.thin_axes) for name, (volume, _) in scaled.items()}
    for name, found in thin.items():
        check_usable(found, originals[name].path, modalities=len(present))
    write_subject(
        path,
        volumes={name: volume for name, (volume, _) in scaled.items()},
        affine=next(iter(finals.values())).affine,
        intensity=limits,
        sources={name: scan.path.name for name, scan in finals.items()},
        history=make_history(
            recipe, originals=originals, finals=finals, limits=limits, records=records, thin=thin, notes=item.notes
        ),
        thin_axes={name: found.axes for name, found in thin.items()},
    )


def present_modalities(item: SubjectFiles, modalities: Sequence[str], allow_missing: bool) -> list[str]:
    """Return the modalities that the subject has a file for, in order.

    Raises:
        ValueError: some are missing and that is not allowed, or all are missing.
    """
    missing = [name for name in modalities if name not in item.files]
    if missing and (not allow_missing or len(missing) == len(modalities)):
        raise ValueError(
            f"subject '{item.subject}' has no file for {missing}, only for {sorted(item.files)}. "
            "Add the scan, leave the subject out, or allow subjects with missing modalities (--allow_missing)."
        )
    return [name for name in modalities if name in item.files]


def _read(item: SubjectFiles, modality: str, steps: PreparationSteps) -> Scan:
    """Read the scan of one modality."""
    return read_scan(item.files[modality], modality=modality, nan_background=steps.nan_background)


def scale_intensity(scan: Scan) -> tuple[np.ndarray, tuple[float, float]]:
    """Scale a scan to uint8 between the percentiles 0.5 and 99.5 of its non-zero voxels.

    With the percentiles low and high, v = round(255 clamp((x - low) / (high - low), 0, 1)). Voxels that are exactly 0
    are background and stay 0, so that the background of a skull-stripped scan is 0 for any low.

    Returns:
        The uint8 stack `(D, H, W)` and (low, high) in the scan's own units.

    Raises:
        ValueError: the two percentiles are equal.
    """
    try:
        low, high = percentile_range(scan.stack)
    except ValueError as error:
        raise ValueError(f"scan '{scan.path}': {error}") from error
    return scale_to_uint8(scan.stack, low, high), (low, high)
