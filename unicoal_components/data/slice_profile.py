"""Make thick slices from thin ones, as the official data preparation or as a scanner does."""

import math
from collections.abc import Sequence
from itertools import chain
from typing import Protocol

import numpy as np

from ..keys import BLANK
from .slice_group import TOLERANCE, check_factor, slice_centers, thick_count

PROFILES = ("drop", "gaussian")


class Stack(Protocol):
    """Anything like a `(D, H, W)` array of which slices can be read: an array, or a reader of a file."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Depth, height and width."""

    def __getitem__(self, rows: slice) -> np.ndarray:
        """Return some consecutive slices, `(n, H, W)`."""


def check_profile(profile: str) -> str:
    """Return the profile's name.

    Raises:
        ValueError: If there is no such profile.
    """
    if profile not in PROFILES:
        raise ValueError(f"profile is {profile!r}; it must be one of {', '.join(map(repr, PROFILES))}")
    return profile


def profile_weights(center: float, factor: float, depth: int, profile: str) -> tuple[int, np.ndarray]:
    """Return the first thin slice of a thick one and the weights of the thin slices from there on.

    "gaussian" averages over the slice profile of a selective excitation (as SynthSR and the like model it):
    w(t) ∝ exp(-4 ln 2 (t / k)²) at the distance t of a thin slice from the center, for |t| ≤ 1.5 k; so the full width
    at half maximum is the factor k, the slice thickness of a scan without gaps. Weights sum to 1, also at the volume's
    ends. "drop" is the official preparation: the thin slice at the center, the others are thrown away; between two thin
    slices their linear interpolation. A factor of 1 leaves slices as they are in both profiles (thin slices already
    have their scanner's profile), so "gaussian" starts to blur just above 1.

    Args:
        center: Center of the thick slice, in thin slices.
        factor: Thickness k, in thin slices, ≥ 1.
        depth: Number of thin slices D.
        profile: "drop" or "gaussian".

    Returns:
        Index of the first thin slice, and float64 weights; none of them where the center is outside [0, D - 1].

    >>> profile_weights(2.25, 4, 10, "drop")
    (2, array([0.75, 0.25]))
    """
    check_factor(factor)
    check_profile(profile)
    if not -TOLERANCE <= center <= depth - 1 + TOLERANCE:
        return 0, np.zeros(0)
    reach = 1.5 * factor if profile == "gaussian" and factor > 1 else 1 - 2 * TOLERANCE
    start = max(math.ceil(center - reach - TOLERANCE), 0)
    stop = min(math.floor(center + reach + TOLERANCE) + 1, depth)
    distance = np.abs(np.arange(start, stop) - center)
    if profile == "gaussian" and factor > 1:
        weights = np.exp(-4 * math.log(2) * (distance / factor) ** 2)
    else:
        weights = 1 - distance
    return start, weights / weights.sum()


def thick_slices(stack: Stack, centers: Sequence[float], factor: float, profile: str) -> np.ndarray:
    """Return thick slices at the given centers, reading every thin slice that they need once, and no other.

    Args:
        stack: `(D, H, W)`, thin slices, intensities in [-1, 1].
        centers: Centers of the S thick slices, in thin slices; slices outside [0, D - 1] are blank (-1).
        factor: Thickness k, in thin slices, ≥ 1.
        profile: "drop" or "gaussian", see `profile_weights`.

    Returns:
        `(S, H, W)`, float32.
    """
    depth, height, width = stack.shape
    parts = [profile_weights(center, factor, depth, profile) for center in centers]
    thin = _read(stack, sorted(set(chain.from_iterable(range(start, start + len(w)) for start, w in parts))))
    slices = np.full((len(parts), height, width), BLANK, dtype=np.float32)
    for result, (start, weights) in zip(slices, parts, strict=True):
        if len(weights):
            result[...] = _weighted_sum([thin[start + i] for i in range(len(weights))], weights)
    return slices


def thick_slice(stack: Stack, center: float, factor: float, profile: str) -> np.ndarray:
    """Return one thick slice `(H, W)`; the same, bit for bit, as that slice of `thick_volume`.

    >>> thick_slice(np.arange(5.0).reshape(5, 1, 1), 2, 2, "drop").item()
    2.0
    """
    return thick_slices(stack, [center], factor, profile)[0]


def thick_volume(stack: Stack, factor: float, profile: str) -> np.ndarray:
    """Return all the thick slices of a volume, `(N, H, W)` with N = ⌊(D - 1) / k⌋ + 1, centered at 0, k, 2k and so on.

    >>> thick_volume(np.arange(6.0).reshape(6, 1, 1), 2.5, "drop").ravel().tolist()
    [0.0, 2.5, 5.0]
    """
    factor = check_factor(factor)
    count = thick_count(stack.shape[0], factor)
    centers = [slice_centers(n * factor, factor, size=2)[0] for n in range(count)]
    return thick_slices(stack, centers, factor, profile)


def _read(stack: Stack, rows: Sequence[int]) -> dict[int, np.ndarray]:
    """Read slices in as few runs as possible; a view, not a copy, where the stack is a float32 array."""
    slices: dict[int, np.ndarray] = {}
    breaks = [i for i in range(1, len(rows)) if rows[i] != rows[i - 1] + 1]
    for first, last in zip([0, *breaks], [*breaks, len(rows)], strict=True):
        if first < last:
            run = np.asarray(stack[rows[first] : rows[last - 1] + 1], dtype=np.float32)
            slices.update(zip(rows[first:last], run, strict=True))
    return slices


def _weighted_sum(images: Sequence[np.ndarray], weights: np.ndarray) -> np.ndarray:
    """Add up in a fixed order, so that the result does not depend on memory layout (a BLAS product's may)."""
    if len(images) == 1:
        return images[0]
    total = images[0] * np.float32(weights[0])
    for image, weight in zip(images[1:], weights[1:], strict=True):
        total += image * np.float32(weight)
    return total
