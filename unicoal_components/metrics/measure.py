"""What a report measures: columns, and the objects that fill them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

BETTER = ("higher", "lower", "one", "none")

ERROR_LIMIT = 0.25
"""Share of the data range at which pictures show an error in full white."""


@dataclass(frozen=True)
class Column:
    """One number of a case.

    Attributes:
        name: in the CSV, unique.
        label: in tables for people.
        unit: "dB", "mm", ...; "" for none.
        better: which way is better: "higher", "lower", "one" (the nearer to 1), or "none" (it does not say).
        digits: behind the point in tables for people.
    """

    name: str
    label: str
    unit: str = ""
    better: str = "higher"
    digits: int = 3


@dataclass(frozen=True, eq=False)
class CaseVolumes:
    """A prediction and its truth on one grid.

    Attributes:
        prediction: `(D, H, W)` float32 in [-1, 1], background -1.
        target: the truth, the same shape and range.
        foreground: `(D, H, W)` bool, from the truth alone (`foreground.py`), the same for all methods.
        evaluated_slices: indices into D that count, or `None` for all.
        spacing: in mm between neighbors along D, H, W.
        factor: spacing of the input's slices over that along D; 1 where there is no such period.
        axis: which axis of the subject file's (D, H, W) the slices lie along, where that is not its own first; H and W
            are then the two others, in order.
    """

    prediction: np.ndarray
    target: np.ndarray
    foreground: np.ndarray
    evaluated_slices: np.ndarray | None = None
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0)
    factor: float = 1.0
    axis: int = 0


class Measure(Protocol):
    """Turns a case into numbers.

    Attributes:
        columns: what it gives.
        note: why its columns are empty, or "".
    """

    @property
    def columns(self) -> tuple[Column, ...]:
        """What it gives."""

    @property
    def note(self) -> str:
        """Why its columns are empty, or ""."""

    def __call__(self, case: CaseVolumes) -> dict[str, float]:
        """Return a number for each column's name; NaN where there is none."""
