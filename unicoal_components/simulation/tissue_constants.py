"""Relaxation times and proton densities of the tissues of a head, per field strength and subject."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

# T1 grows with the field as B^0.38 in brain tissue (Rooney et al., MRM 57:308, 2007: 0.376 in gray, 0.382 in white
# matter), hardly in fat and not in free water; T2 decreases a little (Stanisz et al., MRM 54:507, 2005).
T1_EXPONENT = 0.38
T2_EXPONENT = -0.07
_T1_EXPONENTS: Mapping[str, float] = {"csf": 0.0, "choroid": 0.2, "fat": 0.15, "marrow": 0.15}
STANDARD_FIELD = 3.0


@dataclass(frozen=True)
class Tissue:
    """Relaxation times and proton density of one tissue.

    Attributes:
        t1: longitudinal relaxation time in ms, above 0.
        t2: transverse relaxation time in ms, above 0.
        pd: proton density relative to water, in [0, 1.5].
    """

    t1: float
    t2: float
    pd: float


# At 3 T. T1 of gray and white matter are near the 1331 and 832 ms of Wansapura et al., JMRI 9:531, 1999, the 1350 and
# 810 ms of Marques et al., NeuroImage 49:1271, 2010, and the 1295 and 886 ms of Rooney's power laws. T2: Stanisz 2005
# (99 and 69 ms), closer to each other, as in scans; water content: Whittall et al., MRM 37:34, 1997. The deep nuclei
# are between gray and white matter in Rooney's order, with T2 shortened by iron. CSF's T2 is lower than at rest,
# because CSF flows. Muscle: Stanisz 2005. Fat's T2 is the long one of echo trains, whose refocusing pulses undo the
# J coupling; its value, and the rest (choroid, lesion, marrow, bone), are chosen by visual comparison with scans.
TISSUES: Mapping[str, Tissue] = {
    "csf": Tissue(4200.0, 1200.0, 1.0),
    "gray": Tissue(1260.0, 88.0, 0.83),
    "limbic": Tissue(1300.0, 97.0, 0.84),
    "white": Tissue(850.0, 73.0, 0.71),
    "deep_gray": Tissue(1130.0, 79.0, 0.80),
    "caudate": Tissue(1230.0, 83.0, 0.82),
    "putamen": Tissue(1140.0, 76.0, 0.81),
    "thalamus": Tissue(1060.0, 79.0, 0.78),
    "pallidum": Tissue(890.0, 57.0, 0.74),
    "brainstem": Tissue(900.0, 77.0, 0.74),
    "choroid": Tissue(2200.0, 180.0, 0.90),
    "lesion": Tissue(1650.0, 165.0, 0.83),
    "fat": Tissue(370.0, 130.0, 0.90),
    "muscle": Tissue(1400.0, 47.0, 0.78),
    "marrow": Tissue(550.0, 70.0, 0.45),
    "bone": Tissue(900.0, 20.0, 0.10),
    "air": Tissue(1000.0, 50.0, 0.0),
}
BRAIN_TISSUES = frozenset(TISSUES) - {"fat", "muscle", "marrow", "bone", "air"}


def tissues_at(field: float) -> dict[str, Tissue]:
    """Return the table of tissues at a field strength.

    Args:
        field: field strength in tesla, in [0.2, 10].

    Raises:
        ValueError: `field` is out of its range.

    Example:
        >>> gray = tissues_at(1.5)["gray"]
        >>> round(gray.t1), round(gray.t2)
        (968, 92)
    """
    if not 0.2 <= field <= 10:
        raise ValueError(f"field is {field!r}; it must be a field strength in tesla from 0.2 to 10, such as 1.5 or 3.")
    ratio = field / STANDARD_FIELD
    return {
        name: Tissue(
            tissue.t1 * ratio ** _T1_EXPONENTS.get(name, T1_EXPONENT),
            tissue.t2 * ratio ** (0.0 if name == "csf" else T2_EXPONENT),
            tissue.pd,
        )
        for name, tissue in TISSUES.items()
    }


def vary_tissues(
    tissues: Mapping[str, Tissue], rng: np.random.Generator, *, spread: float = 0.1, contrast_spread: float = 0.04
) -> dict[str, Tissue]:
    """Draw the tissue constants of one subject.

    T1 and T2 vary uniformly within ±`spread` for the whole head (age, measurement), and within ±`contrast_spread` for
    each tissue; PD varies by a third of that, because water content varies less. If each tissue varied by the whole
    spread alone, gray and white matter would look alike in some subjects. CSF, nearly free water, varies only alone, so
    that FLAIR nulls it in every subject. Lesions are of different ages, so they vary three times as much alone.

    Args:
        tissues: table of tissues at the field strength.
        rng: source of randomness.
        spread: variation of T1 and T2 common to all tissues but CSF.
        contrast_spread: variation of each tissue alone.
    """
    common = 1.0 + spread * rng.uniform(-1.0, 1.0, 2)
    result = {}
    for name, tissue in tissues.items():
        own = contrast_spread * (3.0 if name == "lesion" else 1.0)
        t1, t2, pd = 1.0 + own * rng.uniform(-1.0, 1.0, 3) * (1.0, 1.0, 1.0 / 3.0)
        head_t1, head_t2 = (1.0, 1.0) if name == "csf" else common
        result[name] = Tissue(tissue.t1 * head_t1 * t1, tissue.t2 * head_t2 * t2, tissue.pd * pd)
    return result
