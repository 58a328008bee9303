"""Where a NIfTI file lies: it may give two answers, the sform and the qform."""

import nibabel as nib
import numpy as np

CONFLICT = 0.1
"""Distance in mm between the two answers, at the corner of the volume where it is largest, from which they differ."""


def nifti_affine(image: nib.Nifti1Image) -> tuple[np.ndarray, list[str]]:
    """Choose the affine of a NIfTI image, and say what is doubtful about it.

    The sform counts where it has a code, as for nibabel and most tools; the qform where there is no sform or the sform
    is unusable (not finite, or singular) and the qform is not. Where both have a code and differ, the choice is told.

    Args:
        image: NIfTI-1 or -2, with at least three axes.

    Returns:
        `(4, 4)`, float64, voxel (x, y, z, 1) to RAS+ world mm, which may be unusable itself; and warnings, a clause
        each whose subject is the scan.
    """
    if len(image.shape) < 3:
        return np.eye(4), []  # no volume; who reads it says so
    stated = stated_spacing(image)
    sform, scode = image.header.get_sform(coded=True)
    qform, qcode = _qform(image)
    if not (scode or qcode):
        return image.header.get_best_affine() * (*np.sign(stated), 1), [
            "it does not state its orientation (sform and qform code 0); left and right are a guess"
        ]
    qform = qform * (*np.sign(stated), 1)  # nibabel makes 1 mm of a spacing of 0
    if not scode:
        return qform, []
    if not qcode:
        return sform, []
    if not usable(sform) and usable(qform):
        return qform, ["its sform is singular; the qform was taken instead"]
    apart = _distance(sform, qform, image.shape[:3])
    if not apart > CONFLICT:
        return sform, []
    return sform, [
        f"its sform (code {scode}) and qform (code {qcode}) differ by up to {apart:.1f} mm; the sform was taken. If "
        "that puts the scan in the wrong place, correct the header, such as with nibabel's set_sform and set_qform"
    ]


def stated_spacing(image: nib.Nifti1Image) -> np.ndarray:
    """Return the voxel size in mm (3,) as the file has it; nibabel's own header has 1 in place of 0.

    An image that lies in no file has what its header has.
    """
    path = image.get_filename()
    if path is None:
        return np.abs(image.header["pixdim"][1:4])
    with nib.openers.ImageOpener(path) as file:
        return np.abs(type(image.header).from_fileobj(file, check=False)["pixdim"][1:4])


def _qform(image: nib.Nifti1Image) -> tuple[np.ndarray, int]:
    """Return the qform and its code; code 0 where its quaternion is none."""
    try:
        qform, code = image.header.get_qform(coded=True)
    except (ValueError, nib.spatialimages.HeaderDataError):
        return np.eye(4), 0
    return (np.eye(4), 0) if qform is None else (qform, code)


def usable(affine: np.ndarray) -> bool:
    """Tell whether an affine gives every voxel a place of its own: finite, no axis of length 0, axes not in a plane."""
    if affine.shape != (4, 4) or not np.isfinite(affine).all():
        return False
    volume = np.linalg.norm(affine[:3, :3], axis=0).prod()
    return bool(abs(np.linalg.det(affine[:3, :3])) > 1e-6 * volume > 0)


def _distance(first: np.ndarray, second: np.ndarray, shape: tuple[int, ...]) -> float:
    """Return the largest distance in mm between a voxel's places by two affines; the farthest voxels are corners."""
    corners = np.stack(np.meshgrid(*([0, size - 1] for size in shape), indexing="ij"), axis=-1).reshape(-1, 3)
    difference = np.asarray(first, dtype=np.float64) - np.asarray(second, dtype=np.float64)
    return float(np.linalg.norm(corners @ difference[:3, :3].T + difference[:3, 3], axis=1).max())
