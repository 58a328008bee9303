"""Make a thick-slice scan of a thin one, as a scanner with thicker slices would have measured it.

    python scripts/make_thick.py --input t1.nii.gz --output thick_t1.nii.gz --factor 4 [--profile gaussian]
        [--through_plane axial]

The first thick slice lies where the first thin one lies; intensities keep their unit.
"""

from pathlib import Path

from unicoal_components.command_line import run_command
from unicoal_components.data.geometry import from_stack, thin_affine, to_stack
from unicoal_components.data.read_volume import read_image
from unicoal_components.data.slice_profile import thick_volume
from unicoal_components.transforms.save_stack import write_nifti


def make_thick(
    *, input: str, output: str, factor: float, profile: str = "gaussian", through_plane: str = "axial"
) -> None:
    """Write the thick-slice scan.

    Args:
        input: thin scan, NIfTI.
        output: file to write, .nii.gz.
        factor: thick over thin slice spacing, a real number of at least 1.
        profile: "gaussian" (full width at half maximum = the thick spacing) or "drop".
        through_plane: "axial", "coronal" or "sagittal".
    """
    volume, affine = read_image(input)
    stack = to_stack(volume, affine, through_plane)
    thick = thick_volume(stack.slices, factor, profile)
    voxels, thick_affine = from_stack(
        thick, thin_affine(stack.affine, 1 / factor), plane=stack.plane, orientation=stack.orientation
    )
    planes = (voxels[..., z] for z in range(voxels.shape[2]))
    write_nifti(Path(output), voxels.shape, planes, thick_affine, f"thick slices, factor {factor:g}, {profile}")


if __name__ == "__main__":
    run_command(make_thick)
