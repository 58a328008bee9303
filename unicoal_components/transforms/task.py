"""What one inference run does: from names and mm a person writes to the numbers a network takes."""

import logging
import math
from collections.abc import Mapping, Sequence
from typing import Any

from monai.transforms import Transform

from ..data.slice_group import check_factor
from ..keys import Keys
from .source import SOURCE, Source

logger = logging.getLogger(__name__)

RANGES = ("factor", "slice_spacing")


def modality_index(name: str, modalities: Sequence[str], field: str = "modality") -> int:
    """Return the class index of a modality.

    Raises:
        ValueError: the name is not among those the network knows; they are listed.

    Example:
        >>> modality_index("t2", ["t1", "t2", "flair"])
        1
    """
    if name not in modalities:
        raise ValueError(f"{field} is {name!r}; this network knows {list(modalities)} (lower case).")
    return list(modalities).index(name)


def factor_for(thick: float, thin: float, path: str) -> float:
    """Return how many thin slices of `thin` mm make one of `thick` mm, both from center to center.

    Raises:
        ValueError: less than one.

    Example:
        >>> factor_for(5.0, 1.25, "a.nii")
        4.0
    """
    if thin > thick * (1 + 1e-3):
        raise ValueError(
            f"output_spacing is {thin:g} mm, but the slices of '{path}' are {thick:g} mm apart already. Give a smaller "
            "one, or leave it out to keep the slices where they are."
        )
    return max(thick / thin, 1.0)


class SetTaskd(Transform):
    """Write the task of the run into every item: source and target class index, and the factor.

    Args:
        modalities: Names in the order of the network's classes.
        source_modality: Name of what the input scans show.
        target_modality: Name of what to synthesize; the same for super-resolution.
        factor: Thick over thin slice spacing, a real number >= 1; 1 keeps the grid.
        output_spacing: Distance of the thin slices in mm; each scan gets the factor that leads there, whatever
            `factor` is. `None` = by `factor`.
        training_range: What the network was trained on: [smallest, largest] "factor", and "slice_spacing" of the thin
            slices in mm; a scan outside gets a warning. `None` = unknown.

    Raises:
        ValueError: If a name is unknown, the factor is below 1 or the spacing or range unusable; and, when called, if
            `output_spacing` is larger than the scan's own.
    """

    def __init__(
        self,
        *,
        modalities: Sequence[str],
        source_modality: str,
        target_modality: str,
        factor: float = 1.0,
        output_spacing: float | None = None,
        training_range: Mapping[str, Sequence[float]] | None = None,
    ) -> None:
        self.source = modality_index(source_modality, modalities, "source_modality")
        self.target = modality_index(target_modality, modalities, "target_modality")
        self.factor = check_factor(factor)
        number = isinstance(output_spacing, int | float) and not isinstance(output_spacing, bool)
        if output_spacing is not None and not (number and 0 < output_spacing < math.inf):
            raise ValueError(
                f"output_spacing is {output_spacing!r}; it must be a positive number, in mm, or null to go by factor."
            )
        self.output_spacing = output_spacing
        self.training_range = {name: (float(low), float(high)) for name, (low, high) in (training_range or {}).items()}
        unknown = sorted(set(self.training_range) - set(RANGES))
        if unknown:
            raise ValueError(f"training_range has {unknown}; it may have {list(RANGES)}, each [smallest, largest].")

    def __call__(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Return the item with `modality`, `source_modality` (int) and `factor` (float)."""
        source = Source.of(data)
        spacing = source.spacing[2]
        factor = self.factor
        if self.output_spacing is not None:
            factor = factor_for(spacing, self.output_spacing, source.path)
        warnings = self._warnings(factor, spacing / factor)
        for warning in warnings:
            logger.warning("scan '%s': %s.", source.path, warning)
        task = {Keys.MODALITY: self.target, Keys.SOURCE_MODALITY: self.source, Keys.FACTOR: factor}
        return {**data, **task, SOURCE: source.warned(*warnings).text()}

    def _warnings(self, factor: float, spacing: float) -> list[str]:
        """Say what lies outside of the training's range, by more than 1 %."""
        warnings = []
        for name, value in zip(RANGES, (factor, spacing), strict=True):
            low, high = self.training_range.get(name, (0.0, math.inf))
            if not low * 0.99 <= value <= high * 1.01:
                unit = " mm" if name == "slice_spacing" else ""
                warnings.append(
                    f"its {name.replace('_', ' ')} of {value:.4g}{unit} is outside of what the network was trained on, "
                    f"{low:g} to {high:g}{unit}; the result may be poor"
                )
        return warnings
