"""Baselines without a network, such as interpolation, for the tables of an evaluation."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ..slices.interpolation import cubic_interpolation, linear_interpolation, nearest_slices

BASELINES = {
    "copy": "the nearest thick slice of the input",
    "linear": "the input, interpolated linearly between its slices",
    "cubic": "the input, interpolated by cubic splines through its slices",
    "affine": "an oracle: the cubic row under the affine intensity map that fits the truth best in the foreground",
}
"""The methods without a network, each with its description."""


def check_baselines(names: Sequence[str]) -> tuple[str, ...]:
    """Return the names as a tuple.

    Raises:
        ValueError: a name is unknown.
    """
    unknown = [name for name in names if name not in BASELINES]
    if unknown:
        raise ValueError(f"baselines: {unknown} unknown; allowed are {', '.join(BASELINES)}, or an empty list.")
    return tuple(names)


def affine_map(image: torch.Tensor, target: torch.Tensor, *, inside: torch.Tensor | None = None) -> torch.Tensor:
    """Return a * image + b, with a and b of least squared error to the target over the voxels inside.

    With the mean m over these voxels, a = cov(image, target) / var(image) and b = m_target - a * m_image; a constant
    image gives the mean of the target. Voxels outside keep their value: a map that also had to preserve the background
    could not invert a contrast.

    Args:
        image: image of any shape.
        target: truth of the same shape.
        inside: bool mask of the same shape; `None` for all voxels.

    Example:
        >>> image = torch.tensor([0.0, 1.0, 2.0])
        >>> affine_map(image, 1 - image).tolist()
        [1.0, 0.0, -1.0]
    """
    inside = torch.ones_like(image, dtype=torch.bool) if inside is None else inside
    x, y = image[inside].double(), target[inside].double()
    variance = (x - x.mean()).square().mean()
    covariance = ((x - x.mean()) * (y - y.mean())).mean()
    slope = covariance / variance if variance > 0 else torch.zeros_like(variance)
    mapped = image.clone()
    mapped[inside] = (slope * (x - x.mean()) + y.mean()).to(image.dtype)
    return mapped


def baseline(
    name: str,
    *,
    stack: torch.Tensor,
    factor: float,
    indices: torch.Tensor,
    target: torch.Tensor,
    inside: torch.Tensor | None = None,
) -> torch.Tensor:
    """Return the thin volume that one of `BASELINES` makes from the thick input.

    Args:
        name: name of the baseline.
        stack: thick source slices `(N, H, W)` in [-1, 1].
        factor: thick over thin slice spacing.
        indices: indices of the thin slices wanted, `(K,)`.
        target: truth `(K, H, W)`; used by `affine` alone.
        inside: bool mask `(K, H, W)` where `affine` fits and applies its map; `None` for everywhere.

    Returns:
        `(K, H, W)` in [-1, 1]; values outside (splines overshoot) are clipped, like those of the network's output.
    """
    check_baselines([name])
    if name == "copy":
        return nearest_slices(stack, factor, indices)
    if name == "linear":
        return linear_interpolation(stack, factor, indices)
    cubic = cubic_interpolation(stack, factor, indices).clamp(-1.0, 1.0)
    return cubic if name == "cubic" else affine_map(cubic, target, inside=inside).clamp(-1.0, 1.0)
