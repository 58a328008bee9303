"""The scale of its error that a network predicts, as the second channel of its output."""

from torch import Tensor

ERROR_START = 0.05
"""Of the predicted error before training, on the scale of [-1, 1]."""

ERROR_RANGE = (-4.0, 3.5)
"""Of the logarithm of its ratio to that."""


def scale_of_error(logarithm: Tensor) -> Tensor:
    """Turn what a network gives, the logarithm of a ratio, into the scale of the error; no channel stays none."""
    return ERROR_START * logarithm.clamp(*ERROR_RANGE).exp()
