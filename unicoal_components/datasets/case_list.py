"""Evaluation cases, and their reader from a configuration."""

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
"""Value of an axis: every axis along which both volumes of the subject are truly thin."""


@dataclass(frozen=True)
class Case:
    """One task of the network: thin `target` from `source` with slices `factor` times thicker.

    Attributes:
        source: modality of the input.
        target: modality of the output.
        factor: thick over thin slice spacing.
        axis: plane of the slices, one of `PLANES`, or `THIN`.
    """

    source: str
    target: str
    factor: float
    axis: str = PLANES[0]

    def __str__(self) -> str:
        return f"{self.source} to {self.target}, factor {self.factor:g}, {self.axis}"


def read_cases(cases: Sequence[Mapping[str, Any]], *, modalities: Sequence[str]) -> list[Case]:
    """Read and check a list of cases from a configuration.

    Args:
        cases: `{"source": "t1", "target": "t2", "factor": 4, "axis": "axial"}` for each case; `axis` is optional.
        modalities: known modalities.

    Raises:
        ValueError: the list is empty, a key is missing or unknown, a modality is not in `modalities`, a factor is not
            a number of at least 1, an axis is not axial, coronal, sagittal or thin, or a case is repeated.

    Example:
        >>> read_cases([{"source": "t1", "target": "t2", "factor": 4}], modalities=["t1", "t2"])
        [Case(source='t1', target='t2', factor=4.0, axis='axial')]
    """
    if not cases:
        raise ValueError('cases is empty; give at least one, such as [{"source": "t1", "target": "t2", "factor": 4}].')
    checked = [_read_case(case, modalities=modalities) for case in cases]
    variants = [{replace(case, axis=axis) for axis in (case.axis, THIN)} for case in checked]
    twice = sorted(
        {str(case) for case in checked if checked.count(case) > 1 or sum(case in variant for variant in variants) > 1}
    )
    if twice:
        raise ValueError(f"cases names {'; '.join(twice)} more than once; remove the repetition.")
    return checked


def _read_case(case: Mapping[str, Any], *, modalities: Sequence[str]) -> Case:
    if set(case) - {AXIS} != {SOURCE, TARGET, "factor"}:
        raise ValueError(
            f"case {dict(case)} has the keys {sorted(case)}; allowed are exactly factor, source, target, and "
            "optionally axis (default axial)."
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
            f"case {dict(case)}: axis is {axis!r}; allowed is one of {', '.join(PLANES)} (the plane of the slices), or "
            f"{THIN}: every axis along which both volumes of the subject are truly thin."
        )
    return Case(source=case[SOURCE], target=case[TARGET], factor=float(factor), axis=axis)
