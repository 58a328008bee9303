"""Data consistency of super-resolution: thin slices whose mean over a thick slice is the thick slice that was given."""

import math

import numpy as np
import torch
from torch import Tensor

from ..keys import BLANK
from ..slices.slice_group import are_neighbors, slice_centers
from ..slices.slice_profile import profile_weights

PROFILES = ("box", "gaussian")
"""Slice profiles of which the mean is assumed: a scanner's lies between the ideal one and a Gaussian."""

INSIDE = 0.95
"""Least part of a thick slice's profile that must lie within the thin slices, for the slice to be used."""

SMOOTHNESS = 0.35
"""Distance over which a change varies, in thick slices: as that of a Gaussian process of this length scale."""

DAMPING = 0.1
"""Variance of a thick slice's noise, relative to that of what is missing in it."""

STRIP = 16


def make_consistent(thin: Tensor, stack: Tensor, *, indices: Tensor, factor: float, thickness: float = 1.0) -> None:
    """Correct thin slices, in place, so that averaged by the slice profile they give the thick ones.

    With the slice profiles A, thin slices x and thick ones y, add the most likely change that explains y, if changes
    of slices i and j have the covariance W = exp(-(i - j)² / (2 s²)), and y has noise::

        x + W A' (A W A' + d I)⁻¹ (y - A x),   s = 0.35 factor,   d = 0.1 mean(diag(A W A'))

    With W = I it is what the iterations of back-projection come to (Irani and Peleg, 1991). From what is missing in a
    slice, y - A x, the part that is proportional to the slice's intensities y + 1 is taken away first: slices of
    interleaved acquisitions differ in brightness. Background (-1) stays, and so does all if the slices are no
    neighbors, as their mean over a thick slice is not known.

    Args:
        thin: thin slices x `(K, H, W)` in [-1, 1], of the same modality as the stack.
        stack: thick slices y `(N, H, W)` in [-1, 1].
        indices: their numbers `(K,)`; thin slice b is at depth b / factor in the stack.
        factor: thick over thin slice spacing k, ≥ 1.
        thickness: slice thickness over thick slice spacing.
    """
    if not are_neighbors(indices):
        return
    profiles, used = profile_matrix(len(thin), len(stack), first=int(indices[0]), factor=factor, thickness=thickness)
    if not len(used):
        return
    numbers = np.arange(len(thin))
    covariance = np.exp(-((numbers[:, None] - numbers) ** 2) / (2 * (SMOOTHNESS * factor) ** 2))
    known = profiles @ covariance @ profiles.T
    damping = DAMPING * np.trace(known) / len(known) * np.eye(len(known))
    back = np.linalg.solve(known + damping, profiles @ covariance).T
    average, correct = (torch.from_numpy(matrix).to(stack) for matrix in (profiles, back))
    given = stack[torch.from_numpy(used)]
    missing = without_brightness(given - torch.tensordot(average, thin, dims=1), intensities=given - BLANK)
    for row in range(0, thin.shape[1], STRIP):
        strip = thin[:, row : row + STRIP]
        corrected = (strip + torch.tensordot(correct, missing[:, row : row + STRIP], dims=1)).clamp(-1, 1)
        strip.copy_(torch.where(strip > BLANK, corrected, strip))


def without_brightness(missing: Tensor, *, intensities: Tensor) -> Tensor:
    """Return images `(M, H, W)` without the part of each that is a multiple of its intensities, by least squares."""
    energy = intensities.square().sum(dim=(1, 2), keepdim=True).clamp(min=torch.finfo(missing.dtype).tiny)
    return missing - (missing * intensities).sum(dim=(1, 2), keepdim=True) / energy * intensities


def profile_matrix(
    thin: int, thick: int, *, first: int, factor: float, thickness: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return the weights of K thin slices in the thick ones, for those that lie well within the thin slices.

    Args:
        thin: number of thin slices K.
        thick: number of thick slices N.
        first: number of the first thin slice.
        factor: thick over thin slice spacing.
        thickness: slice thickness over thick slice spacing.

    Returns:
        `(M, K)` float64, each row with a sum of 1, and the numbers `(M,)` of the thick slices.
    """
    width = thickness * factor
    margin = math.ceil(1.5 * width) + 1
    rows = np.zeros((thick, thin + 2 * margin))
    for number, row in enumerate(rows):
        center = slice_centers(number * factor, factor, size=2)[0] - first + margin
        for profile in PROFILES:
            start, weights = profile_weights(center, width, len(row), profile)
            row[start : start + len(weights)] += weights / len(PROFILES)
    rows = rows[:, margin : margin + thin]
    total = rows.sum(axis=1)
    used = np.flatnonzero(total >= INSIDE)
    return rows[used] / total[used, None], used
