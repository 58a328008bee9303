"""Range of a network's training data, and warnings about scans and results outside of it."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

UNITS = {"factor": "", "slice_spacing": " mm", "stack_spacing": " mm", "relative_thickness": ""}
"""Quantities with a range, and their units."""

ERROR = "expected_error"
KINDS = ("same", "cross")

FAR = 1.5
"""Ratio of the expected error to that of the training data above which there is a warning."""


class TrainingRange:
    """Comparison of scans with the training data.

    Args:
        values: [smallest, largest] "factor"; "slice_spacing" of the thin slices in mm; "stack_spacing" of the slices at
            a factor of 1 in mm; "relative_thickness", slice thickness over slice spacing; and {"same": ..., "cross":
            ...} "expected_error" within a modality and between two, as a fraction of the intensity range. Missing
            values and `None` are unknown and not compared.

    Raises:
        ValueError: a name is unknown, or a value does not have this form.
    """

    def __init__(self, values: Mapping[str, Any] | None) -> None:
        given = {name: value for name, value in (values or {}).items() if value is not None}
        unknown = sorted(given.keys() - {*UNITS, ERROR})
        if unknown:
            raise ValueError(f"training_range has {unknown}; it may have {[*UNITS, ERROR]}.")
        self.ranges = {name: _range(name, value) for name, value in given.items() if name != ERROR}
        self.errors = _errors(given.get(ERROR, {}))

    def doubts(self, **values: float) -> list[str]:
        """Return a warning for each value outside its range by more than 1 %, each a clause about the scan."""
        found = []
        for name, value in values.items():
            low, high = self.ranges.get(name, (0.0, math.inf))
            if not low * 0.99 <= value <= high * 1.01:
                found.append(
                    f"its {name.replace('_', ' ')} of {value:.4g}{UNITS[name]} is outside of what the network was "
                    f"trained on, {low:g} to {high:g}{UNITS[name]}; the result may be poor"
                )
        return found

    def clipped(self, name: str, value: float) -> float:
        """Return a value clipped to its range."""
        low, high = self.ranges.get(name, (0.0, math.inf))
        return min(max(value, low), high)

    def doubt_of_error(self, error: float | None, *, same: bool) -> str | None:
        """Return a warning if a result's expected error is far above that of the training data.

        Args:
            error: expected error as a fraction of the intensity range; `None` = unknown.
            same: whether source and target are the same modality.

        Returns:
            A clause about the scan; `None` if there is nothing to warn about.
        """
        usual = self.errors.get(KINDS[0] if same else KINDS[1])
        if usual is None or error is None or error <= FAR * usual:
            return None
        return (
            f"the network expects an error of {error:.2g} of the intensity range in it, {error / usual:.1f} times that "
            f"of the training data ({usual:g}); the result may be poor"
        )


def _range(name: str, value: Any) -> tuple[float, float]:
    pair = isinstance(value, Sequence) and len(value) == 2 and all(map(_is_number, value))
    if not pair or not value[0] <= value[1]:
        raise ValueError(f"training_range has {name} {value!r}; it must be [smallest, largest], two numbers, or null.")
    return float(value[0]), float(value[1])


def _errors(values: Any) -> dict[str, float]:
    kinds = isinstance(values, Mapping) and values.keys() <= set(KINDS)
    if not kinds or not all(value is None or (_is_number(value) and value > 0) for value in values.values()):
        raise ValueError(
            f"training_range has {ERROR} {values!r}; it must be {{'same': ..., 'cross': ...}} with numbers above 0, as "
            "fractions of the intensity range, or null."
        )
    return {kind: float(value) for kind, value in values.items() if value is not None}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
