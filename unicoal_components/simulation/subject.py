"""Simulation of one subject: deformed tissue maps, imaged with MR signal equations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .body_shape import deform, leave_skull, mix_soft_tissue, sharpen, strip_closely
from .lesions import random_lesions
from .pulse_sequences import MODALITIES, Sequence, draw_sequence
from .random_field import random_spline_field, smooth_noise
from .scanner_effects import bias_field, rician_noise
from .tissue_constants import STANDARD_FIELD, Tissue, tissues_at, vary_tissues
from .tissue_maps import BACKGROUND, TissueMaps

SCANNER_UNIT = 2000.0  # source intensity of a relative signal of 1: images span the range of a 12-bit scanner
FIELDS = (1.5, 3.0)  # tesla; all scans of a subject come from one scanner, with equal probability of both fields
FINE_TEXTURE = 0.02  # standard deviation of the fine variation of a tissue's T1, T2 (and half of it in PD)
COARSE_TEXTURE, COARSE_KNOTS = 0.08, 15.0  # largest slow variation, and the knot distance of its spline in mm
BIAS_STRENGTH = (0.05, 0.5)  # range; see `bias_field`
NOISE_FACTOR = (0.5, 2.0)  # range of a scan's noise relative to the cohort's
FAT_SUPPRESSED = {"t1": 0.1, "t2": 0.3, "pd": 0.3, "flair": 0.6}  # probability that a scan suppresses fat
SUPPRESSED_FAT = (0.05, 0.4)  # range of the factor of fat's signal where it is suppressed
FAT_GAIN = (0.5, 1.3)  # and where it is not: dephasing and the nearness of the coil


@dataclass(frozen=True, eq=False)
class SimulatedSubject:
    """Scans of one simulated subject.

    Attributes:
        volumes: per modality float32 `(D, H, W)`, at least 0; 0 = background.
        affine: `(4, 4)`, voxel (w, h, d, 1) to NIfTI RAS+ world mm.
        field: field strength of the scanner in tesla.
        sequences: pulse sequence per modality.
    """

    volumes: dict[str, NDArray[np.float32]]
    affine: NDArray[np.float64]
    field: float
    sequences: dict[str, Sequence]


def simulate_subject(
    maps: TissueMaps,
    *,
    seed: int,
    index: int,
    spacing: float = 1.0,
    lesions: int = 0,
    noise: float = 0.01,
    contrast_spread: float = 1.0,
    modalities: Iterable[str] = MODALITIES,
) -> SimulatedSubject:
    """Simulate the scans of one subject.

    Head shape and folds, field strength, tissue constants, pulse sequences, lesions, texture, bias field and noise are
    drawn from (seed, index) alone, so that a subject does not depend on the size of its cohort. All modalities share
    the anatomy. White matter, gray matter and CSF have the modality's usual order of intensity in every subject.

    Args:
        maps: tissue maps of the anatomy to deform.
        seed: seed of the cohort, at least 0.
        index: number of the subject, at least 0.
        spacing: edge of the cubic voxels in mm.
        lesions: largest number of white matter lesions; the number is drawn from 0 to this.
        noise: standard deviation of the noise relative to the modality's 99th percentile, at least 0; each scan has
            between half and twice of it.
        contrast_spread: 0 uses each modality's standard sequence at 3 T, 1 all of `pulse_sequences.RANGES` at 1.5 or
            3 T.
        modalities: modalities to simulate, of `MODALITIES`.

    Raises:
        ValueError: a value is out of its range.
    """
    check_options(seed=seed, index=index, spacing=spacing, lesions=lesions, noise=noise)
    check_shares(contrast_spread=contrast_spread)
    # One random stream per effect: other numbers of lesions or other noise do not change the anatomy.
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
    return SimulatedSubject(volumes, affine, field, sequences)


def check_options(**options: object) -> None:
    """Check that options of `simulate_subject` are numbers in their range.

    Args:
        **options: seed, index and lesions: integers of at least 0; spacing and noise: finite numbers of at least 0.

    Raises:
        ValueError: an option is out of its range; the message names it.
    """
    for name, value in options.items():
        whole = name in ("seed", "index", "lesions")
        allowed = (int, np.integer) if whole else (int, float, np.integer, np.floating)
        if isinstance(value, bool) or not isinstance(value, allowed) or not 0 <= value < np.inf:
            raise ValueError(f"{name} is {value!r}; it must be {'an integer' if whole else 'a number'} of at least 0.")


def check_shares(**shares: object) -> None:
    """Check that options are numbers in [0, 1]; `True` is 1.

    Args:
        **shares: the options by name.

    Raises:
        ValueError: an option is out of its range; the message names it.
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
    """Simulate a scan of the tissue fractions with each sequence: contrast, texture, bias field and noise.

    A voxel's signal is the sum of its tissues' signals. Two textures vary the tissues in space: the water content, v,
    changes T1 by the factor 1 + v and PD by 1 + v / 2; the content of iron and myelin changes T2. Their effect on each
    signal is computed to first order. The strengths of bias field, noise and fat suppression are drawn for each scan.

    Args:
        fractions: per tissue `(D, H, W)` in [0, 1], with "background".
        sequences: pulse sequence per modality of `MODALITIES`.
        tissues: tissue constants of the subject.
        spacing: edge of the voxels in mm.
        noise: standard deviation of the noise relative to the 99th percentile; varied by `NOISE_FACTOR`.
        stripped: set the background to exactly 0, as brain extraction does; else the background is noise.
        tissue_rng: source of randomness of the texture.
        scan_rng: source of randomness of the single scans.

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
        suppressed = stream.random() < FAT_SUPPRESSED[modality]
        fat_gain = stream.uniform(*(SUPPRESSED_FAT if suppressed else FAT_GAIN))
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
    """Draw relative deviations of a tissue property: fine grain plus a slow variation over a few cm."""
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
