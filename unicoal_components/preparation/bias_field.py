"""Bias field correction of an MR scan with N4."""

import itk
import numpy as np
from scipy import ndimage

from ..geometry.head_mask import foreground_mask
from ..geometry.itk_image import one_thread, to_itk
from ..geometry.orientation import spacing_of

SPLINE_ORDER = 3


def correct_bias_field(
    volume: np.ndarray,
    affine: np.ndarray,
    *,
    mask: np.ndarray | None = None,
    spacing: float = 4.0,
    iterations: tuple[int, ...] = (50, 50, 50, 50),
    control_spacing: float = 200.0,
) -> np.ndarray:
    """Divide a scan by its bias field, estimated by N4 (Tustison 2010, doi 10.1109/TMI.2010.2046908).

    The model is volume = bias x tissue. The logarithm of the bias is a cubic B-spline; each fitting level halves the
    distance of its control points. It is fitted to every n-th voxel, which is enough for such a smooth field, and
    evaluated at every voxel. Voxels outside the mask are divided too, zeros stay 0, and the mean inside the mask is
    kept.

    Args:
        volume: `(x, y, z)`.
        affine: `(4, 4)`, voxel to world mm.
        mask: `(x, y, z)`, non-zero in tissue; `None` uses `foreground_mask`. Only voxels above 0 count.
        spacing: largest distance in mm of the voxels that the field is fitted to; above 0.
        iterations: largest number of iterations per fitting level, from coarse to fine.
        control_spacing: approximate distance in mm of the control points at the coarsest level; above 0.

    Returns:
        float32 `(x, y, z)`.

    Raises:
        ValueError: the mask has another shape or covers no voxel above 0, the volume is constant, or a number is out
            of its range.
    """
    if not (spacing > 0 and control_spacing > 0 and iterations and min(iterations) > 0):
        raise ValueError(
            f"spacing is {spacing}, control_spacing {control_spacing}, iterations {iterations}: the first two must be "
            "above 0 mm, and iterations one positive number per level, such as (50, 50, 50, 50)."
        )
    volume = np.asarray(volume, dtype=np.float32)
    tissue = _tissue(volume, foreground_mask(volume) if mask is None else mask)
    subsampled = _subsampling(spacing_of(affine), volume.shape, spacing)
    steps = np.array([part.step for part in subsampled])
    meshes = np.maximum(1, np.rint(np.array(volume.shape) * spacing_of(affine) / control_spacing)).astype(int)
    with one_thread():
        field = _log_bias(volume[subsampled], tissue[subsampled], spacing_of(affine) * steps, meshes, iterations)
    corrected = volume / np.exp(_refine(field, volume.shape, subsampled))
    return corrected * np.float32(volume[tissue].mean(dtype=np.float64) / corrected[tissue].mean(dtype=np.float64))


def _tissue(volume: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Return the voxels of a mask that are above 0, so that their logarithm exists."""
    if mask.shape != volume.shape or not np.any(volume[mask != 0] > 0):
        raise ValueError(
            f"mask of shape {mask.shape} has no voxel above 0 in the volume of shape {volume.shape}: it must be on "
            "the same grid and cover tissue. Give such a mask, or none."
        )
    return (mask != 0) & (volume > 0)


def _subsampling(spacing: np.ndarray, shape: tuple[int, ...], wanted: float) -> tuple[slice, slice, slice]:
    """Return slices that take every n-th voxel, at most `wanted` mm apart, but keep 8 per axis if it has them."""
    steps = np.maximum(1, np.floor(wanted / spacing + 1e-3)).astype(int)
    x, y, z = (slice(step // 2, None, step) for step in np.minimum(steps, np.maximum(1, np.array(shape) // 8)).tolist())
    return x, y, z


def _log_bias(
    volume: np.ndarray, tissue: np.ndarray, spacing: np.ndarray, meshes: np.ndarray, iterations: tuple[int, ...]
) -> np.ndarray:
    """Return N4's log bias at the subsampled voxels; `meshes` are the spline spans per axis at the coarsest level."""
    affine = np.diag([*spacing, 1.0])
    image = to_itk(np.where(tissue, volume, 0), affine)
    mask = itk.image_from_array(np.ascontiguousarray(tissue.T, dtype=np.uint8))
    mask.CopyInformation(image)
    n4 = itk.N4BiasFieldCorrectionImageFilter[type(image), type(mask), type(image)].New(Input=image, MaskImage=mask)
    n4.SetSplineOrder(SPLINE_ORDER)
    n4.SetNumberOfControlPoints((meshes + SPLINE_ORDER).tolist())
    n4.SetNumberOfFittingLevels([len(iterations)] * 3)
    n4.SetMaximumNumberOfIterations(list(iterations))
    n4.Update()
    return itk.array_from_image(n4.ReconstructBiasField(n4.GetLogBiasFieldControlPointLattice())).T


def _refine(field: np.ndarray, shape: tuple[int, ...], subsampled: tuple[slice, slice, slice]) -> np.ndarray:
    """Interpolate a field from the subsampled voxels to all voxels, with a spline of the same order."""
    steps = np.array([part.step for part in subsampled], dtype=np.float64)
    starts = np.array([part.start for part in subsampled], dtype=np.float64)
    return ndimage.affine_transform(
        field, 1 / steps, -starts / steps, output_shape=shape, order=SPLINE_ORDER, mode="nearest"
    )
