"""MR signal equations, tissue constants and what a scanner adds: bias field and Rician noise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .random_field import random_spline_field

FloatArray = NDArray[np.floating]


@dataclass(frozen=True)
class Tissue:
    """Relaxation times and proton density of one tissue.

    Args:
        t1: longitudinal relaxation time in ms, above 0.
        t2: transverse relaxation time in ms, above 0.
        pd: proton density relative to water, in [0, 1.5].
    """

    t1: float
    t2: float
    pd: float


# At 1.5 T: CSF, gray, white, fat and muscle after BrainWeb (Kwan, Evans and Pike, IEEE TMI 18:1085, 1999). The deep
# nuclei lie between gray and white, with a T2 shortened by iron; gray matter's T2 is BrainWeb's 83 ms raised toward
# what relaxometry at 1.5 T finds, for the contrast that FLAIR shows.
TISSUES: Mapping[str, Tissue] = {
    "csf": Tissue(2569.0, 329.0, 1.0),
    "gray": Tissue(833.0, 92.0, 0.86),
    "white": Tissue(500.0, 70.0, 0.77),
    "deep_gray": Tissue(700.0, 78.0, 0.84),
    "pallidum": Tissue(570.0, 58.0, 0.79),
    "brainstem": Tissue(590.0, 75.0, 0.79),
    "choroid": Tissue(1400.0, 150.0, 0.92),
    "lesion": Tissue(820.0, 150.0, 0.87),
    "fat": Tissue(350.0, 70.0, 0.9),
    "muscle": Tissue(900.0, 47.0, 0.9),
    "marrow": Tissue(500.0, 55.0, 0.45),
    "bone": Tissue(800.0, 20.0, 0.12),
    "air": Tissue(1000.0, 50.0, 0.0),
}


@dataclass(frozen=True)
class Sequence:
    """A pulse sequence: spin echo, or inversion recovery where `ti` is given.

    Args:
        tr: repetition time in ms.
        te: echo time in ms.
        ti: inversion time in ms, `None` for a plain spin echo.
    """

    tr: float
    te: float
    ti: float | None = None

    def signal(self, tissue: Tissue) -> float:
        """Return the signal magnitude of a voxel filled with `tissue`, relative to water at TR → ∞, TE → 0."""
        if self.ti is None:
            return float(spin_echo(tissue.pd, tissue.t1, tissue.t2, tr=self.tr, te=self.te))
        return float(inversion_recovery(tissue.pd, tissue.t1, tissue.t2, tr=self.tr, te=self.te, ti=self.ti))


# TI nulls CSF: TI = T1 (ln 2 - ln(1 + exp(-TR / T1))) = 1704 ms at TR 9 s.
SEQUENCES: Mapping[str, Sequence] = {
    "t1": Sequence(tr=450.0, te=12.0),
    "t2": Sequence(tr=4500.0, te=90.0),
    "pd": Sequence(tr=3000.0, te=15.0),
    "flair": Sequence(tr=9000.0, te=110.0, ti=1704.0),
}


def spin_echo(
    pd: FloatArray | float, t1: FloatArray | float, t2: FloatArray | float, *, tr: float, te: float
) -> FloatArray:
    """Compute the spin-echo signal S = PD (1 - exp(-TR / T1)) exp(-TE / T2).

    Args:
        pd: proton density. t1, t2: relaxation times in ms. All broadcast.
        tr: repetition time in ms. te: echo time in ms.

    Example:
        >>> round(float(spin_echo(1.0, 500.0, 100.0, tr=1e9, te=100.0)), 4)
        0.3679
    """
    return np.asarray(pd * (1.0 - np.exp(-tr / np.asarray(t1))) * np.exp(-te / np.asarray(t2)))


def inversion_recovery(
    pd: FloatArray | float, t1: FloatArray | float, t2: FloatArray | float, *, tr: float, te: float, ti: float
) -> FloatArray:
    """Compute the magnitude inversion-recovery signal, S = |PD (1 - 2 exp(-TI / T1) + exp(-TR / T1)) exp(-TE / T2)|.

    Args:
        pd: proton density. t1, t2: relaxation times in ms. All broadcast.
        tr: repetition time in ms. te: echo time in ms. ti: inversion time in ms.

    Example:
        >>> round(float(inversion_recovery(1.0, 1000.0, 100.0, tr=1e9, te=0.0, ti=1000 * np.log(2))), 4)
        0.0
    """
    t1 = np.asarray(t1)
    return np.abs(pd * (1.0 - 2.0 * np.exp(-ti / t1) + np.exp(-tr / t1)) * np.exp(-te / np.asarray(t2)))


def vary_tissues(
    tissues: Mapping[str, Tissue], rng: np.random.Generator, *, spread: float = 0.1, contrast_spread: float = 0.04
) -> dict[str, Tissue]:
    """Draw one person's tissues.

    T1 and T2 change uniformly within ±`spread` for the whole head (age, field strength), and within
    ±`contrast_spread` for each tissue; PD changes by a third of that, as water content varies less. Were all of the
    spread each tissue's own, gray and white matter would look alike in some persons. CSF, nearly free water, has only
    its own spread: FLAIR nulls it in everyone.
    """
    common = 1.0 + spread * rng.uniform(-1.0, 1.0, 2)
    result = {}
    for name, tissue in tissues.items():
        t1, t2, pd = 1.0 + contrast_spread * rng.uniform(-1.0, 1.0, 3) * (1.0, 1.0, 1.0 / 3.0)
        head_t1, head_t2 = (1.0, 1.0) if name == "csf" else common
        result[name] = Tissue(tissue.t1 * head_t1 * t1, tissue.t2 * head_t2 * t2, tissue.pd * pd)
    return result


def vary_sequence(sequence: Sequence, rng: np.random.Generator, *, spread: float = 0.1) -> Sequence:
    """Draw one scan's TR and TE uniformly within ±`spread`, TI within a fifth of it (it has to null CSF)."""
    tr, te, ti = 1.0 + spread * rng.uniform(-1.0, 1.0, 3) * (1.0, 1.0, 1.0 / 5.0)
    return replace(sequence, tr=sequence.tr * tr, te=sequence.te * te, ti=sequence.ti and sequence.ti * ti)


def bias_field(shape: tuple[int, int, int], rng: np.random.Generator, *, strength: float = 0.2) -> NDArray[np.float32]:
    """Draw a receive-coil bias field, a positive smooth gain within [exp(-strength), exp(strength)].

    The logarithm is a cubic B-spline with four spans per axis, hence three or so bumps over the head.

    Returns:
        `(D, H, W)`.
    """
    spans = (4, 4, 4)
    return np.exp(random_spline_field(shape, spans, rng, amplitude=strength))


def rician_noise(
    signal: NDArray[np.float32], rng: np.random.Generator, *, sigma: float | NDArray[np.floating]
) -> NDArray[np.float32]:
    """Return the magnitude of `signal` plus complex Gaussian noise, as magnitude MR images have it.

    M = |S + n_1 + i n_2| with n_1, n_2 ~ N(0, sigma²), so that E[M²] = S² + 2 sigma² (Gudbjartsson and Patz, MRM
    34:910, 1995).

    Args:
        signal: `(...)`, noise-free magnitude.
        rng: source of randomness.
        sigma: standard deviation of each channel in units of `signal`, at least 0.
    """
    real = signal + sigma * rng.standard_normal(signal.shape, dtype=np.float32)
    imaginary = sigma * rng.standard_normal(signal.shape, dtype=np.float32)
    return np.hypot(real, imaginary).astype(np.float32, copy=False)
