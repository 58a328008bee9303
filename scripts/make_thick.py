"""Simulate a thick-slice scan from a thin one, as a scanner with thicker slices would measure it.

    python scripts/make_thick.py --input t1.nii.gz --output thick_t1.nii.gz --factor 4 [--profile gaussian]
        [--through_plane axial]
    python scripts/make_thick.py --input t1.nii.gz --output thick_t1.nii.gz --slice_thickness 4 --slice_gap 1
        [--phase random --seed 1]

Every thick slice has the position of its thin slices; intensities keep their units.
"""

if __name__ == "__main__":
    from unicoal_components import interruption

    interruption.start()

from pathlib import Path

import numpy as np

from unicoal_components.command_line import run_command
from unicoal_components.geometry.orientation import from_stack, spacing_of, thick_affine, to_stack
from unicoal_components.scans.read_volume import read_image
from unicoal_components.scans.write_nifti import nifti_storage, stored, write_nifti
from unicoal_components.slices.slice_group import thick_count
from unicoal_components.slices.slice_profile import thick_volume
from unicoal_components.slices.slice_thickness import SliceThickness


def make_thick(
    *,
    input: str,
    output: str,
    factor: float | None = None,
    slice_thickness: float | None = None,
    slice_gap: float = 0.0,
    profile: str = "gaussian",
    phase: float | str = 0.0,
    seed: int = 0,
    through_plane: str = "axial",
) -> None:
    """Write the thick-slice scan; slice spacing = slice thickness + slice gap = factor times the thin spacing.

    Args:
        input: thin scan, NIfTI.
        output: file to write, .nii.gz.
        factor: thick over thin slice spacing, a real number of at least 1; by default computed from slice_thickness.
        slice_thickness: in mm; together with factor, do not give slice_gap.
        slice_gap: in mm, negative if slices overlap.
        profile: "gaussian" (full width at half maximum = slice thickness), "box", or "drop" (no thickness).
        phase: distance of the first thick slice from the first thin one in mm, less than the slice spacing; or
            "random".
        seed: seed of the random phase.
        through_plane: plane of the slices, "axial", "coronal" or "sagittal".
    """
    scan = read_image(input)
    stack = to_stack(scan.voxels, scan.affine, through_plane)
    spacing = float(spacing_of(stack.affine)[2])
    if factor is None:
        factor = _factor(slice_thickness, slice_gap, spacing)
        slice_gap = 0.0  # included in the factor
        slice_thickness = None if profile == "drop" else slice_thickness
    shape = SliceThickness(profile=profile, slice_gap=slice_gap, slice_thickness=slice_thickness)
    if shape.slice_thickness is None:
        thickness = shape.in_thin_slices(factor, spacing=spacing, path=input)
    else:  # also at a factor of 1, as slices may overlap
        thickness = shape.slice_thickness / spacing
    first = _first(phase, factor, seed, spacing, len(stack.slices))
    _check_count(len(stack.slices), factor, first, stack.plane)
    thick = thick_volume(stack.slices, factor, profile, thickness=thickness, phase=first)
    voxels, affine = from_stack(
        thick, thick_affine(stack.affine, factor, first), plane=stack.plane, orientation=stack.orientation
    )
    storage = nifti_storage(scan.storage)
    planes = (stored(voxels[..., z], storage) for z in range(voxels.shape[2]))
    description = f"thick slices, factor {factor:g}, {profile}"
    if thickness != factor and profile != "drop":
        description += f", thickness {thickness * spacing:g} mm"
    write_nifti(Path(output), voxels.shape, planes, affine, description, storage=storage)


def _factor(slice_thickness: float | None, slice_gap: float, spacing: float) -> float:
    """Return the factor from slice thickness, gap and thin spacing in mm."""
    if slice_thickness is None:
        raise ValueError("factor and slice_thickness are both missing; give one of them, such as --factor 4.")
    factor = round((slice_thickness + slice_gap) / spacing, 6)  # removes rounding errors of float32 affines
    if factor < 1:
        raise ValueError(
            f"slice_thickness {slice_thickness:g} + slice_gap {slice_gap:g} mm is less than the {spacing:g} mm between "
            "the slices of the input; thick slices must be at least as far apart."
        )
    return factor


def _check_count(depth: int, factor: float, first: float, plane: str) -> None:
    """Raise an error if a factor leaves a single thick slice, which cannot be interpolated."""
    if thick_count(depth - first, factor) < 2:
        raise ValueError(
            f"factor is {factor:g}, but the input has {depth} {plane} slices, which make a single thick one; use a "
            f"factor of at most {depth - 1 - first:g}, or another --through_plane."
        )


def _first(phase: float | str, factor: float, seed: int, spacing: float, depth: int) -> float:
    """Return the position of the first thick slice, in units of thin slices."""
    if phase == "random":
        return float(np.random.default_rng(seed).uniform(0, min(factor, depth - 1)))
    if isinstance(phase, str):
        raise ValueError(f"phase is {phase!r}; it must be a number of mm, or random.")
    if not 0 <= phase < factor * spacing:
        raise ValueError(
            f"phase is {phase:g} mm; it must be in [0, {factor * spacing:g}), the slice spacing, so that no slice is "
            "missing."
        )
    return phase / spacing


if __name__ == "__main__":
    run_command(make_thick)
