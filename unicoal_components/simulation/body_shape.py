"""Random anatomy of a simulated subject: deformed tissue maps with sharp folds and mixed soft tissue."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import find_objects, gaussian_filter, map_coordinates

from .deformation import random_displacement, random_linear, warped_coordinates
from .random_field import smooth_noise
from .tissue_maps import BACKGROUND, TissueMaps


def output_grid(maps: TissueMaps, spacing: float) -> tuple[tuple[int, int, int], NDArray[np.float64]]:
    """Return shape `(D, H, W)` and affine of a grid of cubic voxels that covers the maps and has the same center.

    Raises:
        ValueError: `spacing` is not positive, or gives fewer than four voxels along an axis.
    """
    extent = np.asarray(maps.fractions.shape[1:]) * maps.spacing
    if not 0 < spacing <= extent.min() / 4:
        raise ValueError(f"spacing is {spacing} mm; it must be above 0 and at most {extent.min() / 4:.3g} mm.")
    shape = np.ceil(extent / spacing - 1e-6).astype(int)
    directions = maps.affine[:3, :3] / maps.spacing[::-1]
    affine = np.eye(4)
    affine[:3, :3] = directions * spacing
    center = maps.affine[:3, :3] @ ((np.asarray(maps.fractions.shape[:0:-1]) - 1) / 2) + maps.affine[:3, 3]
    affine[:3, 3] = center - affine[:3, :3] @ ((shape[::-1] - 1) / 2)
    return (int(shape[0]), int(shape[1]), int(shape[2])), affine


def deform(
    maps: TissueMaps, *, spacing: float, rng: np.random.Generator
) -> tuple[dict[str, NDArray[np.float32]], NDArray[np.float64]]:
    """Deform the maps randomly to another subject's shape, on a grid of `spacing` mm.

    If the voxels become larger, the maps are blurred to the new size first, so that a voxel holds the mean of the
    region that it covers.

    Args:
        maps: the tissue maps.
        spacing: edge of the cubic voxels in mm.
        rng: source of randomness.

    Returns:
        Fractions per tissue `(D, H, W)` in [0, 1], and the affine of the grid.
    """
    shape, affine = output_grid(maps, spacing)
    step = spacing / maps.spacing  # output voxel in map voxels
    displacement = random_displacement(shape, (spacing,) * 3, rng)  # in mm
    displacement /= maps.spacing[:, None, None, None].astype(np.float32)
    if maps.roughness > 0:
        linear = random_linear(rng)
    else:  # a real subject has the right size; mirroring it left to right gives another anatomy
        linear = random_linear(rng, scale=1.0) @ np.diag([1.0, 1.0, rng.choice([-1.0, 1.0])])
    matrix = np.diag(1.0 / maps.spacing) @ linear @ np.diag([spacing] * 3)
    center_in = (np.asarray(maps.fractions.shape[1:]) - 1) / 2
    offset = center_in - matrix @ ((np.asarray(shape) - 1) / 2)
    coordinates = warped_coordinates(displacement, matrix, offset)
    # A box of one voxel has the standard deviation width / √12; the map is already blurred by its own voxel.
    sigma = np.sqrt(np.maximum(step**2 - 1.0, 0.0) / 12.0)
    result = {}
    for tissue, fraction in zip(maps.tissues, maps.fractions, strict=True):
        source = gaussian_filter(fraction.astype(np.float32), sigma) if sigma.any() else fraction
        result[tissue] = _sample(source, coordinates, outside=255.0 if tissue == BACKGROUND else 0.0)
    return result, affine


def _sample(
    source: NDArray[np.uint8] | NDArray[np.float32], coordinates: NDArray[np.float32], *, outside: float
) -> NDArray[np.float32]:
    """Interpolate a fraction of 0..255 linearly, scaled to 0..1, near its bounding box only: most tissues are small."""
    box = find_objects((source > 0).astype(np.uint8))
    result = np.zeros(coordinates.shape[1:], np.float32)
    if outside:
        near = np.ones(result.shape, bool)
    else:
        near = np.full(result.shape, bool(box))
        for own, along in zip(coordinates, box[0] if box else (), strict=False):
            near &= (own > along.start - 1) & (own < along.stop)
    result[near] = map_coordinates(
        source, coordinates[:, near], order=1, output=np.float32, mode="constant", cval=outside
    ) / np.float32(255.0)
    return result


def sharpen(
    fractions: Mapping[str, NDArray[np.float32]], maps: TissueMaps, *, spacing: float, rng: np.random.Generator
) -> dict[str, NDArray[np.float32]]:
    """Turn blurred fractions of an average brain into random sharp folds: f_k ∝ p_k^sharpness · exp(roughness · n_k).

    n_k is smooth noise with a width of 1.5 mm, drawn separately for white matter, CSF and background. It moves the two
    surfaces of the cortex and the outline of the brain, most where the average is ambiguous.

    Args:
        fractions: per tissue `(D, H, W)` in [0, 1], with "background".
        maps: tissue maps with `sharpness` and `roughness`.
        spacing: edge of the voxels in mm.
        rng: source of randomness.

    Returns:
        Fractions per tissue `(D, H, W)` in [0, 1] that sum to 1.
    """
    shape = fractions[BACKGROUND].shape
    shift: dict[str, NDArray[np.float32]] = {}
    if maps.roughness > 0:
        for tissue in ("white", "csf", BACKGROUND):
            field = smooth_noise(shape, rng, sigma=(1.5 / spacing,) * 3)
            shift[tissue] = np.exp(np.float32(maps.roughness) * field)
    result = {}
    for tissue, fraction in fractions.items():
        weight = fraction if maps.sharpness == 1 else np.power(fraction, np.float32(maps.sharpness), dtype=np.float32)
        result[tissue] = weight * shift[tissue] if tissue in shift else weight
    total = np.maximum(np.sum(list(result.values()), axis=0), np.float32(1e-6))
    return {tissue: weight / total for tissue, weight in result.items()}


def mix_soft_tissue(
    fractions: Mapping[str, NDArray[np.float32]], rng: np.random.Generator, *, spacing: float
) -> dict[str, NDArray[np.float32]]:
    """Mix muscle and fat outside the brain at a scale of a few mm, because label maps separate them only roughly.

    Returns:
        The fractions; the sum of muscle and fat is unchanged. Without one of them nothing changes.
    """
    result = dict(fractions)
    if "muscle" in fractions and "fat" in fractions:
        muscle, fat = fractions["muscle"], fractions["fat"]
        share = np.clip(0.25 + 0.2 * smooth_noise(muscle.shape, rng, sigma=(2.0 / spacing,) * 3), 0.0, 1.0)
        result["muscle"] = muscle + share * (fat - muscle)
        result["fat"] = fat + share * (muscle - fat)
    return result


def strip_closely(
    fractions: Mapping[str, NDArray[np.float32]], rng: np.random.Generator, *, spacing: float
) -> dict[str, NDArray[np.float32]]:
    """Turn the outer CSF into background, as brain extraction does, to a random extent.

    CSF is kept if the parenchyma, blurred by 2.5 mm, exceeds a random threshold of 15 to 45 %, and if it is more than
    about 6 mm below the surface, where the ventricles are.

    Returns:
        The fractions with less CSF; their sum is unchanged.
    """
    if "csf" not in fractions:
        return dict(fractions)
    csf, background = fractions["csf"], fractions[BACKGROUND]
    near = gaussian_filter(1.0 - background - csf, 2.5 / spacing, truncate=3.0)
    deep = gaussian_filter(1.0 - background, 5.0 / spacing, truncate=3.0) > 0.9
    kept = csf * (deep | (near > rng.uniform(0.15, 0.45)))
    return {**fractions, "csf": kept, BACKGROUND: background + csf - kept}


def leave_skull(
    fractions: Mapping[str, NDArray[np.float32]], rng: np.random.Generator, *, spacing: float
) -> dict[str, NDArray[np.float32]]:
    """Turn patches of background next to the brain into bone, as remains of skull and meninges after brain extraction.

    They are up to 2 mm thick and cover a third to three quarters of the surface. They are the darkest voxels, so they
    set the intensity that becomes black; without them, white matter would become black on T2.

    Returns:
        The fractions with "bone" added; their sum is unchanged.
    """
    background = fractions[BACKGROUND]
    near = gaussian_filter(1.0 - background, 1.5 / spacing, truncate=3.0)
    field = smooth_noise(background.shape, rng, sigma=(4.0 / spacing,) * 3)
    depth = np.clip(0.7 * field + np.float32(rng.uniform(-0.2, 0.4)), 0.0, 1.0)
    bone = np.where((depth > 0) & (near > 0.5 - 0.4 * depth), background, np.float32(0.0))
    return {**fractions, BACKGROUND: background - bone, "bone": fractions.get("bone", np.float32(0.0)) + bone}
