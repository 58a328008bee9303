"""MONAI transform that sets the task of an inference run: modalities, factor and slice thickness."""

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from monai.transforms import Transform

from ..geometry.pixel_size import pixel_range
from ..keys import Keys
from ..slices.slice_group import check_factor
from .loaded_scan import SCAN, LoadedScan
from .training_range import TrainingRange

logger = logging.getLogger(__name__)

MARGIN = 0.01
"""Part by which a slice spacing may be outside of the network's pixel sizes for an average over planes."""


def modality_index(name: str, modalities: Sequence[str], field: str = "modality") -> int:
    """Return the class index of a modality.

    Args:
        name: name of the modality.
        modalities: names in the order of the network's classes.
        field: name of the option, used in error messages.

    Raises:
        ValueError: the network does not know the name; the message lists the known ones.

    Example:
        >>> modality_index("t2", ["t1", "t2", "flair"])
        1
    """
    if name not in modalities:
        raise ValueError(f"{field} is {name!r}; this network knows {list(modalities)} (lower case).")
    return list(modalities).index(name)


def factor_for(thick: float, thin: float, path: str) -> float:
    """Return the factor between two slice spacings, measured from center to center.

    Args:
        thick: spacing of the thick slices in mm.
        thin: spacing of the thin slices in mm.
        path: path of the scan, used in error messages.

    Raises:
        ValueError: the thin spacing is larger than the thick one.

    Example:
        >>> factor_for(5.0, 1.25, "a.nii")
        4.0
    """
    if thin > thick * (1 + 1e-3):
        raise ValueError(
            f"output_spacing is {thin:g} mm, but the slices of '{path}' are {thick:g} mm apart already. Give a smaller "
            "one, or omit it to keep the slices."
        )
    return max(thick / thin, 1.0)


class SetTaskd(Transform):
    """Add the task of the run to every item: class indices of source and target, factor, and slice thickness.

    The network gets the slice thickness relative to the slice spacing: 1 if slices touch, less with gaps, more with
    overlap. At a factor of 1 it is 1, as in training.

    Args:
        modalities: names in the order of the network's classes.
        source_modality: modality of the input scans.
        target_modality: modality to synthesize; that of the source for super-resolution.
        factor: thick over thin slice spacing, a real number >= 1; 1 keeps the grid.
        output_spacing: spacing of the thin slices in mm; it determines the factor of each scan and overrides
            `factor`. `None` = use `factor`.
        slice_thickness: slice thickness of the input scans in mm; overrides their headers. `None` = from the headers;
            slices touch if a header has none.
        training_range: range of the training data, see `TrainingRange`; a scan outside it gets a warning, and its
            relative thickness is clipped to the range. `None` = unknown.
        average_planes: whether to synthesize another modality from the axial, coronal and sagittal slices and average,
            where the factor is 1 and the slices are as close as the network's pixels (`in_plane_spacing` of
            `LoadStackd`). Takes three times as long.

    Raises:
        ValueError: a name is unknown, the factor is below 1, or a spacing, thickness or range is invalid; when called,
            `output_spacing` is larger than the scan's slice spacing.
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
        average_planes: bool = False,
    ) -> None:
        self.source = modality_index(source_modality, modalities, "source_modality")
        self.target = modality_index(target_modality, modalities, "target_modality")
        self.factor = check_factor(factor)
        if not _is_mm(output_spacing):
            raise ValueError(
                f"output_spacing is {output_spacing!r}; it must be a positive number, in mm, or null to use factor."
            )
        if not _is_mm(slice_thickness):
            raise ValueError(
                f"slice_thickness is {slice_thickness!r}; it must be a positive number, in mm, or null to use the "
                "header."
            )
        self.output_spacing = output_spacing
        self.slice_thickness = slice_thickness
        self.training_range = TrainingRange(training_range)
        self.average_planes = average_planes

    def __call__(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Return the item with `modality`, `source_modality`, `planes` (int), `factor` and `thickness` (float)."""
        scan = LoadedScan.from_item(data)
        if self.slice_thickness is not None:
            scan = replace(scan, slice_thickness=float(self.slice_thickness))
        spacing = scan.spacing[2]
        factor = self.factor
        if self.output_spacing is not None:
            factor = factor_for(spacing, self.output_spacing, scan.path)
        thickness = 1.0 if factor == 1 or scan.slice_thickness is None else scan.slice_thickness / spacing
        distance = {"stack_spacing": spacing} if factor == 1 else {"slice_spacing": spacing / factor}
        warnings = self.training_range.doubts(factor=factor, **distance, relative_thickness=thickness)
        for warning in warnings:
            logger.warning("scan '%s': %s.", scan.path, warning)
        task = {Keys.MODALITY: self.target, Keys.SOURCE_MODALITY: self.source, Keys.FACTOR: factor}
        task[Keys.THICKNESS] = self.training_range.clipped("relative_thickness", thickness)
        averaged = self.average_planes and factor == 1 and self.source != self.target and _as_close_as_pixels(scan)
        task[Keys.PLANES] = 3 if averaged else 1
        return {**data, **task, SCAN: scan.with_warnings(*warnings).as_entry()}


def _as_close_as_pixels(scan: LoadedScan) -> bool:
    """Return whether slices along any axis have pixels of a size that the network knows."""
    *pixels, depth = scan.spacing
    smallest, largest = pixel_range(sorted(pixels) if scan.in_plane_spacing is None else scan.in_plane_spacing)
    return smallest * (1 - MARGIN) <= depth <= largest * (1 + MARGIN)


def _is_mm(value: Any) -> bool:
    """Return whether a value is `None` or a finite positive number."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return value is None or (number and 0 < value < math.inf)
