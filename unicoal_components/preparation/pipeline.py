"""Processing of one subject's scans: bias field correction, common grid and crop."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..geometry.resample import Grid, resample_to_grid
from ..scans.scan import Scan
from .common_grid import Records, check_common_grid, to_common_grid
from .options import PreparationSteps


def apply_steps(
    scans: Mapping[str, Scan], steps: PreparationSteps, mask: Scan | None = None
) -> tuple[dict[str, Scan], Records]:
    """Correct the bias field, resample to one grid and crop; without options, only check that scans share a grid.

    Args:
        scans: per modality; the first is the reference unless the steps name another.
        steps: the options.
        mask: non-zero in the brain, in the world space of the reference; needed for `crop="brain"`.

    Returns:
        The scans, which share one grid, and per modality the records of what was done to it, in order.

    Raises:
        ValueError: the reference or the mask is missing, the grids differ, or there is no foreground to crop to.
    """
    reference = steps.reference(list(scans))
    if reference not in scans:
        raise ValueError(
            f"there is no scan of {reference}, which the others should be registered to, only of {sorted(scans)}. Add "
            "it, leave the subject out, or choose another --register_to."
        )
    results = dict(scans)
    records: Records = {
        name: [{"step": "reorient", "from": scan.orientation, "to": "LPS"}] for name, scan in scans.items()
    }
    if steps.bias_correction:
        results = {name: correct_shading(scan) for name, scan in results.items()}
        _add(records, {"step": "bias_correction", "by": "N4"})
    if steps.resamples:
        results, done = to_common_grid(results, steps)
        records = {name: [*records[name], *done[name]] for name in records}
    else:
        check_common_grid(list(results.values()))
    if steps.crop != "none":
        results, record = crop_scans(results, reference, steps, mask)
        _add(records, record)
    return results, records


def _add(records: Records, record: Mapping[str, Any]) -> None:
    """Append a record to the records of every modality."""
    for done in records.values():
        done.append(dict(record))


def correct_shading(scan: Scan) -> Scan:
    """Correct the bias field of a scan; voxels that are exactly 0 stay 0."""
    from .bias_field import correct_bias_field  # imported here, because ITK takes seconds to import

    corrected = correct_bias_field(scan.volume, scan.affine)
    return scan.with_volume(np.where(scan.volume == 0, 0, corrected))


def crop_scans(
    scans: Mapping[str, Scan], reference: str, steps: PreparationSteps, mask: Scan | None
) -> tuple[dict[str, Scan], dict[str, Any]]:
    """Crop scans of one grid to the reference's foreground, or to the brain mask with 0 outside of it.

    Args:
        scans: per modality, on one grid.
        reference: modality whose foreground counts.
        steps: options with `crop` ("foreground" or "brain") and `margin` in mm.
        mask: brain mask in the world space of the reference; needed for "brain".

    Returns:
        The cropped scans, and the record of this step.

    Raises:
        ValueError: the mask is missing, or the mask or the foreground is empty.
    """
    from ..geometry.crop import crop, crop_box

    fixed = scans[reference]
    if steps.crop == "brain":
        region = _brain(fixed, mask)
        results = {name: scan.with_volume(np.where(region, scan.volume, 0)) for name, scan in scans.items()}
    else:
        region, results = _foreground(fixed), dict(scans)
    box = crop_box(region, fixed.affine, steps.margin)
    record = {
        "step": "crop",
        "to": steps.crop,
        "of": reference,
        "margin": float(steps.margin),
        "box": [[part.start, part.stop] for part in box],
    }
    return {name: scan.with_volume(*crop(scan.volume, scan.affine, box)) for name, scan in results.items()}, record


def _foreground(fixed: Scan) -> np.ndarray:
    """Return the foreground, head or stripped brain, as booleans `(x, y, z)`."""
    from ..geometry.head_mask import foreground_mask

    try:
        region = foreground_mask(fixed.volume)
    except ValueError as error:
        raise ValueError(f"scan '{fixed.path}': {error}") from error
    if not region.any():
        raise ValueError(f"scan '{fixed.path}' has no foreground to crop to. Look at the scan, or leave out --crop.")
    return region


def _brain(fixed: Scan, mask: Scan | None) -> np.ndarray:
    """Return the brain mask, resampled to the reference's grid by nearest neighbor, as booleans `(x, y, z)`."""
    if mask is None:
        raise ValueError(
            "--crop brain needs a brain mask; give a pattern with --mask, or a column mask in the table. For "
            "skull-stripped scans use --crop foreground, which needs no mask."
        )
    grid = Grid(fixed.volume.shape, fixed.affine)
    filled = (mask.volume != 0).astype(np.float32)
    region = resample_to_grid(filled, mask.affine, grid, world_map=np.eye(4), interpolation="nearest") > 0.5
    if not region.any():
        raise ValueError(
            f"mask '{mask.path}' is empty within the field of view of '{fixed.path}'; it must be in the world space of "
            "that scan. Correct --mask."
        )
    return region
