"""The curve from the intensities of one modality to those of another: a first guess that a network adds to."""

import torch
from torch import Tensor, nn

NUM_KNOTS = 17
GAIN = 10.0
"""Of the stored values: one step of an optimizer moves a curve this much further than a weight."""


class ContrastCurve(nn.Module):
    """Map intensities by one piecewise linear curve for each pair of source and target modality.

    What a modality's intensity says of another's without looking at the anatomy: the network then learns where this is
    wrong, as within a modality it learns what the interpolation lacks. The curves start as the identity.

    Args:
        num_modalities: M.
        num_knots: K, evenly over [-1, 1].
    """

    knots: Tensor

    def __init__(self, *, num_modalities: int, num_knots: int = NUM_KNOTS) -> None:
        super().__init__()
        self.register_buffer("knots", torch.linspace(-1, 1, num_knots), persistent=False)
        self.values = nn.Parameter(self.knots.repeat(num_modalities, num_modalities, 1) / GAIN)  # source, target, knot

    def forward(self, image: Tensor, *, source: Tensor, target: Tensor) -> Tensor:
        """Map images.

        Args:
            image: `(B, 1, H, W)`; beyond [-1, 1] the curve stays at its end.
            source: modality of the image, one-hot `(B, M)`, or zeros where it is unknown: all alike then.
            target: wanted modality, one-hot `(B, M)`.

        Returns:
            `(B, 1, H, W)`.
        """
        known = source.sum(dim=1, keepdim=True)
        source = source + (1 - known) / source.shape[1]
        pair = source[:, :, None, None] * target[:, None, :, None]
        curves = GAIN * (pair * self.values).sum(dim=(1, 2))  # not by a matrix product, which autocast would round
        step = self.knots[1] - self.knots[0]
        hats = (1 - (image.clamp(-1, 1) - self.knots[:, None, None]).abs() / step).clamp(min=0)
        return (curves[:, :, None, None] * hats).sum(dim=1, keepdim=True)
