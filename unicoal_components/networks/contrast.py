"""Contrast curves from one modality's intensities to another's: a first estimate that a network refines."""

import torch
from torch import Tensor, nn

NUM_KNOTS = 17
GAIN = 10.0
"""Scale of the stored values: an optimizer's step moves a curve by this factor more than a weight."""


class ContrastCurve(nn.Module):
    """Map intensities by one piecewise linear curve for each pair of source and target modality.

    A curve predicts one modality's intensity from another's without regard to the anatomy. The network then learns the
    difference, as within a modality it learns what the interpolation lacks. The curves start as the identity.

    Args:
        num_modalities: number of modalities M.
        num_knots: number of knots K, evenly spaced over [-1, 1].
    """

    knots: Tensor

    def __init__(self, *, num_modalities: int, num_knots: int = NUM_KNOTS) -> None:
        super().__init__()
        self.register_buffer("knots", torch.linspace(-1, 1, num_knots), persistent=False)
        self.values = nn.Parameter(self.knots.repeat(num_modalities, num_modalities, 1) / GAIN)  # source, target, knot

    def forward(self, image: Tensor, *, source: Tensor, target: Tensor) -> Tensor:
        """Map images.

        Args:
            image: `(B, 1, H, W)`; outside [-1, 1] the curve is constant.
            source: modality of the image, one-hot `(B, M)`, or zeros if unknown: then the mean of all curves is used.
            target: wanted modality, one-hot `(B, M)`.

        Returns:
            `(B, 1, H, W)`.
        """
        known = source.sum(dim=1, keepdim=True)
        source = source + (1 - known) / source.shape[1]
        pair = source[:, :, None, None] * target[:, None, :, None]
        curves = GAIN * (pair * self.values).sum(dim=(1, 2))  # no matrix product, which autocast would round
        step = self.knots[1] - self.knots[0]
        hats = (1 - (image.clamp(-1, 1) - self.knots[:, None, None]).abs() / step).clamp(min=0)
        return (curves[:, :, None, None] * hats).sum(dim=1, keepdim=True)
