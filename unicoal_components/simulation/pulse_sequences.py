"""Pulse sequences of T1, T2, PD and FLAIR scans: a standard sequence per modality and the range around it.

A modality has one volume per subject, which training uses as source or as target. A source should come from any
scanner, a target should be predictable. Both hold approximately if each subject draws its own sequence around the
standard one: the network sees all kinds of sources and, because it cannot know the settings of the target's scanner,
learns the mean of the targets, which is close to the standard contrast. `spread` is the width of the variation, 0 to 1.
Separate volumes for sources and targets would make files and samplers more complex; a smaller spread narrows both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

import numpy as np

from .mr_signal import gradient_echo, inversion_recovery, mprage, spin_echo
from .tissue_constants import TISSUES, Tissue

Kind = Literal["spin_echo", "inversion_recovery", "gradient_echo", "mprage"]


@dataclass(frozen=True)
class Sequence:
    """A pulse sequence.

    Attributes:
        kind: signal equation, a function of `mr_signal`.
        tr: repetition time in ms (MPRAGE: time between inversions).
        te: echo time in ms (fast spin echo: effective echo time).
        ti: inversion time in ms, for inversion recovery and MPRAGE.
        flip: flip angle in degrees, for gradient echo and MPRAGE.
    """

    kind: Kind
    tr: float
    te: float
    ti: float = 0.0
    flip: float = 90.0

    def signal(self, tissue: Tissue) -> float:
        """Return the signal magnitude of a voxel filled with `tissue`, relative to fully relaxed water at TE 0."""
        own = (tissue.pd, tissue.t1, tissue.t2)
        if self.kind == "spin_echo":
            return float(spin_echo(*own, tr=self.tr, te=self.te))
        if self.kind == "inversion_recovery":
            return float(inversion_recovery(*own, tr=self.tr, te=self.te, ti=self.ti))
        if self.kind == "gradient_echo":
            return float(gradient_echo(*own, tr=self.tr, te=self.te, flip=self.flip))
        return float(mprage(*own, tr=self.tr, te=self.te, ti=self.ti, flip=self.flip))


@dataclass(frozen=True)
class SequenceRange:
    """A standard sequence and the ranges around it; smallest and largest values are those at a spread of 1.

    Attributes:
        standard: the sequence at a spread of 0.
        tr: range of the repetition time in ms.
        te: range of the echo time in ms.
        ti: range of the inversion time in ms, for inversion recovery relative to the time that nulls CSF; `None` keeps
            the standard value.
        flip: range of the flip angle in degrees; `None` keeps the standard value.
        share: probability among the sequences of the modality.
    """

    standard: Sequence
    tr: tuple[float, float]
    te: tuple[float, float]
    ti: tuple[float, float] | None = None
    flip: tuple[float, float] | None = None
    share: float = 1.0


def csf_null(tr: float, t1: float) -> float:
    """Return the inversion time in ms at which a tissue of `t1` ms gives no signal: T1 (ln 2 - ln(1 + exp(-TR / T1))).

    Example:
        >>> round(csf_null(9000.0, 4000.0))
        2372
    """
    return float(t1 * (np.log(2.0) - np.log1p(np.exp(-tr / t1))))


_FLAIR_TI = csf_null(9000.0, TISSUES["csf"].t1)
# Ranges of protocols at 1.5 and 3 T, from 2D clinical to 3D research scans. The first of a modality is its standard.
RANGES: Mapping[str, tuple[SequenceRange, ...]] = {
    "t1": (
        SequenceRange(
            Sequence("mprage", 2300.0, 3.0, 930.0, 9.0), (1900.0, 2600.0), (2.0, 4.5), (800.0, 1100.0), (7.0, 12.0), 0.5
        ),
        SequenceRange(Sequence("spin_echo", 550.0, 11.0), (400.0, 700.0), (8.0, 15.0), share=0.25),
        SequenceRange(
            Sequence("gradient_echo", 18.0, 5.0, flip=22.0), (8.0, 30.0), (2.0, 8.0), flip=(15.0, 30.0), share=0.25
        ),
    ),
    "t2": (SequenceRange(Sequence("spin_echo", 5500.0, 100.0), (3500.0, 8000.0), (80.0, 125.0)),),
    "pd": (SequenceRange(Sequence("spin_echo", 6000.0, 12.0), (4500.0, 9000.0), (8.0, 18.0)),),
    "flair": (
        SequenceRange(
            Sequence("inversion_recovery", 9000.0, 115.0, _FLAIR_TI), (7000.0, 11000.0), (85.0, 150.0), (0.96, 1.04)
        ),
    ),
}
STANDARD: Mapping[str, Sequence] = {modality: ranges[0].standard for modality, ranges in RANGES.items()}
MODALITIES: tuple[str, ...] = tuple(RANGES)

# From bright to dark. CSF is missing for PD, where it is about as bright as gray matter; see `has_usual_order`.
ORDER: Mapping[str, tuple[str, ...]] = {
    "t1": ("white", "gray", "csf"),
    "t2": ("csf", "gray", "white"),
    "pd": ("gray", "white"),
    "flair": ("gray", "white", "csf"),
}
LEAST_CONTRAST = 0.06  # between neighbors in ORDER, relative to the brighter tissue
_TRIES = 100


def has_usual_order(modality: str, sequence: Sequence, tissues: Mapping[str, Tissue]) -> bool:
    """Return whether the tissues' signals have the order of `ORDER`, each at least 6 % below the previous one.

    On PD, CSF must not be darker than white matter.
    """
    signals = [sequence.signal(tissues[name]) for name in ORDER[modality]]
    if modality == "pd" and sequence.signal(tissues["csf"]) < signals[-1]:
        return False
    return all(dark <= (1.0 - LEAST_CONTRAST) * bright for bright, dark in pairwise(signals))


def draw_sequence(
    modality: str, tissues: Mapping[str, Tissue], rng: np.random.Generator, *, spread: float = 1.0
) -> Sequence:
    """Draw a pulse sequence with the modality's usual order of white matter, gray matter and CSF.

    Each time and angle is uniform in its range, scaled by `spread` around the standard value. The probability of
    sequences other than the standard one is `spread` times `SequenceRange.share`.

    Args:
        modality: one of `MODALITIES`.
        tissues: tissue constants of the subject, with "white", "gray" and "csf".
        rng: source of randomness.
        spread: 0 gives the standard sequence, 1 the whole ranges.

    Raises:
        ValueError: an unknown modality, a spread outside [0, 1], or no drawn sequence gives the usual order.
    """
    if modality not in RANGES:
        raise ValueError(f"modality is '{modality}'; it must be one of {list(RANGES)}.")
    if not 0 <= spread <= 1:
        raise ValueError(f"contrast_spread is {spread!r}; it must be from 0 (the standard sequences) to 1 (all).")
    ranges = RANGES[modality]
    shares = np.array([0.0, *(spread * own.share for own in ranges[1:])])
    shares[0] = 1.0 - shares.sum()
    for _ in range(_TRIES):
        chosen = ranges[rng.choice(len(ranges), p=shares)]
        sequence = _draw(chosen, rng, spread, tissues["csf"].t1)
        if has_usual_order(modality, sequence, tissues):
            return sequence
    raise ValueError(f"none of {_TRIES} '{modality}' sequences gives these tissues the order {ORDER[modality]}.")


def _draw(chosen: SequenceRange, rng: np.random.Generator, spread: float, csf_t1: float) -> Sequence:
    """Draw one sequence; the TI of FLAIR is relative to the time that nulls the subject's CSF at the drawn TR."""
    standard = chosen.standard
    inverted = standard.kind == "inversion_recovery"
    middles = {"tr": standard.tr, "te": standard.te, "ti": 1.0 if inverted else standard.ti, "flip": standard.flip}
    drawn = {}
    for name, middle in middles.items():
        low, high = getattr(chosen, name) or (middle, middle)
        drawn[name] = middle + spread * (rng.uniform(low, high) - middle)
    if inverted:
        drawn["ti"] *= csf_null(drawn["tr"], csf_t1)
    return replace(standard, tr=drawn["tr"], te=drawn["te"], ti=drawn["ti"], flip=drawn["flip"])
