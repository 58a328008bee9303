"""Predicted scale of a network's error, the second channel of its output."""

from torch import Tensor

ERROR_START = 0.05
"""Predicted error before training, on the scale of [-1, 1]."""

ERROR_RANGE = (-4.0, 3.5)
"""Largest magnitude of the logarithm of the ratio to that."""


def scale_of_error(logarithm: Tensor) -> Tensor:
    """Convert a network's output, the logarithm of a ratio, into the scale of the error; no channels stay none."""
    return ERROR_START * logarithm.clamp(*ERROR_RANGE).exp()
