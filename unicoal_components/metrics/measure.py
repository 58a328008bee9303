"""Interface of a report's measures, and their columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

BETTER = ("higher", "lower", "one", "none")

ERROR_LIMIT = 0.25
"""Fraction of the data range at which images show an error in full white."""


@dataclass(frozen=True)
class Column:
    """Column of a report, one number per case.

    Attributes:
        name: name in the CSV, unique.
        label: label in tables.
        unit: "dB", "mm", ...; "" for none.
        better: which values are better: "higher", "lower", "one" (the closer to 1), or "none" (undefined).
        digits: decimals in tables.
    """

    name: str
    label: str
    unit: str = ""
    better: str = "higher"
    digits: int = 3


@dataclass(frozen=True, eq=False)
class CaseVolumes:
    """A prediction and its truth on the same grid.

    Attributes:
        prediction: `(D, H, W)` float32 in [-1, 1], background -1.
        target: the truth, the same shape and range.
        foreground: `(D, H, W)` bool, from the truth alone (`foreground.py`), the same for all methods.
        evaluated_slices: indices into D to evaluate, or `None` for all.
        spacing: distance in mm between neighbors along D, H, W.
        factor: spacing of the input's slices over that along D; 1 if there is no such period.
        axis: axis of the subject file's (D, H, W) along which the slices are; H and W are the two others, in order.
    """

    prediction: np.ndarray
    target: np.ndarray
    foreground: np.ndarray
    evaluated_slices: np.ndarray | None = None
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0)
    factor: float = 1.0
    axis: int = 0


class Measure(Protocol):
    """Measure that computes the numbers of a case.

    Attributes:
        columns: columns of the numbers.
        note: reason why its columns are empty, or "".
    """

    @property
    def columns(self) -> tuple[Column, ...]:
        """Columns of the numbers."""

    @property
    def note(self) -> str:
        """Reason why its columns are empty, or ""."""

    def __call__(self, case: CaseVolumes) -> dict[str, float]:
        """Return a number for each column's name; NaN if there is none."""
