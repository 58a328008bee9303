"""Common grid of a subject's modalities: check for one, or registration and resampling to one."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..geometry.resample import reference_grid, resample_to_grid
from ..scans.scan import Scan
from .options import PreparationSteps

GRID_TOLERANCE = 1e-3
LARGE_SHIFT = 30.0
LARGE_ROTATION = 30.0
LITTLE_COVER = 0.8

Records = dict[str, list[dict[str, Any]]]
"""Per modality the records of its processing steps, in order, as JSON values."""


def check_common_grid(scans: Sequence[Scan]) -> None:
    """Check that all scans share the grid of the first, after reorientation.

    Shapes must be equal, and affines must agree within 0.001 of the smallest spacing in every entry.

    Raises:
        ValueError: two scans are on different grids; the message names both files and grids.
    """
    first = scans[0]
    for scan in scans[1:]:
        same_shape = scan.stack.shape == first.stack.shape
        tolerance = GRID_TOLERANCE * first.spacing.min()
        if same_shape and np.abs(scan.affine - first.affine).max() <= tolerance:
            continue
        raise ValueError(
            f"scans '{first.path}' and '{scan.path}' lie on different grids: {_describe(first)} and "
            f"{_describe(scan)}. Register them (--register_to with a modality), or resample them without registration "
            "(--spacing)."
        )


def _describe(scan: Scan) -> str:
    """Return shape, spacing and origin for an error message."""
    depth, height, width = scan.stack.shape
    spacing = " x ".join(f"{value:.4g}" for value in scan.spacing)
    origin = ", ".join(f"{value:.2f}" for value in scan.affine[:3, 3])
    return f"{width} x {height} x {depth} voxels of {spacing} mm from ({origin})"


def to_common_grid(scans: Mapping[str, Scan], steps: PreparationSteps) -> tuple[dict[str, Scan], Records]:
    """Resample all scans to the reference's grid, or to a grid of another voxel spacing with the same field of view.

    Without registration the affine of each header is trusted, which is right if the subject did not move between the
    scans of a session. Voxels outside of a scan's field of view are 0, and a background of zeros stays 0.

    Args:
        scans: per modality; the reference must be among them.
        steps: options that name the reference and the spacing.

    Returns:
        The scans, in the same order, and the records of what was done to each.
    """
    reference = steps.reference(list(scans))
    fixed = scans[reference]
    grid = reference_grid(fixed.volume.shape, fixed.affine, spacing=steps.spacing)
    results: dict[str, Scan] = {}
    records: Records = {}
    for name, scan in scans.items():
        world_map, records[name] = np.eye(4), []
        if name != reference and steps.register_to is not None:
            world_map, record = _register(fixed, scan, reference, steps.seed)
            records[name].append(record)
        elif name != reference:
            records[name].append({"step": "place", "by": f"headers; taken to lie still relative to {reference}"})
        if name == reference and steps.spacing is None:
            results[name] = scan
            continue
        volume = resample_to_grid(scan.volume, scan.affine, grid, world_map=world_map)
        result = scan.with_volume(volume, grid.affine)
        results[name] = _with_warnings(result, records[name], fixed, scan, world_map)
        voxels = [round(float(value), 4) for value in np.linalg.norm(grid.affine[:3, :3], axis=0)]
        records[name].append({"step": "resample", "to": f"grid of {reference}", "spacing": voxels, "by": "bspline"})
    return results, records


def _register(fixed: Scan, moving: Scan, reference: str, seed: int) -> tuple[np.ndarray, dict[str, Any]]:
    """Return the `(4, 4)` map from world mm of `fixed` to world mm of `moving`, and its record."""
    from .registration import register_rigid  # imported here, because ITK takes seconds to import

    try:
        found = register_rigid(
            fixed=fixed.volume, fixed_affine=fixed.affine, moving=moving.volume, moving_affine=moving.affine, seed=seed
        )
    except ValueError as error:
        raise ValueError(f"scan '{moving.path}' cannot be registered to '{fixed.path}': {error}") from error
    matrix = np.asarray(found.matrix, dtype=np.float64)
    center = fixed.affine @ [*((np.array(fixed.volume.shape) - 1) / 2), 1.0]
    cosine = np.clip((np.trace(matrix[:3, :3]) - 1) / 2, -1, 1)  # of the rotation angle
    return matrix, {
        "step": "register",
        "to": reference,
        "matrix": matrix.tolist(),
        "metric": float(found.metric),
        "overlap": round(float(found.overlap), 4),
        "translation_mm": round(float(np.linalg.norm((matrix @ center - center)[:3])), 3),
        "rotation_deg": round(float(np.degrees(np.arccos(cosine))), 3),
        "seed": seed,
    }


def _with_warnings(
    result: Scan, records: Sequence[Mapping[str, Any]], fixed: Scan, moving: Scan, world_map: np.ndarray
) -> Scan:
    """Add warnings about a large motion and about a field of view that misses much of the reference's foreground."""
    warnings = []
    for record in records:
        if record["step"] == "register" and (
            record["translation_mm"] > LARGE_SHIFT or record["rotation_deg"] > LARGE_ROTATION
        ):
            warnings.append(
                f"registration moves it by {record['translation_mm']:.1f} mm and turns it by "
                f"{record['rotation_deg']:.1f} degrees; look at the panel"
            )
    cover = _cover(fixed, moving, world_map)
    if cover < LITTLE_COVER:
        warnings.append(f"covers {100 * cover:.0f} % of the reference's foreground only; the rest is 0")
    return replace(result, warnings=(*result.warnings, *warnings))


def _cover(fixed: Scan, moving: Scan, world_map: np.ndarray) -> float:
    """Return the fraction of the reference's bright voxels inside the other scan's field of view, in [0, 1]."""
    bright = np.argwhere(fixed.volume > fixed.stack.mean())[::97]  # a sample is enough for a warning
    to_moving = np.linalg.inv(moving.affine) @ world_map @ fixed.affine
    positions = bright @ to_moving[:3, :3].T + to_moving[:3, 3]
    inside = ((positions > -0.5) & (positions < np.array(moving.volume.shape) - 0.5)).all(axis=1)
    return float(inside.mean()) if len(inside) else 1.0
