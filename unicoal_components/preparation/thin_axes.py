"""Detection of the axes along which a volume has real detail down to its voxel size, from its spectrum.

A volume that was acquired with thick slices and interpolated to thin ones cannot serve as truth for super-resolution
along that axis, whatever its header says.
"""

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..datasets.hdf5 import AXIAL
from ..slices.planes import PLANES, axis_of, planes_of

LENGTH = 16
"""Voxels per profile; short, so that most profiles are inside the head, and so that 30 thick slices have some."""

LOW_BAND = (0.19, 0.41)
HIGH_BAND = (0.59, 0.71)
"""In units of the Nyquist frequency; at this length of the profiles they hold 0.25 and 0.375, and 0.625."""

FOREGROUND = 0.1
"""Smallest intensity of the voxels of a profile, relative to the 99th percentile of the positive voxels."""

LEAST_DETAIL = 0.04
LEAST_OF_LARGEST = 0.27
FEWEST_PROFILES = 100


Detail = tuple[float, float, float]
"""Detail along D, H, W; see `axis_detail`."""


def axis_detail(volume: np.ndarray) -> Detail:
    """Measure the share of high spatial frequencies along each axis of a volume.

    The volume is cut into profiles of 16 voxels along the axis, overlapping by half. Only profiles entirely inside the
    foreground (every voxel above 0.1 of the 99th percentile) count, which excludes the edge of a background of zeros,
    whose spectrum has all frequencies, and noise in air. With p a profile minus its regression line, h a Hann window
    and f in units of the Nyquist frequency::

        P(f)   = sum over profiles |DFT(h p)(f)|^2
        detail = mean of P at f = 0.625 / mean of P at f = 0.25 and 0.375

    Anatomy has a spectrum that falls as a power of the frequency, so the ratio hardly depends on the voxel size. A
    profile interpolated from slices 1.6 or more times as far apart has almost no power at 0.625, both for interpolation
    in space and for zero filling in k-space.

    Args:
        volume: `(D, H, W)`, any intensities, background lower than the rest.

    Returns:
        The ratio along D, H, W, at least 0; white noise gives 1; NaN if fewer than 100 profiles are in the foreground.
    """
    positive = volume[volume > 0]
    if not positive.size:
        return math.nan, math.nan, math.nan
    level = FOREGROUND * np.percentile(positive, 99)
    along_d, along_h, along_w = (_detail(np.moveaxis(volume, axis, -1), level) for axis in range(3))
    return along_d, along_h, along_w


def _detail(rows: np.ndarray, level: float) -> float:
    """Return the ratio of the two bands along the last axis."""
    window = np.hanning(LENGTH + 2)[1:-1].astype(np.float32)
    ramp = np.arange(LENGTH, dtype=np.float32) - (LENGTH - 1) / 2
    power, number = np.zeros(LENGTH // 2 + 1), 0
    for start in range(0, rows.shape[-1] - LENGTH + 1, LENGTH // 2):
        part = rows[..., start : start + LENGTH]
        profiles = part[(part > level).all(axis=-1)].astype(np.float32)
        profiles -= profiles.mean(axis=1, keepdims=True)
        profiles -= (profiles @ ramp / (ramp @ ramp))[:, None] * ramp
        power += np.square(np.abs(np.fft.rfft(profiles * window, axis=1))).sum(axis=0)
        number += len(profiles)
    low, high = (power[_bins(band)].mean() for band in (LOW_BAND, HIGH_BAND))
    return float(high / low) if number >= FEWEST_PROFILES and low > 0 else math.nan


def _bins(band: tuple[float, float]) -> np.ndarray:
    frequency = np.arange(LENGTH // 2 + 1) / (LENGTH / 2)
    return (band[0] <= frequency) & (frequency <= band[1])


def thin_axes_of(detail: Detail) -> tuple[int, ...]:
    """Return the axes along which a volume is truly thin: detail of at least 0.04 and 0.27 of the largest of the three.

    The second condition is for noisy scans, because noise raises all three ratios. The thresholds are between the
    values measured on volumes whose acquisition is known. Truly thin (44 subjects, T1, T2 and
    FLAIR of 0.8 to 1.33 mm: OpenfMRI ds000011, OpenNeuro ds002748, C-STAR P50 DC014664, the FLAIR of Lesjak 2017 and
    others): from 0.051 and from 0.36 of the largest. Interpolated (the 2 mm of ds002748; T1, T1c and T2 of Lesjak 2017;
    the 2.5 to 5 mm of TCGA-DU-7294): up to 0.042, and those up to 0.19 of the largest. Blurred (mean of 152 subjects):
    up to 0.033, in all axes.

    It detects neither an interpolation by less than about 1.5, nor one to which noise was added afterwards.

    Args:
        detail: result of `axis_detail`.

    Returns:
        Axes of (D, H, W). An axis that could not be measured is not included; if none could, as in volumes of a few
        slices, the result is the first axis, as for files without a record.

    Example:
        >>> thin_axes_of((0.004, 0.09, 0.12)), thin_axes_of((float("nan"),) * 3)
        ((1, 2), (0,))
    """
    known = [value for value in detail if not math.isnan(value)]
    if not known:
        return AXIAL
    least = max(LEAST_DETAIL, LEAST_OF_LARGEST * max(known))
    return tuple(axis for axis, value in enumerate(detail) if value >= least)


def describe_detail(detail: Detail) -> str:
    """Return the measured detail as one line of text.

    Example:
        >>> describe_detail((0.004, float("nan"), 0.12))
        'axial 0.004, coronal unknown, sagittal 0.12'
    """
    words = ("unknown" if math.isnan(value) else f"{value:.2g}" for value in detail)
    return ", ".join(f"{plane} {word}" for plane, word in zip(PLANES, words, strict=True))


@dataclass(frozen=True)
class ThinAxes:
    """Axes along which a volume is truly thin, and how they were found.

    Attributes:
        axes: axes of (D, H, W), in order.
        detail: measured detail, see `axis_detail`.
        named: whether the axes were named by the user instead of measured.
    """

    axes: tuple[int, ...]
    detail: Detail
    named: bool = False

    @property
    def warnings(self) -> tuple[str, ...]:
        """Warnings about named axes along which the spectrum looks interpolated."""
        denied = sorted(set(self.axes) - set(thin_axes_of(self.detail)))
        if not self.named or not denied or all(math.isnan(self.detail[axis]) for axis in denied):
            return ()
        return (
            f"named as truly thin: {', '.join(planes_of(denied))}, where its spectrum looks interpolated (detail: "
            f"{describe_detail(self.detail)}); metrics against such slices favor blurred results",
        )

    def record(self) -> dict[str, Any]:
        """Return the planes, how they were found and the detail, as JSON values."""
        detail = {
            plane: None if math.isnan(value) else round(value, 4)
            for plane, value in zip(PLANES, self.detail, strict=True)
        }
        return {"planes": list(planes_of(self.axes)), "by": "name" if self.named else "spectrum", "detail": detail}


def find_thin_axes(volume: np.ndarray, named: Sequence[str] | None = None) -> ThinAxes:
    """Measure the axes along which a volume `(D, H, W)` is truly thin, unless its planes are named.

    Named planes are always kept, because the measure can be wrong, for example on smooth scans; a plane whose spectrum
    looks interpolated gets a warning.

    Args:
        volume: `(D, H, W)`, any intensities, background lower than the rest.
        named: planes of axial, coronal and sagittal; `None` measures.
    """
    detail = axis_detail(volume)
    if named is None:
        return ThinAxes(thin_axes_of(detail), detail)
    return ThinAxes(tuple(sorted(axis_of(plane) for plane in named)), detail, named=True)


def check_usable(thin: ThinAxes, path: str | os.PathLike, *, modalities: int) -> None:
    """Check that a subject's only volume is thin along at least one axis; otherwise nothing can be learned from it.

    With other modalities a volume without a thin axis is useful for synthesis at a factor of 1. Named planes are always
    accepted, also if none are named.

    Args:
        thin: thin axes of the volume.
        path: path of the scan, used in the error message.
        modalities: number of modalities of the subject.

    Raises:
        ValueError: the only volume is thin along no axis; the message names the file, the detail and the remedy.
    """
    if thin.axes or thin.named or modalities > 1:
        return
    raise ValueError(
        f"scan '{path}' is truly thin along no axis: its spectrum looks interpolated or blurred (detail: "
        f"{describe_detail(thin.detail)}; thin is at least {LEAST_DETAIL:g} and {LEAST_OF_LARGEST:g} of the largest). "
        "No thick slices with a known truth can be made from it, and there is no other modality to synthesize. Leave "
        "it out, give the scan as it was acquired, or name the planes in which it is thin, such as --thin_axes axial."
    )
