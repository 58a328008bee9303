"""Profile and thickness of simulated slices, or the gap between them, in mm."""

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real

from .slice_profile import check_profile

LARGEST_RELATIVE = 4.0  # slice thickness over slice spacing


@dataclass(frozen=True, kw_only=True)
class SliceThickness:
    """Profile and thickness of the thick slices made from thin ones, the same for all subjects.

    The factor k gives the slice spacing = k · thin spacing. As slice spacing = slice thickness + slice gap, either of
    the two, in mm, determines the other; with neither the slices touch.

    Args:
        profile: "gaussian", "box" or "drop", see `profile_weights`.
        slice_gap: gap between neighboring slices in mm, at every factor; negative if slices overlap.
        slice_thickness: thickness of the slices in mm, at every factor; `None` = from the gap.

    Raises:
        ValueError: the profile is unknown, a value is not finite, the thickness is not positive, both gap and
            thickness are given, or one of them together with "drop", which has no thickness.

    Example:
        >>> SliceThickness(slice_gap=0.6).in_thin_slices(4, spacing=1.2, path="p01.h5")
        3.5
    """

    profile: str = "gaussian"
    slice_gap: float = 0.0
    slice_thickness: float | None = None

    def __post_init__(self) -> None:
        check_profile(self.profile)
        if not _is_finite(self.slice_gap):
            raise ValueError(f"slice_gap is {self.slice_gap!r}; it must be a number, in mm, 0 without a gap")
        if self.slice_thickness is not None and not (_is_finite(self.slice_thickness) and self.slice_thickness > 0):
            raise ValueError(
                f"slice_thickness is {self.slice_thickness!r}; it must be a number > 0, in mm, or null for the slice "
                "spacing less slice_gap"
            )
        if self.slice_gap and self.slice_thickness is not None:
            raise ValueError(
                f"slice_gap is {self.slice_gap!r} and slice_thickness is {self.slice_thickness!r}; give one of them, "
                "the other follows from slice spacing = slice_thickness + slice_gap"
            )
        if self.profile == "drop" and not self._touching:
            raise ValueError(
                f"profile is 'drop', with slice_gap {self.slice_gap!r} and slice_thickness {self.slice_thickness!r}; "
                "dropped slices have no thickness: set profile to 'gaussian' or 'box', or leave gap and thickness out"
            )

    @property
    def _touching(self) -> bool:
        return not self.slice_gap and self.slice_thickness is None

    def in_thin_slices(self, factor: float, *, spacing: float | None, path: str | os.PathLike) -> float:
        """Return the slice thickness in thin slices.

        At a factor of 1 the source is the thin scan itself, so the thickness is 1.

        Args:
            factor: thick over thin slice spacing, ≥ 1.
            spacing: thin slice spacing in mm; `None` if unknown, which is allowed if slices touch.
            path: the subject's file, used in error messages.

        Raises:
            ValueError: the spacing is needed but unknown, or the gap is not less than the slice spacing.
        """
        if self._touching or factor == 1:
            return float(factor)
        if spacing is None:
            raise ValueError(
                f"subject file '{path}' does not tell its slice spacing, so slice_gap {self.slice_gap:g} and "
                f"slice_thickness {self.slice_thickness} in mm cannot be used. Prepare it with "
                "'unicoal prepare', or set slice_gap to 0 and slice_thickness to null."
            )
        if self.slice_thickness is not None:
            return self.slice_thickness / spacing
        thickness = factor - self.slice_gap / spacing
        if thickness <= 0:
            raise ValueError(
                f"slice_gap is {self.slice_gap:g} mm, while slices of '{path}' at factor {factor:g} are {factor:g} x "
                f"{spacing:g} mm = {factor * spacing:g} mm apart; nothing is left for the slice. Use a smaller gap or "
                "larger factors."
            )
        return thickness


def _is_finite(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)


def read_thickness_range(given: Sequence[float]) -> tuple[float, float]:
    """Return the lowest and the highest slice thickness over slice spacing to draw from.

    Raises:
        ValueError: the range is not two numbers above 0 and at most 4, the lower one first.

    Example:
        >>> read_thickness_range([0.6, 1.3])
        (0.6, 1.3)
    """
    try:
        low, high = map(float, given)
    except (TypeError, ValueError):
        low, high = 0.0, 0.0
    if not 0 < low <= high <= LARGEST_RELATIVE:
        raise ValueError(
            f"thickness is {given!r}; it must be [lowest, highest] slice thickness over slice spacing, above 0 and at "
            f"most {LARGEST_RELATIVE:g}, such as [0.6, 1.3], or null"
        )
    return low, high
