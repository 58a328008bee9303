"""Simulated persons: tissue maps, deformed and sharpened, seen through MR signal equations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import find_objects, gaussian_filter, map_coordinates

from .deformation import random_displacement, random_linear, warped_coordinates
from .lesions import random_lesions
from .pulse_sequences import MODALITIES, Sequence, draw_sequence
from .random_field import random_spline_field, smooth_noise
from .scanner_effects import bias_field, rician_noise
from .tissue_constants import STANDARD_FIELD, Tissue, tissues_at, vary_tissues
from .tissue_maps import BACKGROUND, TissueMaps

SCANNER_UNIT = 2000.0  # source intensity of a relative signal of 1: images span the range of a 12-bit scanner
FIELDS = (1.5, 3.0)  # tesla; a person's scans come from one scanner, either as likely
FINE_TEXTURE = 0.02  # standard deviation of the fine variation of a tissue's T1, T2 (and half of it in PD)
COARSE_TEXTURE, COARSE_KNOTS = 0.08, 15.0  # largest slow variation, and the distance of its spline's knots in mm
BIAS_STRENGTH = (0.05, 0.35)  # see `bias_field`
NOISE_FACTOR = (0.5, 2.0)  # a scan's noise relative to the cohort's
FAT_GAIN = (0.15, 0.9)  # what is left of the signal of fat after its suppression or dephasing


@dataclass(frozen=True, eq=False)
class Person:
    """One simulated person's scans.

    Attributes:
        volumes: per modality float32 `(D, H, W)`, at least 0; 0 = background.
        affine: `(4, 4)`, voxel (w, h, d, 1) to NIfTI RAS+ world mm.
        field: of the scanner in tesla.
        sequences: pulse sequence per modality.
    """

    volumes: dict[str, NDArray[np.float32]]
    affine: NDArray[np.float64]
    field: float
    sequences: dict[str, Sequence]


def simulate_person(
    maps: TissueMaps,
    *,
    seed: int,
    index: int,
    spacing: float = 1.0,
    lesions: int = 0,
    noise: float = 0.01,
    contrast_spread: float = 1.0,
    modalities: Iterable[str] = MODALITIES,
) -> Person:
    """Simulate the scans of one person.

    Head shape and folds, field strength, tissue constants, pulse sequences, lesions, texture, bias field and noise are
    drawn from (seed, index) alone: a cohort's persons do not depend on their number. All modalities share the anatomy.
    White matter, gray matter and CSF have the modality's usual order in every person.

    Args:
        maps: the anatomy to start from.
        seed: the cohort's seed, at least 0.
        index: the person's number, at least 0.
        spacing: edge of the cubic voxels in mm.
        lesions: largest number of white matter lesions; the person's is drawn from 0 to it.
        noise: standard deviation of the noise relative to the modality's 99th percentile, at least 0; each scan's is
            between half and twice it.
        contrast_spread: 0 takes each modality's standard sequence at 3 T, 1 all of `pulse_sequences.RANGES` at 1.5 or
            3 T.
        modalities: which to scan, of `MODALITIES`.

    Raises:
        ValueError: a value outside its range.
    """
    check_options(seed=seed, index=index, spacing=spacing, lesions=lesions, noise=noise)
    check_shares(contrast_spread=contrast_spread)
    # One stream per cause: more lesions or less noise leave the person's anatomy as it is.
    streams = np.random.SeedSequence([seed, index]).spawn(5)
    shape_rng, fold_rng, lesion_rng, tissue_rng, scan_rng = map(np.random.default_rng, streams)
    fractions, affine = deform(maps, spacing=spacing, rng=shape_rng)
    fractions = sharpen(fractions, maps, spacing=spacing, rng=fold_rng)
    if lesions:
        count = int(lesion_rng.integers(0, lesions, endpoint=True))
        fractions = random_lesions(fractions, lesion_rng, count=count, spacing=spacing)
    fractions = mix_soft_tissue(fractions, tissue_rng, spacing=spacing)
    field = float(tissue_rng.choice(FIELDS)) if tissue_rng.random() < contrast_spread else STANDARD_FIELD
    tissues = vary_tissues(tissues_at(field), tissue_rng)
    streams = scan_rng.spawn(len(MODALITIES))
    sequences = {
        name: draw_sequence(name, tissues, stream, spread=contrast_spread)
        for name, stream in zip(MODALITIES, streams, strict=True)
        if name in modalities
    }
    volumes = scan(
        fractions,
        sequences,
        tissues,
        spacing=spacing,
        noise=noise,
        stripped=maps.stripped,
        tissue_rng=tissue_rng,
        scan_rng=scan_rng,
    )
    return Person(volumes, affine, field, sequences)


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


def check_shares(**shares: object) -> None:
    """Refuse options that are no numbers in [0, 1], by name; `True` is 1.

    Raises:
        ValueError: such an option.
    """
    for name, value in shares.items():
        if not isinstance(value, (int, float, np.integer, np.floating)) or not 0 <= value <= 1:
            raise ValueError(f"{name} is {value!r}; it must be a number from 0 to 1.")


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
    if maps.roughness > 0:
        linear = random_linear(rng)
    else:  # a real person: of the right size, and as good mirrored
        linear = random_linear(rng, scale=1.0) @ np.diag([1.0, 1.0, rng.choice([-1.0, 1.0])])
    matrix = np.diag(1.0 / maps.spacing) @ linear @ np.diag([spacing] * 3)
    center_in = (np.asarray(maps.fractions.shape[1:]) - 1) / 2
    offset = center_in - matrix @ ((np.asarray(shape) - 1) / 2)
    coordinates = warped_coordinates(displacement, matrix, offset)
    # A box has the standard deviation width / √12; the map's own voxel is in the map already.
    sigma = np.sqrt(np.maximum(step**2 - 1.0, 0.0) / 12.0)
    result = {}
    for tissue, fraction in zip(maps.tissues, maps.fractions, strict=True):
        source = gaussian_filter(fraction.astype(np.float32), sigma) if sigma.any() else fraction
        result[tissue] = _sample(source, coordinates, outside=255.0 if tissue == BACKGROUND else 0.0)
    return result, affine


def _sample(source: NDArray[np.generic], coordinates: NDArray[np.float32], *, outside: float) -> NDArray[np.float32]:
    """Interpolate a fraction of 0..255 linearly, as 0..1, where its box of values above 0 is met: most are small."""
    box = find_objects((source > 0).astype(np.uint8))
    result = np.zeros(coordinates.shape[1:], np.float32)
    if outside:
        met = np.ones(result.shape, bool)
    else:
        met = np.full(result.shape, bool(box))
        for own, along in zip(coordinates, box[0] if box else (), strict=False):
            met &= (own > along.start - 1) & (own < along.stop)
    result[met] = map_coordinates(
        source, coordinates[:, met], order=1, output=np.float32, mode="constant", cval=outside
    ) / np.float32(255.0)
    return result


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


def mix_soft_tissue(
    fractions: Mapping[str, NDArray[np.float32]], rng: np.random.Generator, *, spacing: float
) -> dict[str, NDArray[np.float32]]:
    """Exchange muscle and fat outside the brain in places a few mm apart: label maps tell them apart but roughly.

    Returns:
        The fractions; the sum of muscle and fat is unchanged. Without one of them nothing changes.
    """
    result = dict(fractions)
    if "muscle" in fractions and "fat" in fractions:
        muscle, fat = fractions["muscle"], fractions["fat"]
        share = np.clip(0.25 + 0.3 * smooth_noise(muscle.shape, rng, sigma=(2.0 / spacing,) * 3), 0.0, 1.0)
        result["muscle"] = muscle + share * (fat - muscle)
        result["fat"] = fat + share * (muscle - fat)
    return result


def scan(
    fractions: Mapping[str, NDArray[np.float32]],
    sequences: Mapping[str, Sequence],
    tissues: Mapping[str, Tissue],
    *,
    spacing: float,
    noise: float,
    stripped: bool,
    tissue_rng: np.random.Generator,
    scan_rng: np.random.Generator,
) -> dict[str, NDArray[np.float32]]:
    """Image the fractions with each sequence: contrast, texture, bias field, noise.

    A voxel's signal is the sum of its tissues' signals. Two textures change the tissues from place to place: more or
    less water, v, changes T1 by the factor 1 + v and PD by 1 + v / 2; more or less iron and myelin changes T2. Their
    effect on each signal is taken to first order. Each scan draws the strengths of its bias field and noise, and each
    scan of a head how much fat is suppressed.

    Args:
        fractions: per tissue `(D, H, W)` in [0, 1], with "background".
        sequences: pulse sequence per modality of `MODALITIES`.
        tissues: the person's.
        spacing: edge of the voxels in mm.
        noise: standard deviation of the noise relative to the 99th percentile, about; see `NOISE_FACTOR`.
        stripped: set background to exactly 0, as brain extraction leaves it; else noise fills the air.
        tissue_rng: source of the texture.
        scan_rng: source of what differs between the scans.

    Returns:
        Per modality float32 `(D, H, W)`.
    """
    shape = fractions[BACKGROUND].shape
    present = [tissue for tissue in fractions if tissue != BACKGROUND]
    water, iron = (_texture(shape, tissue_rng, spacing) for _ in range(2))
    foreground = fractions[BACKGROUND] < 0.5
    volumes = {}
    streams = dict(zip(MODALITIES, scan_rng.spawn(len(MODALITIES)), strict=True))
    for modality, sequence in sequences.items():
        stream = streams[modality]
        fat_gain = stream.uniform(*FAT_GAIN)
        volume, by_water, by_iron = (np.zeros(shape, np.float32) for _ in range(3))
        for name in present:
            gain = fat_gain if name in ("fat", "marrow") else 1.0
            signal, of_water, of_iron = _signal_and_slopes(tissues[name], sequence)
            volume += np.float32(gain * signal) * fractions[name]
            by_water += np.float32(gain * of_water) * fractions[name]
            by_iron += np.float32(gain * of_iron) * fractions[name]
        volume = np.maximum(volume + by_water * water + by_iron * iron, 0)
        volume *= bias_field(shape, stream, strength=stream.uniform(*BIAS_STRENGTH))
        sigma = noise * np.exp(stream.uniform(*np.log(NOISE_FACTOR)))
        if sigma > 0 and foreground.any():
            volume = rician_noise(volume, stream, sigma=sigma * float(np.percentile(volume[foreground], 99)))
        if stripped:
            volume[~foreground] = 0
        volumes[modality] = (SCANNER_UNIT * volume).astype(np.float32, copy=False)
    return volumes


def _texture(shape: tuple[int, ...], rng: np.random.Generator, spacing: float) -> NDArray[np.float32]:
    """Draw relative deviations of a tissue property: fine grain and, between places a few cm apart, slow change."""
    spans = [max(1, int(size * spacing // COARSE_KNOTS)) for size in shape]
    coarse = random_spline_field(shape, spans, rng, amplitude=COARSE_TEXTURE)
    return coarse + FINE_TEXTURE * smooth_noise(shape, rng, sigma=(0.8 / spacing,) * 3)


def _signal_and_slopes(tissue: Tissue, sequence: Sequence) -> tuple[float, float, float]:
    """Return a tissue's signal and its derivatives by water (T1 (1 + v), PD (1 + v / 2)) and iron (T2 (1 + v))."""
    step = 1e-3
    signal = sequence.signal(tissue)
    wetter = replace(tissue, t1=tissue.t1 * (1 + step), pd=tissue.pd * (1 + step / 2))
    longer = replace(tissue, t2=tissue.t2 * (1 + step))
    return signal, (sequence.signal(wetter) - signal) / step, (sequence.signal(longer) - signal) / step
