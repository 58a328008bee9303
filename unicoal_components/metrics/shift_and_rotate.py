"""Lossless shift and rotation of images with a bounded spectrum, in the Fourier domain."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

PASSBAND = 0.4
STOPBAND = 0.5
"""End of the pass band and start of the stop band of `low_pass`, in cycles per pixel."""

OVERSAMPLING = 2
RADIUS = 6
KAISER_BETA = 12.0
"""Half width, in samples, and shape of the kernel that reads rotated positions from the oversampled image.
It passes frequencies below a quarter of a cycle per sample and stops those above three quarters, to 100 dB."""


@dataclass(frozen=True)
class Motion:
    """A rotation about the middle of the image, then a shift.

    Attributes:
        angle: angle in degrees, from the axis of columns towards that of rows (clockwise on the screen).
        right: shift along the columns in pixels.
        down: shift along the rows in pixels.
    """

    angle: float = 0.0
    right: float = 0.0
    down: float = 0.0

    def matrix(self, size: int) -> Tensor:
        """Return the homogeneous matrix from a position in the moved image to its source, `(3, 3)` float64.

        Positions are (column, row) from the middle, in units of the image's edge of `size` pixels. The matrix is the
        `transform` of the generator's Fourier input for a moved image.

        Example:
            >>> Motion(right=4).matrix(16)[0].tolist()
            [1.0, 0.0, -0.25]
        """
        cos, sin = math.cos(math.radians(self.angle)), math.sin(math.radians(self.angle))
        back = torch.tensor([[cos, sin, 0.0], [-sin, cos, 0.0], [0.0, 0.0, 1.0]], dtype=torch.float64)
        shift = torch.eye(3, dtype=torch.float64)
        shift[:2, 2] = -torch.tensor([self.right, self.down], dtype=torch.float64) / size
        return back @ shift

    @property
    def is_whole(self) -> bool:
        """Whether the motion is a shift by whole pixels."""
        return self.angle == 0 and float(self.right).is_integer() and float(self.down).is_integer()


def low_pass(images: Tensor) -> Tensor:
    """Remove frequencies beyond a disc in the spectrum, as only the disc survives a rotation of the pixel grid.

    The factor is 1 up to 0.4 cycles per pixel and falls as a raised cosine to 0 at 0.5.

    Args:
        images: `(..., H, W)`, 0 outside.

    Returns:
        Images of the same shape.
    """
    return _in_fourier_domain(images, _disc)


def move(images: Tensor, motion: Motion) -> Tensor:
    """Shift or rotate square images; pixels from outside are zero.

    A whole shift copies pixels. All other motions start with `low_pass`, after which the pixels determine every value
    between them. A fractional shift multiplies the spectrum by a phase; a rotation reads from the image at twice the
    resolution (zeros around its spectrum) by a Kaiser-windowed sinc of 12 taps. For bounded images that end within the
    frame both are accurate to more than 120 dB.

    Args:
        images: `(..., R, R)`, 0 outside the object.
        motion: motion to apply.

    Returns:
        Images of the same shape.

    Raises:
        ValueError: the images are not square.

    Example:
        >>> move(torch.eye(3), Motion(right=1)).tolist()
        [[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [0.0, 0.0, 0.0]]
    """
    if images.shape[-1] != images.shape[-2]:
        raise ValueError(f"images have the shape {tuple(images.shape)}; only square ones (..., R, R) can be moved.")
    if motion.is_whole:
        return _shift_whole(images, int(motion.right), int(motion.down))
    if motion.angle == 0:
        return _in_fourier_domain(images, lambda fy, fx: _disc(fy, fx) * _phase(fy * motion.down + fx * motion.right))
    return _warp(images, motion)


def valid_region(motion: Motion, *, size: int, margin: float) -> Tensor:
    """Return which pixels and their sources are within the image, at least `margin` pixels from its border.

    Returns:
        `(size, size)`, bool.
    """
    axis = (torch.arange(size, dtype=torch.float64) + 0.5) / size - 0.5
    limit = 0.5 - margin / size
    source_x, source_y = _source(motion, axis, size)
    here = axis.abs() < limit
    return (source_x.abs() < limit) & (source_y.abs() < limit) & here & here[:, None]


def _shift_whole(images: Tensor, right: int, down: int) -> Tensor:
    pad = [max(right, 0), max(-right, 0), max(down, 0), max(-down, 0)]
    height, width = images.shape[-2:]
    top, left = max(-down, 0), max(-right, 0)
    return F.pad(images, pad)[..., top : top + height, left : left + width]


def _in_fourier_domain(images: Tensor, factor: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Multiply the spectrum of images, padded by half their size on every side, by factor(f_y, f_x)."""
    height, width = images.shape[-2:]
    padded = F.pad(images.double(), [width // 2, width // 2, height // 2, height // 2])
    fy = torch.fft.fftfreq(padded.shape[-2], dtype=torch.float64, device=images.device)[:, None]
    fx = torch.fft.rfftfreq(padded.shape[-1], dtype=torch.float64, device=images.device)
    spectrum = torch.fft.rfft2(padded) * factor(fy, fx)
    result = torch.fft.irfft2(spectrum, s=padded.shape[-2:])
    return result[..., height // 2 : height // 2 + height, width // 2 : width // 2 + width].to(images.dtype)


def _disc(fy: Tensor, fx: Tensor) -> Tensor:
    place = (torch.hypot(fy, fx) - PASSBAND) / (STOPBAND - PASSBAND)
    return 0.5 + 0.5 * torch.cos(math.pi * place.clamp(0, 1))


def _phase(turns: Tensor) -> Tensor:
    return torch.exp(-2j * math.pi * turns)


def _source(motion: Motion, axis: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Return the source positions of pixels: x and y `(R, R)` from the middle, in units of the edge."""
    (xx, xy, x0), (yx, yy, y0), _ = motion.matrix(size).to(axis.device)
    return xx * axis + xy * axis[:, None] + x0, yx * axis + yy * axis[:, None] + y0


def _warp(images: Tensor, motion: Motion) -> Tensor:
    """Read the source positions of any motion from an oversampled image."""
    size = images.shape[-1]
    fine = _oversampled(images)
    edge = fine.shape[-1]
    axis = (torch.arange(size, dtype=torch.float64, device=images.device) + 0.5) / size - 0.5
    # the first sample of the fine image is at the center of the padded image's first pixel, not at its edge
    x, y = (((u + 0.5) * size - 0.5 + size // 2) * OVERSAMPLING for u in _source(motion, axis, size))
    (columns, column_weights), (rows, row_weights) = _neighbors(x), _neighbors(y)
    places = rows.clamp(0, edge - 1)[..., :, None] * edge + columns.clamp(0, edge - 1)[..., None, :]
    weights = row_weights[..., :, None] * column_weights[..., None, :]
    taps = weights.shape[-1] ** 2
    table = fine.reshape(-1, edge**2).t().contiguous()
    read = F.embedding_bag(places.view(-1, taps), table, per_sample_weights=weights.view(-1, taps), mode="sum")
    return read.t().reshape(images.shape).to(images.dtype)


def _oversampled(images: Tensor) -> Tensor:
    """Pad images `(..., R, R)` by half their size on every side, low-pass them and zero-pad the spectrum."""
    padded = F.pad(images.double(), [images.shape[-1] // 2] * 4)
    size = padded.shape[-1]
    frequencies = torch.fft.fftfreq(size, dtype=torch.float64, device=images.device)
    spectrum = torch.fft.fft2(padded) * _disc(frequencies[:, None], frequencies)
    spectrum = torch.fft.fftshift(spectrum, dim=(-2, -1))
    added = size * (OVERSAMPLING - 1)
    low = (size * OVERSAMPLING) // 2 - size // 2
    spectrum = torch.fft.ifftshift(F.pad(spectrum, [low, added - low, low, added - low]), dim=(-2, -1))
    return torch.fft.ifft2(spectrum).real * OVERSAMPLING**2


def _neighbors(places: Tensor) -> tuple[Tensor, Tensor]:
    """Return the indices of the samples around positions and their weights, both `(..., taps)`."""
    numbers = places.floor().long()[..., None] + torch.arange(1 - RADIUS, RADIUS + 1, device=places.device)
    weights = _kernel(places[..., None] - numbers)
    return numbers, weights / weights.sum(dim=-1, keepdim=True)


def _kernel(distance: Tensor) -> Tensor:
    """Return the sinc of the oversampled image's Nyquist frequency in a Kaiser window."""
    inside = (1 - (distance / RADIUS).square()).clamp(min=0).sqrt()
    window = torch.special.i0(KAISER_BETA * inside) / torch.special.i0(inside.new_tensor(KAISER_BETA))
    return torch.sinc(distance) * window
