"""Consistency of a volume and its error through plane, which measures of single slices do not show."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch
from monai.utils import convert_to_numpy

from ..slices.slice_group import TOLERANCE, check_factor
from .measure import CaseVolumes, Column

Volume = torch.Tensor | np.ndarray

STRIP = 16

COLUMNS = (
    Column(name="roughness", label="roughness", better="one"),
    Column(name="banding", label="banding", better="one"),
    Column(name="error_jitter", label="error jitter", better="none"),
)


def through_plane_consistency(*, prediction: Volume, target: Volume, foreground: Volume) -> dict[str, float]:
    """Measure the change between slices of a prediction p and of its error e = p - target.

    With sums and means over the foreground voxels whose neighbors along d are foreground too::

        roughness    = mean |p[d+1] - 2 p[d] + p[d-1]| / the same of the target
        error_jitter = sum (e[d+1] - e[d])^2 / sum (e[d+1]^2 + e[d]^2)

    A roughness of 1 is that of the truth; above is flicker or steps, below is blur through plane. Steps and blur can
    cancel: of a real T2 thickened to 4 times the spacing, the copied slices have 0.84, the cubic interpolation 0.23.
    `banding` distinguishes them. The jitter is 1 minus the correlation of the error between neighbors, half the
    Durbin-Watson statistic: 0 if the error does not change between slices, 1 if it is independent, 2 if its sign
    alternates. Neither depends on the scale of the intensities. Both depend on the slice spacing: compare methods on
    the same grid only. Slices far apart (every 7th) share little in any volume, and then neither measures flicker.

    Args:
        prediction: `(D, H, W)`, neighboring slices along D.
        target: the truth, same shape.
        foreground: evaluated voxels, `(D, H, W)` bool.

    Returns:
        `roughness`, NaN if no 3 neighbors are foreground or the truth is linear; `error_jitter` in [0, 2], NaN
        if no 2 neighbors are foreground or there is no error.

    Raises:
        ValueError: shapes differ or are not `(D, H, W)`.

    Example:
        >>> flicker = np.array([0.0, 1.0, 0.0, 1.0]).reshape(4, 1, 1)
        >>> half = through_plane_consistency(prediction=flicker / 2, target=flicker, foreground=flicker >= 0)
        >>> half["roughness"], round(half["error_jitter"], 3)
        (0.5, 1.0)
    """
    strips = _strips(prediction=prediction, target=target, foreground=foreground)
    bend, true_bend, change, energy = np.sum([_sums(*strip) for strip in strips], axis=0)
    return {"roughness": _ratio(bend, true_bend), "error_jitter": _ratio(change, energy)}


def _sums(predicted: np.ndarray, true: np.ndarray, inside: np.ndarray) -> list[float]:
    """Return the sums in the numerators and denominators of the two measures."""
    triple, pair = inside[2:] & inside[1:-1] & inside[:-2], inside[1:] & inside[:-1]
    error = predicted - true
    change, energy = np.square(np.diff(error, axis=0)), np.square(error[1:]) + np.square(error[:-1])
    return [_bend(predicted)[triple].sum(), _bend(true)[triple].sum(), change[pair].sum(), energy[pair].sum()]


def banding(*, prediction: Volume, target: Volume, foreground: Volume, factor: float) -> float:
    """Measure how much the change between slices concentrates at one phase of the thick slice spacing.

    Thin slices made from thick ones of `factor` times the spacing can show steps with that period. The mean
    |p[d+1] - p[d]| over pairs of foreground voxels is computed for each phase of the pair within the period, divided by
    that of the truth at the same slices. The largest of these ratios over their mean is 1 if the change is
    distributed as in the truth, and ⌈factor⌉, the number of phases, if all of it is at one phase, as in the copy of the
    nearest thick slice. If the factor is no integer, the phases are equal parts of the period.

    Args:
        prediction: `(D, H, W)`, neighboring slices along D.
        target: the truth, same shape.
        foreground: evaluated voxels, `(D, H, W)` bool.
        factor: thick over thin slice spacing, a real number >= 1.

    Returns:
        In [1, ⌈factor⌉]; NaN for a factor of 1, and if prediction or truth do not change or a phase has no pair.

    Raises:
        ValueError: shapes differ or are not `(D, H, W)`, or the factor is below 1.

    Example:
        >>> ramp = np.arange(8.0).reshape(8, 1, 1)
        >>> banding(prediction=ramp // 4 * 4, target=ramp, foreground=ramp >= 0, factor=4)
        4.0
    """
    places = math.ceil(check_factor(factor) - TOLERANCE)
    strips = _strips(prediction=prediction, target=target, foreground=foreground)
    changes = np.sum([_changes(*strip) for strip in strips], axis=0)
    if places < 2:
        return float("nan")
    phase = (np.arange(changes.shape[1]) + 0.5) / factor % 1
    place = np.minimum((phase * places).astype(int), places - 1)
    sums = [np.bincount(place, weights=change, minlength=places) for change in changes]
    ratios = [_ratio(p, t) for p, t in zip(*sums, strict=True)]
    return _ratio(float(np.max(ratios)), float(np.mean(ratios)))


def _changes(predicted: np.ndarray, true: np.ndarray, inside: np.ndarray) -> list[np.ndarray]:
    """Return for both volumes the sum of absolute changes between slices d and d + 1, `(D - 1,)`."""
    pair = inside[1:] & inside[:-1]
    return [(np.abs(np.diff(volume, axis=0)) * pair).sum(axis=(1, 2)) for volume in (predicted, true)]


def sweep_roughness(slices: Volume) -> dict[str, float]:
    """Measure how evenly a network's output changes with the slice position.

    Args:
        slices: outputs at equally spaced positions, `(P, H, W)`.

    Returns:
        `step`: mean |x[p+1] - x[p]|, in the unit of the slices. `bend`: mean |x[p+1] - 2 x[p] + x[p-1]| / `step`; 0 for
        a linear change, sqrt(3) for white noise. `largest_step`: the largest of the P - 1 steps, each a mean over the
        slice, over their median; 1 is even, a jump is large, infinite if most steps are 0 but not all. NaN if
        there are too few slices (2 for a step, 3 for a bend) or nothing changes.

    Raises:
        ValueError: the slices are not `(P, H, W)`.

    Example:
        >>> sweep_roughness(np.array([0.0, 1.0, 2.0, 5.0]).reshape(4, 1, 1))
        {'step': 1.6666666666666667, 'bend': 0.6, 'largest_step': 3.0}
    """
    positions = np.asarray(convert_to_numpy(slices), dtype=np.float64)
    if positions.ndim != 3:
        raise ValueError(f"slices have shape {positions.shape}; it must be (P, H, W), one slice for each position.")
    steps = np.abs(np.diff(positions, axis=0)).mean(axis=(1, 2))
    if not len(steps):
        return dict.fromkeys(("step", "bend", "largest_step"), float("nan"))
    step, median, largest = float(steps.mean()), float(np.median(steps)), float(steps.max())
    bend = float(_bend(positions).mean()) if len(steps) > 1 else float("nan")
    even = math.inf if largest > 0 and median == 0 else _ratio(largest, median)
    return {"step": step, "bend": _ratio(bend, step), "largest_step": even}


class ThroughPlane:
    """Measure `through_plane_consistency` and `banding` of a case.

    All slices of the case count, as each needs its neighbors: `evaluated_slices` is ignored. The distance to the
    neighbors is the first of `spacing`; cases with omitted slices are not comparable to complete ones.
    """

    columns = COLUMNS
    note = ""

    def __call__(self, case: CaseVolumes) -> dict[str, float]:
        """Return `roughness`, `banding` and `error_jitter`."""
        volumes = {"prediction": case.prediction, "target": case.target, "foreground": case.foreground}
        return through_plane_consistency(**volumes) | {"banding": banding(**volumes, factor=case.factor)}


def _strips(
    *, prediction: Volume, target: Volume, foreground: Volume
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yield strips of rows `(D, STRIP, W)` in float64, so that long volumes need little memory."""
    predicted, true, inside = (np.asarray(convert_to_numpy(x)) for x in (prediction, target, foreground))
    if true.ndim != 3 or not predicted.shape == true.shape == inside.shape or not true.size:
        raise ValueError(
            f"prediction has shape {predicted.shape}, target {true.shape}, foreground {inside.shape}; all must be "
            "(D, H, W), the same grid, with at least one voxel."
        )
    for row in range(0, true.shape[1], STRIP):
        rows = np.s_[:, row : row + STRIP]
        yield predicted[rows].astype(np.float64), true[rows].astype(np.float64), inside[rows].astype(bool)


def _bend(volume: np.ndarray) -> np.ndarray:
    return np.abs(np.diff(volume, n=2, axis=0))


def _ratio(over: float, under: float) -> float:
    return float(over / under) if under > 0 else float("nan")
