"""Equivariance of a map to shifts and rotations, in the manner of StyleGAN3's EQ-T, EQ-T_frac and EQ-R."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..keys import BLANK
from .shift_and_rotate import Motion, low_pass, move, valid_region

PEAK = 2.0
"""I_max: the range of images in [-1, 1]."""
MARGIN = 10.0
LARGEST_SHIFT = 1 / 8
KINDS = ("translation", "fractional", "rotation")

Function = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Equivariance:
    """Result of an equivariance measurement over several images.

    Attributes:
        errors: mean squared error of each image over the evaluated pixels.
    """

    errors: tuple[float, ...]

    @property
    def decibels(self) -> float:
        """EQ = 10 log10(I_max² / mean error) in dB; infinite without any error."""
        mean = float(np.mean(self.errors))
        return 10 * math.log10(PEAK**2 / mean) if mean > 0 else math.inf

    @property
    def standard_error(self) -> float:
        """Standard error of `decibels` from the spread of errors, in dB; NaN for less than two images or no error."""
        mean = float(np.mean(self.errors))
        if len(self.errors) < 2 or mean == 0:
            return math.nan
        return 10 / math.log(10) * float(np.std(self.errors, ddof=1)) / math.sqrt(len(self.errors)) / mean


def draw_motions(kind: str, *, count: int, size: int, seed: int = 0, largest_angle: float = 180.0) -> list[Motion]:
    """Draw motions uniformly.

    Args:
        kind: "translation" (whole pixels, never none), "fractional" (any) up to an eighth of the image's edge along
            both axes; or "rotation" about the middle.
        count: number of motions.
        size: edge of the image in pixels.
        seed: seed of the draw.
        largest_angle: largest angle of rotations to either side, in degrees.

    Raises:
        ValueError: the kind is unknown.

    Example:
        >>> [motion.is_whole for motion in draw_motions("translation", count=2, size=64)]
        [True, True]
    """
    if kind not in KINDS:
        raise ValueError(f"kind is {kind!r}; it must be one of {', '.join(map(repr, KINDS))}.")
    rng = np.random.default_rng(seed)
    if kind == "rotation":
        return [Motion(angle=float(angle)) for angle in rng.uniform(-largest_angle, largest_angle, count)]
    limit = size * LARGEST_SHIFT
    if kind == "fractional":
        return [Motion(right=float(x), down=float(y)) for x, y in rng.uniform(-limit, limit, (count, 2))]
    steps = [step for step in range(-int(limit), int(limit) + 1) if step]
    return [Motion(right=float(x), down=float(y)) for x, y in rng.choice(steps, (count, 2))]


def equivariance(
    function: Function,
    images: Tensor,
    *,
    motions: Sequence[Motion],
    margin: float = MARGIN,
    move_input: Callable[[Tensor], object] | None = None,
) -> Equivariance:
    """Measure how far an image-to-image map commutes with motions (Karras et al. 2021, §2 and appendix E).

    With the map g and the motion t of each image x::

        EQ = 10 log10(I_max² / E[(g(t(x)) - t(g(x)))²])      in dB, I_max = 2

    over the pixels whose position and source are within the image, at least `margin` from its border. The paper moves a
    generator's input; here the image itself is moved, as it is the input of an image-to-image map. Pixels from outside
    are blank (-1). Whole shifts are exact, without filtering. For other motions, x and both sides of the difference are
    first limited to the disc of 0.5 cycles per pixel (`low_pass`), in which moving is lossless; the paper does so for
    rotations. Frequencies that a map adds beyond the disc are measured by `spectrum.py` instead.

    `unmoved_map` in place of g gives the upper limit of the measurement.

    Args:
        function: g, called for each image twice: first with x, then with t(x), `(1, S, R, R)`; returns `(1, C, R, R)`.
        images: x, `(N, S, R, R)` in [-1, 1].
        motions: N motions t.
        margin: distance from the border in pixels.
        move_input: called before g(t(x)) with the motion's matrix (`Motion.matrix`) and afterwards with the identity,
            so that a map with a positional input of its own, such as the generator's Fourier waves, can move it too;
            `None` moves none.

    Raises:
        ValueError: the numbers of images and motions differ, or no pixel is left.
    """
    if len(images) != len(motions) or not len(images):
        raise ValueError(f"there are {len(images)} images and {len(motions)} motions; give one motion for each image.")
    pairs = zip(images.split(1), motions, strict=True)
    errors = []
    for x, motion in pairs:
        result, expected = both_sides(function, x, motion, move_input)
        errors.append(squared_errors(result, expected, motion=motion, margin=margin).mean().item())
    return Equivariance(tuple(errors))


def both_sides(
    function: Function, image: Tensor, motion: Motion, move_input: Callable[[Tensor], object] | None = None
) -> tuple[Tensor, Tensor]:
    """Return g(t(x)) and t(g(x)), `(1, C, R, R)`, limited to the disc unless t is a whole shift; see `equivariance`."""

    def band_limit(images: Tensor) -> Tensor:
        return images if motion.is_whole else low_pass(images)

    content = image - BLANK
    reference = function(band_limit(content) + BLANK)
    try:
        if move_input is not None:
            move_input(motion.matrix(image.shape[-1]))
        result = function(move(content, motion) + BLANK)
    finally:
        if move_input is not None:
            move_input(torch.eye(3, dtype=torch.float64))
    return band_limit(result - BLANK) + BLANK, move(reference - BLANK, motion) + BLANK


def unmoved_map(images: Tensor) -> Tensor:
    """Return the middle slice of groups `(B, S, R, R)`: `(B, 1, R, R)`; its error is that of the measurement."""
    middle = (images.shape[1] - 1) // 2
    return images[:, middle : middle + 1]


def squared_errors(result: Tensor, expected: Tensor, *, motion: Motion, margin: float = MARGIN) -> Tensor:
    """Average (result - expected)² over the evaluated pixels, see `equivariance`.

    Args:
        result: g(t(x)), `(1, C, R, R)`.
        expected: t(g(x)), the same shape.
        motion: motion t.
        margin: distance from the border in pixels.

    Returns:
        `(C,)`, float64.

    Raises:
        ValueError: no pixel is left.
    """
    region = valid_region(motion, size=result.shape[-1], margin=margin).to(result.device)
    if not region.any():
        raise ValueError(f"{motion} leaves no pixel of {result.shape[-1]}² with a margin of {margin:g}; lower it.")
    return (result - expected)[0][:, region].double().square().mean(dim=1)
