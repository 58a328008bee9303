"""Brightness of a slice covered by several windows, from a prediction of the whole slice at larger pixels."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from ..keys import BLANK

WIDE = 1.5
"""Slices longer than this times the window are predicted in context."""

SMALLEST = 0.6
"""Least size of the reduced slice, as a part: about the smallest zoom of the training."""

BLUR = 0.05
"""Standard deviation of the blur over the window's side."""


def predict_in_context(groups: Tensor, *, predict: Callable[..., Tensor], resolution: int, **options: Any) -> Tensor:
    """Predict slices in windows, and take their coarse brightness from a prediction that sees the slice as a whole.

    How bright a tissue is in the target depends on what else the scan contains, such as bright fat, and a window in the
    middle of a head does not see it. With D the coarse prediction, enlarged, minus the fine one, the result is the fine
    one + blur(D) inside the tissue, so that detail stays that of the fine one.

    Args:
        groups: slice groups `(B, S, H, W)` in [-1, 1].
        predict: maps groups of any size to slices `(B, C, H, W)`; the first channel is corrected.
        resolution: side R of a window.
        options: passed to `predict`.

    Returns:
        `(B, C, H, W)`; where H and W are at most 1.5 R, what `predict` gives.
    """
    fine = predict(groups, **options)
    sizes = groups.shape[2:]
    if max(sizes) <= WIDE * resolution:
        return fine
    zoom = max(resolution / max(sizes), SMALLEST)
    small = [max(round(zoom * size), 1) for size in sizes]
    reduce = [mean(size, few).to(groups) for size, few in zip(sizes, small, strict=True)]
    coarse = predict(along_both(reduce, groups - BLANK) + BLANK, **options)[:, :1]
    coarse = interpolate(coarse, size=sizes, mode="bilinear", align_corners=False)
    middle = groups.shape[1] // 2
    inside = (groups[:, middle - 1 : middle + 1].amax(dim=1, keepdim=True) > BLANK).to(fine.dtype)
    blur = [gaussian(size, sigma=BLUR * resolution).to(groups) for size in sizes]
    weight = along_both(blur, inside).clamp(min=torch.finfo(fine.dtype).tiny)
    correction = inside * along_both(blur, inside * (coarse - fine[:, :1])) / weight
    return torch.cat([fine[:, :1] + correction, fine[:, 1:]], dim=1)


def along_both(matrices: list[Tensor], images: Tensor) -> Tensor:
    """Multiply images `(B, C, H, W)` by a matrix along H and one along W."""
    return matrices[0] @ images @ matrices[1].T


def mean(size: int, few: int) -> Tensor:
    """Return the matrix `(few, size)` of the mean over equal intervals of pixels."""
    step, pixel = size / few, torch.arange(size, dtype=torch.float64)
    start = step * torch.arange(few, dtype=torch.float64)[:, None]
    return (torch.minimum(start + step, pixel + 1) - torch.maximum(start, pixel)).clamp(min=0) / step


def gaussian(size: int, *, sigma: float) -> Tensor:
    """Return the matrix `(size, size)` of a Gaussian blur, not normalized."""
    pixel = torch.arange(size, dtype=torch.float64)
    return torch.exp(-((pixel - pixel[:, None]) ** 2) / (2 * sigma**2))
