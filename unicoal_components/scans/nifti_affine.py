"""Affine of a NIfTI file, chosen from its sform and qform."""

import nibabel as nib
import numpy as np

LENGTHS = {"meter": 1000.0, "micron": 0.001}
"""Millimeters in a unit of NIfTI other than mm."""

PLAUSIBLE = (0.01, 50.0)
"""Voxel spacings in mm that a scan may have."""

CONFLICT = 0.1
"""Largest distance in mm between sform and qform, over the corners of the volume, above which they differ."""


def nifti_affine(image: nib.Nifti1Pair) -> tuple[np.ndarray, list[str]]:
    """Return the affine of a NIfTI image, with warnings if it is ambiguous.

    The sform is used if its code is set, as in nibabel and most tools. The qform is used if the sform has no code, or
    is unusable (not finite, or singular) while the qform is usable. If both are set and differ, there is a warning.
    Lengths in meters or microns are converted to mm unless the voxels would be too small or large for a scan.

    Args:
        image: NIfTI-1 or -2, with at least three axes.

    Returns:
        `(4, 4)`, float64, voxel (x, y, z, 1) to RAS+ world mm, which may itself be unusable; and warnings, each a
        clause about the scan.
    """
    if len(image.shape) < 3:
        return np.eye(4), []  # not a volume; the reader raises an error
    unit = image.header.get_xyzt_units()[0]
    affine, warnings = _chosen_affine(image)
    if unit not in LENGTHS:
        return affine, warnings
    converted = np.diag([LENGTHS[unit]] * 3 + [1.0]) @ affine
    spacing = np.linalg.norm(converted[:3, :3], axis=0)
    if not (spacing > PLAUSIBLE[0]).all() or not (spacing < PLAUSIBLE[1]).all():
        return affine, [*warnings, f"its unit of length, {unit} (xyzt_units), is not plausible; mm was used instead"]
    return converted, [*warnings, f"its lengths are in {unit}s (xyzt_units) and were converted to mm"]


def _chosen_affine(image: nib.Nifti1Pair) -> tuple[np.ndarray, list[str]]:
    """Return the sform or the qform, in the file's unit of length."""
    stated = stated_spacing(image)
    sform, scode = image.header.get_sform(coded=True)
    qform, qcode = _qform(image)
    if not (scode or qcode):
        return image.header.get_best_affine() * (*np.sign(stated), 1), [
            "it does not state its orientation (sform and qform code 0); left and right are guessed"
        ]
    qform = qform * (*np.sign(stated), 1)  # nibabel makes 1 mm of a spacing of 0
    if not scode:
        return qform, []
    if not qcode:
        return sform, []
    if not usable(sform) and usable(qform):
        return qform, ["its sform is singular; the qform was used instead"]
    distance = _distance(sform, qform, image.shape[:3])
    if not distance > CONFLICT:
        return sform, []
    return sform, [
        f"its sform (code {scode}) and qform (code {qcode}) differ by up to {distance:.1f} mm; the sform was used. If "
        "that places the scan wrongly, correct the header, for example with nibabel's set_sform and set_qform"
    ]


def stated_spacing(image: nib.Nifti1Pair) -> np.ndarray:
    """Return the voxel size in mm `(3,)` as stored in the file; nibabel replaces 0 by 1 in its header.

    For an image without a file it is the voxel size in its header.
    """
    path = image.get_filename()
    if path is None:
        return np.abs(image.header["pixdim"][1:4])
    with nib.openers.ImageOpener(path) as file:
        return np.abs(type(image.header).from_fileobj(file, check=False)["pixdim"][1:4])


def _qform(image: nib.Nifti1Pair) -> tuple[np.ndarray, int]:
    """Return the qform and its code; code 0 if its quaternion is invalid."""
    try:
        qform, code = image.header.get_qform(coded=True)
    except (ValueError, nib.spatialimages.HeaderDataError):
        return np.eye(4), 0
    return (np.eye(4), 0) if qform is None else (qform, code)


def usable(affine: np.ndarray) -> bool:
    """Return whether an affine is finite and invertible: no axis of length 0, axes not in one plane."""
    if affine.shape != (4, 4) or not np.isfinite(affine).all():
        return False
    volume = np.linalg.norm(affine[:3, :3], axis=0).prod()
    return bool(abs(np.linalg.det(affine[:3, :3])) > 1e-6 * volume > 0)


def _distance(first: np.ndarray, second: np.ndarray, shape: tuple[int, ...]) -> float:
    """Return the largest distance in mm between the positions of a voxel by two affines, which occurs at a corner."""
    corners = np.stack(np.meshgrid(*([0, size - 1] for size in shape), indexing="ij"), axis=-1).reshape(-1, 3)
    difference = np.asarray(first, dtype=np.float64) - np.asarray(second, dtype=np.float64)
    return float(np.linalg.norm(corners @ difference[:3, :3].T + difference[:3, 3], axis=1).max())
