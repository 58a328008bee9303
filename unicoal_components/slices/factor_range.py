"""Factors of a training: single numbers, and ranges to draw from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from .slice_group import check_factor


@dataclass(frozen=True)
class FactorRange:
    """Every real factor in [low, high], equally likely; 1 ≤ low < high."""

    low: float
    high: float

    def draw(self, random: np.random.RandomState) -> float:
        """Return a factor, drawn with one random number."""
        return float(random.uniform(self.low, self.high))


Factor = float | FactorRange


def read_factors(factors: Sequence[float | Mapping[str, float]] | Mapping[str, float]) -> list[Factor]:
    """Read the factors of a configuration: a list of numbers and ranges, or one range.

    Raises:
        ValueError: there are no factors, a number is below 1 or not finite, or a range has other keys than min and max
            or min is not below max.

    Example:
        >>> read_factors([1, 2.5])
        [1.0, 2.5]
        >>> read_factors({"min": 2, "max": 6})
        [FactorRange(low=2.0, high=6.0)]
    """
    entries = [factors] if isinstance(factors, Mapping) else list(factors)
    if not entries:
        raise ValueError("factors is empty; give at least one real number >= 1, such as [1, 2, 4, 6]")
    return [_range(entry) if isinstance(entry, Mapping) else check_factor(entry) for entry in entries]


def _range(entry: Mapping[str, float]) -> FactorRange:
    if set(entry) != {"min", "max"}:
        raise ValueError(
            f"factors holds {dict(entry)!r}; a range needs exactly the keys min and max: {{'min': 2.0, 'max': 6.0}}"
        )
    low, high = check_factor(entry["min"]), check_factor(entry["max"])
    if low >= high:
        raise ValueError(f"factors holds {dict(entry)!r}; min must be below max (for one factor give the number)")
    return FactorRange(low, high)
