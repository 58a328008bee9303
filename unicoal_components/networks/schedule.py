"""Layer table of the alias-free networks, as a pure function of a few numbers."""

import math
from dataclasses import dataclass

LOWEST_RESOLUTION = 16
FIRST_CUTOFF = 2.0
FIRST_STOPBAND = 2.0**2.1
LAST_STOPBAND_REL = 2.0**0.3
NUM_CRITICAL = 2
MARGIN = 10
TAPS_PER_FACTOR = 6


@dataclass(frozen=True)
class LayerRow:
    """One row of the table; frequencies in cycles, rates in samples per field of view, sizes in samples.

    Attributes:
        cutoff: f_c, frequency of half amplitude.
        half_width: f_h, half of the transition band.
        sampling_rate: s, samples per field of view.
        size: n, samples of the canvas: the field of view and a margin on each side.
        channels: c, feature maps.
    """

    cutoff: float
    half_width: float
    sampling_rate: int
    size: int
    channels: int


def check_resolution(resolution: int) -> int:
    """Return `resolution` if it is a power of two of at least 16, else raise ValueError."""
    if not isinstance(resolution, int) or resolution < LOWEST_RESOLUTION or resolution & (resolution - 1):
        raise ValueError(
            f"resolution must be a power of two and at least {LOWEST_RESOLUTION}, got {resolution}; slices of other "
            "sizes are padded or cropped by the transforms and cut into windows by the inferer"
        )
    return resolution


def layer_table(
    *,
    resolution: int,
    num_layers: int = 14,
    channel_base: int = 2**14,
    channel_max: int = 512,
    image_channels: int = 1,
    margin_at_end: bool = False,
) -> list[LayerRow]:
    """Compute the rows i = 0..num_layers (Karras et al. 2021, §3.2 and appendix C).

    e_i = min(i / (L - K), 1); f_c = f_c0 (f_cL / f_c0)^e; f_t = f_t0 (f_tL / f_t0)^e; s = 2^⌈log2 min(2 f_t, R)⌉;
    f_h = max(f_t, s / 2) - f_c; n = s + 2 margin; c = round(min(channel_base / 2 / f_c, channel_max)).

    Args:
        resolution: R, samples along an edge of the image; a power of two.
        num_layers: L, layers before the to-image layer; more than the K = 2 critical ones.
        channel_base: channels times cutoff, doubled.
        channel_max: upper bound of the channels.
        image_channels: channels of the last row.
        margin_at_end: keep the margin in the last two rows (the encoder) instead of ending at R (the synthesis).

    Returns:
        L + 1 rows, from coarse to fine.

    Raises:
        ValueError: `resolution` is no power of two, there are too few layers, or a layer is left without a channel.

    Example:
        >>> [row.size for row in layer_table(resolution=256)]
        [36, 36, 36, 52, 52, 84, 84, 148, 148, 148, 276, 276, 276, 256, 256]
    """
    check_resolution(resolution)
    if num_layers <= NUM_CRITICAL + 1:
        raise ValueError(f"num_layers must be at least {NUM_CRITICAL + 2}, got {num_layers}")
    last_cutoff = resolution / 2
    if round(min(channel_base / 2 / last_cutoff, channel_max)) < 1:
        raise ValueError(
            f"channel_base {channel_base} and channel_max {channel_max} leave the finest layers without a channel; at "
            f"resolution {resolution} channel_base must be at least {resolution} and channel_max at least 1"
        )
    last_stopband = last_cutoff * LAST_STOPBAND_REL
    rows = []
    for i in range(num_layers + 1):
        exponent = min(i / (num_layers - NUM_CRITICAL), 1)
        cutoff = FIRST_CUTOFF * (last_cutoff / FIRST_CUTOFF) ** exponent
        stopband = FIRST_STOPBAND * (last_stopband / FIRST_STOPBAND) ** exponent
        rate = 2 ** math.ceil(math.log2(min(2 * stopband, resolution)))
        at_end = i >= num_layers - 1 and not margin_at_end
        rows.append(
            LayerRow(
                cutoff=cutoff,
                half_width=max(stopband, rate / 2) - cutoff,
                sampling_rate=rate,
                size=resolution if at_end else rate + 2 * MARGIN,
                channels=round(min(channel_base / 2 / cutoff, channel_max)) if i < num_layers else image_channels,
            )
        )
    return rows
