"""Low-pass filter of an image inside a mask, against the grid that a network computing blocks of pixels leaves."""

from torch import Tensor, nn

from ..keys import BLANK
from .filters import flat_lowpass
from .resampling import downsample

ORDER = 3
"""The lowest order that lowered the PSNR of no pair of modalities (measured)."""

LEAST = 0.3
"""Least weight inside the mask that a pixel is divided by, as the filter has negative taps."""


class GridFilter(nn.Module):
    """Filter an image by `flat_lowpass` inside a mask, so that nothing outside leaks in.

    The pixels of a 2x2 block come from separate channels of the detail path. What differs between these by chance is a
    grid of every other pixel (Odena et al. 2016), at the Nyquist frequency, where the filter is 0.
    """

    taps: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("taps", flat_lowpass(order=ORDER), persistent=False)

    def forward(self, image: Tensor, inside: Tensor) -> Tensor:
        """Filter an image.

        Args:
            image: `(B, 1, H, W)` in about [-1, 1].
            inside: mask of the pixels that count, 0 or 1, `(B, 1, H, W)`.

        Returns:
            The filtered image where `inside` is 1, blank elsewhere, `(B, 1, H, W)`.
        """
        weight = self._filter(inside.to(image.dtype)).clamp(min=LEAST)
        return inside * self._filter((image - BLANK) * inside) / weight + BLANK

    def _filter(self, x: Tensor) -> Tensor:
        return downsample(x, self.taps, factor=1, padding=ORDER)
