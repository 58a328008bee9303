"""Strict protocol: one intensity scale from the truth, foreground and evaluated slices only."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.ndimage import find_objects

from . import gradient_similarity, hfen, ssim_map
from .foreground import foreground as foreground_of
from .measure import CaseVolumes, Column
from .volume_pair import Volume, checked_mask, volume_pair

REACH = max(ssim_map.RADIUS, hfen.RADIUS, gradient_similarity.RADIUS)
"""Voxels around the mask on which the numbers depend."""


def strict_protocol(
    *,
    prediction: Volume,
    target: Volume,
    foreground: Volume | None = None,
    evaluated_slices: Sequence[int] | np.ndarray | None = None,
) -> dict[str, float]:
    """Measure a prediction in the foreground, on the intensity scale of the truth.

    Both volumes are mapped by x -> (x - min t) / (max t - min t), minimum and maximum of the whole target t, so the
    data range is 1. The prediction p is neither clipped nor rescaled: a wrong brightness or contrast is an
    error. The mask is the foreground in the evaluated slices; with sums and means over it::

        PSNR = -10 log10(mean (p - t)^2)          in dB; infinite where equal
        MAE  = mean |p - t|
        NMSE = sum (p - t)^2 / sum t^2            (Zbontar et al., fastMRI, 2018)
        SSIM = mean of the 3D local map           (Wang et al. 2004; `ssim_map.py`)
        HFEN = ||LoG(p) - LoG(t)|| / ||LoG(t)||   (Ravishankar & Bresler 2011; `hfen.py`)
        GMS  = mean of the 3D local map           (Xue et al. 2014; `gradient_similarity.py`)

    PSNR, MAE and NMSE depend on the voxels in the mask alone; SSIM, HFEN and GMS also on voxels up to 5, 7 and 1
    around it, along all three axes, so also on slices that are not evaluated. Borders are mirrored, and volumes of few
    slices are allowed; a single slice is measured in 2D.

    Args:
        prediction: `(D, H, W)`.
        target: the truth, same shape and scale.
        foreground: bool `(D, H, W)`, the evaluated voxels; `None` finds them in the target (`foreground.py`).
        evaluated_slices: indices into D, 0 to D - 1; `None` for all.

    Returns:
        `psnr`, `ssim`, `nmse`, `mae`, `hfen`, `gms`. NMSE is NaN if the target is at its minimum in the whole
        mask, HFEN if it has no detail there.

    Raises:
        ValueError: shapes differ, a value is not finite, the target is constant, the foreground is not bool or of
            another shape, an index is outside, or no voxel is left.

    Example:
        >>> target = np.zeros((2, 16, 16)); target[:, 4:12, 4:12] = 1.0
        >>> quality = strict_protocol(prediction=target - 0.1, target=target)
        >>> round(quality["psnr"], 3), round(quality["mae"], 3), round(quality["nmse"], 3)
        (20.0, 0.1, 0.01)
    """
    p, t = volume_pair(prediction, target)
    low, high = float(t.min()), float(t.max())
    if low == high:
        raise ValueError(
            f"target is constant ({low:g}), so it has no intensity range to measure in. Check that the right file "
            "is given and that no mask or crop removed the head."
        )
    mask = _mask(t, foreground, evaluated_slices)
    box = _box_with_reach(mask)
    p, t, mask = (p[box] - low) / (high - low), (t[box] - low) / (high - low), mask[box]
    return _voxelwise(p[mask], t[mask]) | _structural(p, t, mask)


def _mask(
    target: np.ndarray, foreground: Volume | None, evaluated_slices: Sequence[int] | np.ndarray | None
) -> np.ndarray:
    """Return the foreground voxels in evaluated slices."""
    if foreground is None:
        inside = foreground_of(target=target)
    else:
        inside = checked_mask(foreground, shape=target.shape, name="foreground")
    if evaluated_slices is None:
        return inside
    chosen = _checked_slices(evaluated_slices, depth=len(target))
    mask = np.zeros_like(inside)
    mask[chosen] = inside[chosen]
    if not mask.any():
        raise ValueError(
            f"no foreground voxel is in the evaluated slices {chosen.tolist()}, so nothing would be measured. Choose "
            "slices through the head, or leave this case out."
        )
    return mask


def _checked_slices(slices: Sequence[int] | np.ndarray, *, depth: int) -> np.ndarray:
    chosen = np.asarray(slices)
    if chosen.ndim != 1 or not chosen.size or not np.issubdtype(chosen.dtype, np.integer):
        raise ValueError(
            f"evaluated_slices is {chosen.dtype} of shape {chosen.shape}; it must be a list of one or more slice "
            "indices (for a bool mask, its np.flatnonzero), or null for all slices."
        )
    outside = chosen[(chosen < 0) | (chosen >= depth)]
    if outside.size:
        raise ValueError(f"evaluated_slices holds {outside.tolist()}; indices must be 0 to {depth - 1}.")
    return chosen


def _box_with_reach(mask: np.ndarray) -> tuple[slice, ...]:
    """Return the box around the mask that the filters need; voxels outside have no effect."""
    box = find_objects(mask.astype(np.uint8))[0]
    return tuple(
        slice(max(side.start - REACH, 0), min(side.stop + REACH, size))
        for side, size in zip(box, mask.shape, strict=True)
    )


def _voxelwise(p: np.ndarray, t: np.ndarray) -> dict[str, float]:
    squares, energy = np.square(p - t), float(np.square(t).sum())
    return {
        "psnr": float(-10 * np.log10(squares.mean())) if squares.any() else float("inf"),
        "nmse": float(squares.sum() / energy) if energy > 0 else float("nan"),
        "mae": float(np.abs(p - t).mean()),
    }


def _structural(p: np.ndarray, t: np.ndarray, mask: np.ndarray) -> dict[str, float]:
    return {
        "ssim": float(ssim_map.ssim_map(prediction=p, target=t)[mask].mean()),
        "hfen": hfen.hfen(prediction=p, target=t, mask=mask),
        "gms": float(gradient_similarity.gradient_similarity_map(prediction=p, target=t)[mask].mean()),
    }


class StrictProtocol:
    """Measure of the main columns: `strict_protocol` over a case's foreground and evaluated slices.

    Example:
        >>> [column.name for column in StrictProtocol().columns]
        ['psnr', 'ssim', 'nmse', 'mae', 'hfen', 'gms']
    """

    columns = (
        Column(name="psnr", label="PSNR", unit="dB", digits=2),
        Column(name="ssim", label="SSIM"),
        Column(name="nmse", label="NMSE", better="lower"),
        Column(name="mae", label="MAE", better="lower"),
        Column(name="hfen", label="HFEN", better="lower"),
        Column(name="gms", label="GMS"),
    )
    note = ""

    def __call__(self, case: CaseVolumes) -> dict[str, float]:
        """Return the number of each column."""
        return strict_protocol(
            prediction=case.prediction,
            target=case.target,
            foreground=case.foreground,
            evaluated_slices=case.evaluated_slices,
        )
