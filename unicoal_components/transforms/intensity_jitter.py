"""Vary the contrast and shading of slices, as scanners and sequences do."""

from collections.abc import Sequence

import torch

BIAS_TERMS = 5  # x, y, xy, x², y²


def jitter_intensity(images: torch.Tensor, *, gamma: float, bias: Sequence[float]) -> torch.Tensor:
    """Apply a gamma curve and a smooth multiplicative bias field; black stays black.

    On intensities v = (image + 1) / 2 in [0, 1]: v' = v^gamma · exp(b), clipped to [0, 1], where b is the quadratic
    polynomial of the in-plane position in [-1, 1]² with the coefficients `bias` (of x, y, xy, x² - 1/3, y² - 1/3, so
    that b is 0 on average).

    Args:
        images: `(S, H, W)`, in [-1, 1]; the same curve and field for all of them.
        gamma: Exponent, > 0; 1 changes nothing.
        bias: The five coefficients; 0 changes nothing.

    Returns:
        `(S, H, W)`, in [-1, 1].

    >>> jitter_intensity(torch.zeros(1, 2, 2), gamma=2, bias=[0] * 5)[0, 0, 0].item()
    -0.5
    """
    height, width = images.shape[-2:]
    y = torch.linspace(-1, 1, height, dtype=images.dtype, device=images.device)[:, None]
    x = torch.linspace(-1, 1, width, dtype=images.dtype, device=images.device)[None, :]
    terms = (x, y, x * y, x**2 - 1 / 3, y**2 - 1 / 3)
    field = sum((c * term for c, term in zip(bias, terms, strict=True)), start=torch.zeros_like(x * y))
    return (((images + 1) / 2).clamp(0, 1) ** gamma * field.exp()).clamp(0, 1) * 2 - 1
