"""The optional steps of preparation, done to the scans of one subject."""

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
    """Correct shading, bring all scans onto one grid, crop; without options only see that they share a grid.

    Args:
        scans: per modality; the first is the reference unless the steps name another.
        steps: what to do.
        mask: non-zero in the brain, in the world of the reference; needed for `crop="brain"`.

    Returns:
        The scans, which share one grid, and per modality what was done to it, in order.

    Raises:
        ValueError: the reference or the mask is missing, different grids, no foreground to crop to.
    """
    reference = steps.reference(list(scans))
    if reference not in scans:
        raise ValueError(
            f"there is no scan of {reference}, which the others are to be registered to, only of {sorted(scans)}. Add "
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
    """Add to every modality what was done to all."""
    for done in records.values():
        done.append(dict(record))


def correct_shading(scan: Scan) -> Scan:
    """Correct the bias field; voxels that were exactly 0 stay so."""
    from .bias_field import correct_bias_field  # here, as ITK takes seconds to import and is not needed otherwise

    corrected = correct_bias_field(scan.volume, scan.affine)
    return scan.with_volume(np.where(scan.volume == 0, 0, corrected))


def crop_scans(
    scans: Mapping[str, Scan], reference: str, steps: PreparationSteps, mask: Scan | None
) -> tuple[dict[str, Scan], dict[str, Any]]:
    """Cut scans of one grid to the box around the reference's foreground, or to the brain and clear what is outside.

    Raises:
        ValueError: no mask where it is needed, or nothing in the mask or the foreground.
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
    """Return where the head or brain is, as booleans `(x, y, z)`."""
    from ..geometry.head_mask import foreground_mask

    try:
        region = foreground_mask(fixed.volume)
    except ValueError as error:
        raise ValueError(f"scan '{fixed.path}': {error}") from error
    if not region.any():
        raise ValueError(
            f"scan '{fixed.path}' has no foreground to crop to: nothing stands out. Look at it, or leave out --crop."
        )
    return region


def _brain(fixed: Scan, mask: Scan | None) -> np.ndarray:
    """Return the mask on the reference's grid, by its nearest voxels, as booleans `(x, y, z)`."""
    if mask is None:
        raise ValueError(
            "crop to the brain needs a mask of it; give --mask with a pattern, or a column mask in the table. Stripped "
            "scans need no mask: --crop foreground."
        )
    grid = Grid(fixed.volume.shape, fixed.affine)
    filled = (mask.volume != 0).astype(np.float32)
    region = resample_to_grid(filled, mask.affine, grid, world_map=np.eye(4), interpolation="nearest") > 0.5
    if not region.any():
        raise ValueError(
            f"mask '{mask.path}' has nothing in the place of '{fixed.path}'; it must lie in the space of that scan. "
            "Correct --mask."
        )
    return region
