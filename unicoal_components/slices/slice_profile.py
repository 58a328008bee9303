"""Simulation of thick slices from thin ones, as in the official data preparation or as a scanner acquires them."""

import math
from collections.abc import Sequence
from itertools import chain
from numbers import Real
from typing import Protocol

import numpy as np

from ..keys import BLANK
from .slice_group import TOLERANCE, check_factor, slice_centers, thick_count

PROFILES = ("drop", "gaussian", "box")


class Stack(Protocol):
    """Readable stack `(D, H, W)`: an array, or a reader of a file."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Depth, height and width."""

    def __getitem__(self, rows: slice) -> np.ndarray:
        """Return consecutive slices, `(n, H, W)`."""


def check_profile(profile: str) -> str:
    """Return the profile's name.

    Raises:
        ValueError: the profile is unknown.
    """
    if profile not in PROFILES:
        raise ValueError(f"profile is {profile!r}; it must be one of {', '.join(map(repr, PROFILES))}")
    return profile


def check_thickness(thickness: float) -> float:
    """Return the thickness of a thick slice, in thin slices, as a float.

    Raises:
        ValueError: the thickness is not a finite number above 0.
    """
    if isinstance(thickness, bool) or not isinstance(thickness, Real) or not 0 < thickness < math.inf:
        raise ValueError(f"thickness is {thickness!r}; it must be a finite real number > 0, in thin slices")
    return float(thickness)


def profile_weights(center: float, thickness: float, depth: int, profile: str) -> tuple[int, np.ndarray]:
    """Return the first thin slice of a thick one and the weights of the thin slices from there on.

    "gaussian" averages over the slice profile of a selective excitation (as SynthSR and the like model it):
    w(d) ∝ exp(-4 ln 2 (d / t)²) at the distance d of a thin slice from the center, for |d| ≤ 1.5 t; so the full width
    at half maximum is the slice thickness t. "box" is the ideal profile: w is the part of a thin slice, which is 1
    wide, within t / 2 of the center, for any center and thickness (the centroid of the weights is within 1 / (8 t) of
    it, as a partial thin slice counts at its own center). "drop" is the official preparation: the thin slice at
    the center, all others are dropped; between two thin slices their linear interpolation.

    Weights sum to 1, also at the volume's ends, where a profile that reaches outside is cut off. Thin slices have their
    own scanner's profile, so thinner ones cannot be made from them: a thickness of at most 1 interpolates linearly in
    all profiles. For "box" this is continuous (a box of width 1 is the linear interpolation); "gaussian" starts to blur
    just above 1.

    Args:
        center: center of the thick slice, in thin slices.
        thickness: slice thickness t, in thin slices, > 0: the spacing k if slices touch, less with a gap between
            them, more if they overlap. It has no effect on "drop".
        depth: number of thin slices D.
        profile: "drop", "gaussian" or "box".

    Returns:
        Index of the first thin slice, and float64 weights; none if the center is outside [0, D - 1].

    Raises:
        ValueError: if the thickness is not positive or there is no such profile.

    Example:
        >>> profile_weights(2.25, 4, 10, "drop")
        (2, array([0.75, 0.25]))
        >>> profile_weights(3, 2, 10, "box")
        (2, array([0.25, 0.5 , 0.25]))
    """
    thickness = check_thickness(thickness)
    check_profile(profile)
    if not -TOLERANCE <= center <= depth - 1 + TOLERANCE:
        return 0, np.zeros(0)
    weigh = {"gaussian": _gaussian, "box": _box}.get(profile, _linear) if thickness > 1 else _linear
    start, weights = weigh(center, thickness, depth)
    return start, weights / weights.sum()


def _linear(center: float, thickness: float, depth: int) -> tuple[int, np.ndarray]:
    start, distance = _distances(center, 1 - 2 * TOLERANCE, depth)
    return start, 1 - distance


def _gaussian(center: float, thickness: float, depth: int) -> tuple[int, np.ndarray]:
    start, distance = _distances(center, 1.5 * thickness, depth)
    return start, np.exp(-4 * math.log(2) * (distance / thickness) ** 2)


def _box(center: float, thickness: float, depth: int) -> tuple[int, np.ndarray]:
    start, distance = _distances(center, (thickness + 1) / 2 - 2 * TOLERANCE, depth)
    return start, np.minimum((thickness + 1) / 2 - distance, 1)


def _distances(center: float, reach: float, depth: int) -> tuple[int, np.ndarray]:
    """Return the first thin slice within reach of a center, and the distances of it and the following ones."""
    start = max(math.ceil(center - reach - TOLERANCE), 0)
    stop = min(math.floor(center + reach + TOLERANCE) + 1, depth)
    return start, np.abs(np.arange(start, stop) - center)


def thick_slices(stack: Stack, centers: Sequence[float], thickness: float, profile: str) -> np.ndarray:
    """Return thick slices at the given centers, reading each thin slice that they need once.

    Args:
        stack: `(D, H, W)`, thin slices, intensities in [-1, 1].
        centers: centers of the S thick slices, in thin slices; slices outside [0, D - 1] are blank (-1).
        thickness: slice thickness, in thin slices, > 0; the factor k without a gap.
        profile: "drop", "gaussian" or "box", see `profile_weights`.

    Returns:
        `(S, H, W)`, float32.

    Raises:
        ValueError: if the thickness is not positive or there is no such profile.
    """
    depth, height, width = stack.shape
    parts = [profile_weights(center, thickness, depth, profile) for center in centers]
    thin = _read(stack, sorted(set(chain.from_iterable(range(start, start + len(w)) for start, w in parts))))
    slices = np.full((len(parts), height, width), BLANK, dtype=np.float32)
    for result, (start, weights) in zip(slices, parts, strict=True):
        if len(weights):
            result[...] = _weighted_sum([thin[start + i] for i in range(len(weights))], weights)
    return slices


def thick_volume(
    stack: Stack, factor: float, profile: str, *, thickness: float | None = None, phase: float = 0.0
) -> np.ndarray:
    """Return all the thick slices of a volume, centered at p, p + k, p + 2k and so on.

    Args:
        stack: `(D, H, W)`, thin slices, intensities in [-1, 1].
        factor: spacing k of the thick slices, in thin slices, ≥ 1.
        profile: "drop", "gaussian" or "box", see `profile_weights`.
        thickness: slice thickness, in thin slices, > 0; `None` = k, no gap.
        phase: center p of the first thick slice, in thin slices, in [0, k) and at most D - 1.

    Returns:
        `(N, H, W)`, float32, N = ⌊(D - 1 - p) / k⌋ + 1.

    Raises:
        ValueError: if the factor, the thickness or the phase is out of its range, or there is no such profile.

    Example:
        >>> thick_volume(np.arange(6.0).reshape(6, 1, 1), 2.5, "drop").ravel().tolist()
        [0.0, 2.5, 5.0]
        >>> thick_volume(np.arange(6.0).reshape(6, 1, 1), 2.5, "drop", phase=1.25).ravel().tolist()
        [1.25, 3.75]
    """
    factor = check_factor(factor)
    depth = stack.shape[0]
    if not 0 <= phase < factor or phase > depth - 1:
        raise ValueError(
            f"phase is {phase!r}; it must be in [0, factor), here [0, {factor:g}), and inside the volume's {depth} "
            "thin slices: it is the position of the first thick slice"
        )
    count = thick_count(depth - phase, factor)
    centers = [slice_centers(phase + n * factor, factor, size=2)[0] for n in range(count)]
    return thick_slices(stack, centers, factor if thickness is None else thickness, profile)


def _read(stack: Stack, rows: Sequence[int]) -> dict[int, np.ndarray]:
    """Read slices in as few runs as possible; views, not copies, of a float32 array."""
    slices: dict[int, np.ndarray] = {}
    breaks = [i for i in range(1, len(rows)) if rows[i] != rows[i - 1] + 1]
    for first, last in zip([0, *breaks], [*breaks, len(rows)], strict=True):
        if first < last:
            run = np.asarray(stack[rows[first] : rows[last - 1] + 1], dtype=np.float32)
            slices.update(zip(rows[first:last], run, strict=True))
    return slices


def _weighted_sum(images: Sequence[np.ndarray], weights: np.ndarray) -> np.ndarray:
    """Sum in a fixed order, so that the result does not depend on memory layout (that of BLAS may)."""
    if len(images) == 1:
        return images[0]
    total = images[0] * np.float32(weights[0])
    for image, weight in zip(images[1:], weights[1:], strict=True):
        total += image * np.float32(weight)
    return total
