"""The cases that an evaluation asks, as they stand in a configuration."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..slices.planes import PLANES

SOURCE = "source"
TARGET = "target"
AXIS = "axis"
THIN = "thin"
"""In place of an axis: every one along which the person's two volumes are truly thin."""


@dataclass(frozen=True)
class Case:
    """One question put to the network: thin `target` from `source` with slices `factor` times thicker.

    `axis` is the plane of the slices, of `PLANES`, or `THIN`.
    """

    source: str
    target: str
    factor: float
    axis: str = PLANES[0]

    def __str__(self) -> str:
        return f"{self.source} to {self.target}, factor {self.factor:g}, {self.axis}"


def read_cases(cases: Sequence[Mapping[str, Any]], *, modalities: Sequence[str]) -> list[Case]:
    """Check a list of `{"source": "t1", "target": "t2", "factor": 4, "axis": "axial"}` from a configuration.

    The axis may be left out: axial.

    Raises:
        ValueError: the list is empty, a key is missing or unknown, a modality is not in `modalities`, a factor is not
            a number of at least 1, an axis is none of axial, coronal, sagittal and thin, or a case stands there twice.

    >>> read_cases([{"source": "t1", "target": "t2", "factor": 4}], modalities=["t1", "t2"])
    [Case(source='t1', target='t2', factor=4.0, axis='axial')]
    """
    if not cases:
        raise ValueError(
            'cases is empty; give at least one, for example [{"source": "t1", "target": "t2", "factor": 4}].'
        )
    checked = [_read_case(case, modalities=modalities) for case in cases]
    others = [{replace(case, axis=axis) for axis in (case.axis, THIN)} for case in checked]
    twice = sorted(
        {str(case) for case in checked if checked.count(case) > 1 or sum(case in other for other in others) > 1}
    )
    if twice:
        raise ValueError(f"cases names {'; '.join(twice)} more than once; leave the repetition out.")
    return checked


def _read_case(case: Mapping[str, Any], *, modalities: Sequence[str]) -> Case:
    if set(case) - {AXIS} != {SOURCE, TARGET, "factor"}:
        raise ValueError(
            f"case {dict(case)} has the keys {sorted(case)}; allowed are exactly factor, source, target, and axis "
            "where it is not axial."
        )
    for role in (SOURCE, TARGET):
        if case[role] not in modalities:
            raise ValueError(
                f"case {dict(case)}: {role} '{case[role]}' is unknown; allowed is one of {list(modalities)}. Correct "
                "the name or add it to modalities (and train with it)."
            )
    factor = case["factor"]
    if isinstance(factor, bool) or not isinstance(factor, int | float) or not 1 <= factor < math.inf:
        raise ValueError(
            f"case {dict(case)}: factor is {factor!r}; allowed is a number of at least 1 (thick over thin slice "
            "spacing; 1 means that source and target have the same grid)."
        )
    axis = case.get(AXIS, PLANES[0])
    if axis not in (*PLANES, THIN):
        raise ValueError(
            f"case {dict(case)}: axis is {axis!r}; allowed is one of {', '.join(PLANES)}, the plane of the slices, or "
            f"{THIN}: every one along which the person's volumes are truly thin."
        )
    return Case(source=case[SOURCE], target=case[TARGET], factor=float(factor), axis=axis)
