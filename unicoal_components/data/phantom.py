"""Simulated persons: tissue maps, deformed and sharpened, seen through MR signal equations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, map_coordinates

from .deformation import random_displacement, random_linear, warped_coordinates
from .lesions import random_lesions
from .mr_signal import SEQUENCES, TISSUES, Sequence, Tissue, bias_field, rician_noise, vary_sequence, vary_tissues
from .random_field import smooth_noise
from .tissue_maps import BACKGROUND, TissueMaps

SCANNER_UNIT = 2000.0  # source intensity of a relative signal of 1: images span the range of a 12-bit scanner
TEXTURE = 0.02  # standard deviation of the tissue's own variation of T1, T2 (and half of it in PD)


@dataclass(frozen=True, eq=False)
class Person:
    """One simulated person's scans.

    Attributes:
        volumes: per modality float32 `(D, H, W)`, at least 0; 0 = background.
        affine: `(4, 4)`, voxel (w, h, d, 1) to NIfTI RAS+ world mm.
    """

    volumes: dict[str, NDArray[np.float32]]
    affine: NDArray[np.float64]


def simulate_person(
    maps: TissueMaps,
    *,
    seed: int,
    index: int,
    spacing: float = 1.0,
    lesions: int = 0,
    noise: float = 0.01,
    sequences: Mapping[str, Sequence] = SEQUENCES,
) -> Person:
    """Simulate the scans of one person.

    Head shape and folds, tissue constants, sequence timing, lesions, texture, bias field and noise are drawn from
    (seed, index) alone: a cohort's persons do not depend on their number. All modalities share the anatomy.

    Args:
        maps: the anatomy to start from.
        seed: the cohort's seed, at least 0.
        index: the person's number, at least 0.
        spacing: edge of the cubic voxels in mm.
        lesions: largest number of white matter lesions; the person's is drawn from 0 to it.
        noise: standard deviation of the noise relative to the modality's 99th percentile, at least 0.
        sequences: pulse sequence per modality.

    Raises:
        ValueError: a value outside its range.
    """
    check_options(seed=seed, index=index, spacing=spacing, lesions=lesions, noise=noise)
    # One stream per cause: more lesions or less noise leave the person's anatomy as it is.
    streams = np.random.SeedSequence([seed, index]).spawn(5)
    shape_rng, fold_rng, lesion_rng, tissue_rng, scan_rng = map(np.random.default_rng, streams)
    fractions, affine = deform(maps, spacing=spacing, rng=shape_rng)
    fractions = sharpen(fractions, maps, spacing=spacing, rng=fold_rng)
    if lesions:
        count = int(lesion_rng.integers(0, lesions, endpoint=True))
        fractions = random_lesions(fractions, lesion_rng, count=count, spacing=spacing)
    volumes = scan(fractions, sequences, spacing=spacing, noise=noise, tissue_rng=tissue_rng, scan_rng=scan_rng)
    return Person(volumes, affine)


def check_options(**options: object) -> None:
    """Refuse options of `simulate_person` that are no numbers in their range, by name.

    Raises:
        ValueError: seed, index or lesions is no integer of at least 0; spacing or noise no finite number of at least 0.
    """
    for name, value in options.items():
        whole = name in ("seed", "index", "lesions")
        allowed = (int, np.integer) if whole else (int, float, np.integer, np.floating)
        if isinstance(value, bool) or not isinstance(value, allowed) or not 0 <= value < np.inf:
            raise ValueError(f"{name} is {value!r}; it must be {'an integer' if whole else 'a number'} of at least 0.")


def output_grid(maps: TissueMaps, spacing: float) -> tuple[tuple[int, int, int], NDArray[np.float64]]:
    """Return shape `(D, H, W)` and affine of the grid of cubic voxels that covers the maps around the same center.

    Raises:
        ValueError: `spacing` is not positive, or leaves fewer than four voxels along an axis.
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
    """Give the maps another person's shape, on a grid of `spacing` mm.

    Where voxels grow, the maps are blurred to their size first, so that a voxel holds the mean of what it covers.

    Returns:
        Fractions per tissue `(D, H, W)` in [0, 1], and the grid's affine.
    """
    shape, affine = output_grid(maps, spacing)
    step = spacing / maps.spacing  # output voxel in map voxels
    displacement = random_displacement(shape, (spacing,) * 3, rng)  # in mm
    displacement /= maps.spacing[:, None, None, None].astype(np.float32)
    linear = random_linear(rng)
    matrix = np.diag(1.0 / maps.spacing) @ linear @ np.diag([spacing] * 3)
    center_in = (np.asarray(maps.fractions.shape[1:]) - 1) / 2
    offset = center_in - matrix @ ((np.asarray(shape) - 1) / 2)
    coordinates = warped_coordinates(displacement, matrix, offset)
    # A box has the standard deviation width / √12; the map's own voxel is in the map already.
    sigma = np.sqrt(np.maximum(step**2 - 1.0, 0.0) / 12.0)
    result = {}
    for tissue, fraction in zip(maps.tissues, maps.fractions, strict=True):
        source = gaussian_filter(fraction.astype(np.float32), sigma) if sigma.any() else fraction
        outside = 255.0 if tissue == BACKGROUND else 0.0
        sampled = map_coordinates(source, coordinates, order=1, output=np.float32, mode="constant", cval=outside)
        result[tissue] = sampled / np.float32(255.0)
    return result, affine


def sharpen(
    fractions: Mapping[str, NDArray[np.float32]], maps: TissueMaps, *, spacing: float, rng: np.random.Generator
) -> dict[str, NDArray[np.float32]]:
    """Turn an average's blurred fractions into one person's folds: f_k ∝ p_k^sharpness · exp(roughness · n_k).

    n_k is smooth noise with a width of 1.5 mm, one draw each for white matter, CSF and background: it moves the two
    surfaces of the cortex and the brain's outline, most where the average is undecided.
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


def scan(
    fractions: Mapping[str, NDArray[np.float32]],
    sequences: Mapping[str, Sequence],
    *,
    spacing: float,
    noise: float,
    tissue_rng: np.random.Generator,
    scan_rng: np.random.Generator,
) -> dict[str, NDArray[np.float32]]:
    """Image the fractions with each sequence: contrast, texture, bias field, noise.

    A voxel's signal is the sum of its tissues' signals. Texture v changes T1 and T2 by the factor 1 + v and PD by
    1 + v / 2, as more or less free water does; its effect on each signal is taken to first order. Background is set to
    0, as brain extraction leaves it, also around whole heads, because intensity scaling counts non-zero voxels.

    Returns:
        Per modality float32 `(D, H, W)`.
    """
    shape = fractions[BACKGROUND].shape
    present = [tissue for tissue in fractions if tissue != BACKGROUND]
    person = vary_tissues(TISSUES, tissue_rng)  # of the whole table: the same whichever of them the maps hold
    texture = TEXTURE * smooth_noise(shape, tissue_rng, sigma=(0.8 / spacing,) * 3)
    foreground = fractions[BACKGROUND] < 0.5
    volumes = {}
    for (modality, sequence), stream in zip(sequences.items(), scan_rng.spawn(len(sequences)), strict=True):
        timing = vary_sequence(sequence, stream)
        volume = np.zeros(shape, np.float32)
        slope = np.zeros(shape, np.float32)
        for tissue in present:
            signal = timing.signal(person[tissue])
            volume += np.float32(signal) * fractions[tissue]
            slope += np.float32(_texture_slope(person[tissue], timing, signal)) * fractions[tissue]
        volume = np.maximum(volume + slope * texture, 0) * bias_field(shape, stream)
        sigma = noise * float(np.percentile(volume[foreground], 99)) if foreground.any() else 0.0
        volume = rician_noise(volume, stream, sigma=sigma) if sigma > 0 else volume
        volumes[modality] = np.where(foreground, SCANNER_UNIT * volume, 0).astype(np.float32)
    return volumes


def _texture_slope(tissue: Tissue, sequence: Sequence, signal: float) -> float:
    """Return dS/dv at v = 0 of the signal of a tissue (T1 (1 + v), T2 (1 + v), PD (1 + v / 2)), by a difference."""
    step = 1e-3
    changed = Tissue(tissue.t1 * (1 + step), tissue.t2 * (1 + step), tissue.pd * (1 + step / 2))
    return (sequence.signal(changed) - signal) / step
