"""Figure of a thick input, its cubic interpolation, a synthesized volume, the truth with error, and the expected error.

    python scripts/draw_panel.py --input thick.nii.gz --prediction out/thick_t2.nii.gz [--truth t2.nii.gz]
        [--error_map out/thick_t2_error.nii.gz] --factor 4 --output panel.png

The prediction is scaled as its record, the JSON beside it, tells. Input, prediction and truth of one modality are in
the same units and get the same scale; a truth of another modality is scaled by its own 0.5 and 99.5 percentiles. It
must start at the first thick slice.
"""

if __name__ == "__main__":
    from unicoal_components import interruption

    interruption.start()

import json
from pathlib import Path

import numpy as np

from unicoal_components.command_line import run_command
from unicoal_components.geometry.orientation import spacing_of, thin_affine, to_stack
from unicoal_components.report.panel import save_panel
from unicoal_components.scans.file_names import stem_of
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
        prediction: output of `inference.json` for the input, with its record beside it.
        output: .png file to write.
        factor: thick over thin slice spacing.
        truth: thin scan on the grid of the prediction (a few slices more or fewer at the end are ignored), in the
            units of the input if it is of the same modality.
        error_map: expected error that `inference.json` wrote next to the prediction.
        through_plane: plane of the slices, "axial", "coronal" or "sagittal".

    Raises:
        OSError: a file is missing or cannot be read.
        ValueError: the grids do not belong together.
    """
    thick, affine, low_high = _read(input, through_plane)
    record = Path(prediction).with_name(f"{stem_of(prediction)}.json")
    other_scale = json.loads(record.read_text(encoding="utf-8"))["intensity"].get("range")  # of another modality
    low, high = other_scale or low_high
    predicted, predicted_affine, _ = _read(prediction, through_plane, (low, high))
    indices = np.arange(len(predicted))
    images = {
        "input": nearest_slices(thick, factor, indices),
        "cubic": cubic_interpolation(thick, factor, indices),
        "prediction": predicted,
    }
    if truth is not None:
        images["truth"], truth_affine, _ = _read(truth, through_plane, None if other_scale else low_high)
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

    `low_high` are these intensities; `None` for the scan's percentiles.
    """
    scan = read_image(path)
    stack = to_stack(scan.voxels, scan.affine, through_plane)
    low, high = low_high or percentile_range(scan.voxels)
    return scale_to_unit(stack.slices, low, high), stack.affine, (low, high)


if __name__ == "__main__":
    run_command(draw_panel)
