"""Simulated persons: tissue maps, deformed and sharpened, seen through MR signal equations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .lesions import random_lesions
from .person_shape import deform, leave_skull, mix_soft_tissue, sharpen, strip_closely
from .pulse_sequences import MODALITIES, Sequence, draw_sequence
from .random_field import random_spline_field, smooth_noise
from .scanner_effects import bias_field, rician_noise
from .tissue_constants import STANDARD_FIELD, Tissue, tissues_at, vary_tissues
from .tissue_maps import BACKGROUND, TissueMaps

SCANNER_UNIT = 2000.0  # source intensity of a relative signal of 1: images span the range of a 12-bit scanner
FIELDS = (1.5, 3.0)  # tesla; a person's scans come from one scanner, either as likely
FINE_TEXTURE = 0.02  # standard deviation of the fine variation of a tissue's T1, T2 (and half of it in PD)
COARSE_TEXTURE, COARSE_KNOTS = 0.08, 15.0  # largest slow variation, and the distance of its spline's knots in mm
BIAS_STRENGTH = (0.05, 0.5)  # see `bias_field`
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
    if maps.stripped:
        fractions = leave_skull(strip_closely(fractions, fold_rng, spacing=spacing), fold_rng, spacing=spacing)
    fractions = mix_soft_tissue(fractions, tissue_rng, spacing=spacing)
    field = float(tissue_rng.choice(FIELDS)) if tissue_rng.random() < contrast_spread else STANDARD_FIELD
    tissues = vary_tissues(tissues_at(field), tissue_rng)
    sequence_rngs = scan_rng.spawn(len(MODALITIES))
    sequences = {
        name: draw_sequence(name, tissues, rng, spread=contrast_spread)
        for name, rng in zip(MODALITIES, sequence_rngs, strict=True)
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
