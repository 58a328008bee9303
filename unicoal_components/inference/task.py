"""What one inference run does: from names and mm a person writes to the numbers a network takes."""

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from monai.transforms import Transform

from ..keys import Keys
from ..slices.slice_group import check_factor
from .loaded_scan import SCAN, LoadedScan
from .training_range import TrainingRange

logger = logging.getLogger(__name__)


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
    """Write the task of the run into every item: source and target class index, the factor, and the slice thickness.

    The thickness that a network is told is that of a slice over the slice spacing: 1 where slices touch, less with
    gaps between them, more where they overlap. At a factor of 1 it is 1, as in training: there nothing is made thinner.

    Args:
        modalities: Names in the order of the network's classes.
        source_modality: Name of what the input scans show.
        target_modality: Name of what to synthesize; the same for super-resolution.
        factor: Thick over thin slice spacing, a real number >= 1; 1 keeps the grid.
        output_spacing: Distance of the thin slices in mm; each scan gets the factor that leads there, whatever
            `factor` is. `None` = by `factor`.
        slice_thickness: Of the input scans in mm, whatever their headers say. `None` = as their headers say; where they
            say nothing, slices touch.
        training_range: What the network was trained on, see `TrainingRange`; a scan outside gets a warning, and its
            relative thickness becomes the nearest inside. `None` = unknown.

    Raises:
        ValueError: If a name is unknown, the factor is below 1 or a spacing, thickness or range unusable; and, when
            called, if `output_spacing` is larger than the scan's own.
    """

    def __init__(
        self,
        *,
        modalities: Sequence[str],
        source_modality: str,
        target_modality: str,
        factor: float = 1.0,
        output_spacing: float | None = None,
        slice_thickness: float | None = None,
        training_range: Mapping[str, Any] | None = None,
    ) -> None:
        self.source = modality_index(source_modality, modalities, "source_modality")
        self.target = modality_index(target_modality, modalities, "target_modality")
        self.factor = check_factor(factor)
        if not _is_mm(output_spacing):
            raise ValueError(
                f"output_spacing is {output_spacing!r}; it must be a positive number, in mm, or null to go by factor."
            )
        if not _is_mm(slice_thickness):
            raise ValueError(
                f"slice_thickness is {slice_thickness!r}; it must be a positive number, in mm, or null to go by the "
                "header."
            )
        self.output_spacing = output_spacing
        self.slice_thickness = slice_thickness
        self.training_range = TrainingRange(training_range)

    def __call__(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Return the item with `modality`, `source_modality` (int), `factor` and `thickness` (float)."""
        scan = LoadedScan.from_item(data)
        if self.slice_thickness is not None:
            scan = replace(scan, slice_thickness=float(self.slice_thickness))
        spacing = scan.spacing[2]
        factor = self.factor
        if self.output_spacing is not None:
            factor = factor_for(spacing, self.output_spacing, scan.path)
        thickness = 1.0 if factor == 1 or scan.slice_thickness is None else scan.slice_thickness / spacing
        warnings = self.training_range.doubts(
            factor=factor, slice_spacing=spacing / factor, relative_thickness=thickness
        )
        for warning in warnings:
            logger.warning("scan '%s': %s.", scan.path, warning)
        task = {Keys.MODALITY: self.target, Keys.SOURCE_MODALITY: self.source, Keys.FACTOR: factor}
        task[Keys.THICKNESS] = self.training_range.clipped("relative_thickness", thickness)
        return {**data, **task, SCAN: scan.with_warnings(*warnings).as_entry()}


def _is_mm(value: Any) -> bool:
    """Tell `None` and positive numbers."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return value is None or (number and 0 < value < math.inf)
