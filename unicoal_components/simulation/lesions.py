"""White matter lesions, as in multiple sclerosis or small vessel disease."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter


def random_lesions(
    fractions: Mapping[str, NDArray[np.float32]], rng: np.random.Generator, *, count: int, spacing: float
) -> dict[str, NDArray[np.float32]]:
    """Replace random ellipsoids of white matter by lesion tissue.

    Each has half-axes of 2 to 6 mm around a voxel of white matter, more likely near the ventricles. Its border is one
    voxel wide, and only white matter is replaced, so that a lesion ends at the cortex.

    Args:
        fractions: per tissue `(D, H, W)` in [0, 1]; without "white" there are no lesions.
        rng: source of randomness.
        count: number of lesions, at least 0.
        spacing: edge of the voxels in mm.

    Returns:
        The fractions with "lesion" added; their sum is unchanged.
    """
    result = dict(fractions)
    lesion = np.zeros_like(next(iter(fractions.values())))
    centers = _centers(fractions, rng, count, spacing)
    for center in centers:
        radii = rng.uniform(2.0, 6.0, 3) / spacing
        reach = np.ceil(radii + 1).astype(int)
        low = np.maximum(center - reach, 0)
        box = tuple(slice(a, b) for a, b in zip(low, center + reach + 1, strict=True))
        grid = np.ogrid[box]
        distance = np.sqrt(sum(((g - c) / r) ** 2 for g, c, r in zip(grid, center, radii, strict=True)))
        blob = np.clip(0.5 + (1.0 - distance) * radii.mean(), 0.0, 1.0)[tuple(slice(s) for s in lesion[box].shape)]
        np.maximum(lesion[box], blob, out=lesion[box])
    if len(centers):
        taken = lesion * result["white"]
        result["white"] = result["white"] - taken
        result["lesion"] = taken + result.get("lesion", 0.0)
    return result


def _centers(
    fractions: Mapping[str, NDArray[np.float32]], rng: np.random.Generator, count: int, spacing: float
) -> NDArray[np.intp]:
    """Draw `(count, 3)` voxels of nearly pure white matter, with weights that grow near CSF (Gaussian of 6 mm)."""
    if "white" not in fractions:
        return np.zeros((0, 3), np.intp)
    candidates = np.argwhere(fractions["white"] > 0.8)
    if not len(candidates):
        return np.zeros((0, 3), np.intp)
    weights = np.full(len(candidates), 0.02)
    if "csf" in fractions:
        weights += gaussian_filter(fractions["csf"], 6.0 / spacing, truncate=2.0)[tuple(candidates.T)]
    return candidates[rng.choice(len(candidates), size=count, p=weights / weights.sum())]
