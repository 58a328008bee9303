"""Figure of a thick input, its cubic interpolation, a synthesized volume, the truth with error, and the expected error.

    python scripts/draw_panel.py --input thick.nii.gz --prediction out/thick_t2.nii.gz [--truth t2.nii.gz]
        [--error_map out/thick_t2_error.nii.gz] --factor 4 --output panel.png

Input and truth are scaled by their own 0.5 and 99.5 percentiles; a prediction in [0, 1] (another modality) is not
scaled, and one in the input's units is scaled like the input. A truth must start at the first thick slice.
"""

if __name__ == "__main__":
    from unicoal_components import interruption

    interruption.start()

import numpy as np

from unicoal_components.command_line import run_command
from unicoal_components.geometry.orientation import spacing_of, thin_affine, to_stack
from unicoal_components.report.panel import save_panel
from unicoal_components.scans.intensity import percentile_range, scale_to_unit
from unicoal_components.scans.read_volume import read_image
from unicoal_components.slices.interpolation import cubic_interpolation, nearest_slices


def draw_panel(
    *,
    input: str,
    prediction: str,
    output: str,
    factor: float,
    truth: str | None = None,
    error_map: str | None = None,
    through_plane: str = "axial",
) -> None:
    """Write the figure.

    Args:
        input: thick scan, NIfTI.
        prediction: output of `inference.json` for the input.
        output: .png file to write.
        factor: thick over thin slice spacing.
        truth: thin scan on the grid of the prediction (a few slices more or fewer at the end are ignored).
        error_map: expected error that `inference.json` wrote next to the prediction.
        through_plane: plane of the slices, "axial", "coronal" or "sagittal".
    """
    thick, affine, low_high = _read(input, through_plane)
    predicted, predicted_affine, (low, high) = _read(prediction, through_plane, low_high)
    indices = np.arange(len(predicted))
    images = {
        "input": nearest_slices(thick, factor, indices),
        "cubic": cubic_interpolation(thick, factor, indices),
        "prediction": predicted,
    }
    if truth is not None:
        images["truth"], truth_affine, _ = _read(truth, through_plane)
        if not np.allclose(truth_affine, predicted_affine, atol=1e-3):
            raise ValueError(f"'{truth}' is not on the grid of '{prediction}'; resample it, or omit truth.")
    if not np.allclose(thin_affine(affine, factor), predicted_affine, atol=1e-3):
        raise ValueError(f"'{prediction}' is not the thin grid of '{input}' at factor {factor:g}; check the factor.")
    depth = min(len(volume) for volume in images.values())
    expected = None
    if error_map is not None:
        scan = read_image(error_map)
        expected = 2 * to_stack(scan.voxels, scan.affine, through_plane).slices[:depth] / (high - low)
    save_panel(
        output,
        images={name: volume[:depth] for name, volume in images.items()},
        title=f"{input}, factor {factor:g}",
        spacing=[float(mm) for mm in spacing_of(predicted_affine)[::-1]],
        prediction="prediction",
        expected=expected,
    )


def _read(
    path: str, through_plane: str, low_high: tuple[float, float] | None = None
) -> tuple[np.ndarray, np.ndarray, tuple[float, float]]:
    """Read a scan as a stack in [-1, 1], with its affine and the intensities mapped to -1 and 1.

    For a prediction, `low_high` is the scale of the input.
    """
    scan = read_image(path)
    volume = scan.voxels
    stack = to_stack(volume, scan.affine, through_plane)
    if low_high is None:
        low_high = percentile_range(volume)
    elif volume.min() >= 0 and volume.max() <= 1:
        low_high = (0.0, 1.0)
    low, high = low_high
    return scale_to_unit(stack.slices, low, high), stack.affine, (low, high)


if __name__ == "__main__":
    run_command(draw_panel)
