"""Training objective: weighted sum of the losses."""

from collections.abc import Mapping

import torch
from torch import nn

from ..keys import BLANK
from ..signal.resampling import gaussian_blur
from .adversarial import discriminator_loss, generator_loss, r1_penalty
from .sam import SAMFeatureLoss

Terms = dict[str, torch.Tensor]

BACKGROUND_WEIGHT = 0.02
"""Weight of a blank pixel in the error's likelihood: its error is 0, and the many of them, weighted as the others,
distort the scale inside the head (measured: 40 % too large on average, and yet too small for most pixels)."""

BACKGROUND_MARGIN = 0.02
"""Above blank, -1: up to there a pixel counts as blank."""


class SynthesisObjective:
    """Combine the adversarial, the L1 and the SAM feature loss.

        generator:      adversarial_weight · softplus(-D(x, fake)) + l1_weight · L1(fake, real)
                        + l2_weight · L2(fake, real) + sam_weight · L1(SAM(fake), SAM(real))
                        + error_weight · mean(|fake - real| / b + ln b)
        discriminator:  softplus(D(x, fake)) + softplus(-D(x, real)) + γ · R1

    Both use the source x and the images after a Gaussian blur of width σ, which the trainer fades out. The last term
    (not official) is the negative log-likelihood of the error under a Laplace distribution with the predicted scale b;
    the error is detached, so that this term changes b alone and never trades an error for a larger b. In its mean a
    pixel that is blank in both images counts `BACKGROUND_WEIGHT`, any other 1.

    Args:
        adversarial_weight: weight of the adversarial term, ≥ 0; with 0 no discriminator is used or needed.
        l1_weight: weight of the mean absolute error, ≥ 0.
        l2_weight: weight of the mean squared error, ≥ 0 (not official): where the slice is uncertain, L1 leads to the
            median of the possible values, which is too dark for T2, and L2 to the mean.
        sam_weight: weight of the SAM feature loss, ≥ 0.
        error_weight: weight of the error's likelihood, ≥ 0; above 0 the network must predict b.
        sam_loss: required if `sam_weight` > 0, see `build_sam_feature_loss`.

    Raises:
        ValueError: a negative weight, or a SAM weight without its loss.
    """

    def __init__(
        self,
        *,
        adversarial_weight: float = 1.0,
        l1_weight: float = 80.0,
        l2_weight: float = 0.0,
        sam_weight: float = 0.0,
        error_weight: float = 0.0,
        sam_loss: SAMFeatureLoss | None = None,
    ) -> None:
        weights = {"adversarial_weight": adversarial_weight, "l1_weight": l1_weight, "sam_weight": sam_weight}
        weights |= {"l2_weight": l2_weight, "error_weight": error_weight}
        for name, value in weights.items():
            if value < 0:
                raise ValueError(f"{name} is {value}; it must be ≥ 0")
        if sam_weight > 0 and sam_loss is None:
            raise ValueError(f"sam_weight is {sam_weight} but there is no sam_loss; give one, or set sam_weight to 0")
        self.adversarial_weight = adversarial_weight
        self.l1_weight = l1_weight
        self.l2_weight = l2_weight
        self.sam_weight = sam_weight
        self.error_weight = error_weight
        self.sam_loss = sam_loss

    def to(self, device: torch.device | str) -> "SynthesisObjective":
        """Move the SAM encoder, if there is one, to the device."""
        if self.sam_loss is not None:
            self.sam_loss.to(device)
        return self

    def generator_terms(
        self,
        *,
        source: torch.Tensor,
        fake: torch.Tensor,
        real: torch.Tensor,
        discriminator: nn.Module | None = None,
        conditions: Mapping[str, torch.Tensor] | None = None,
        error: tuple[torch.Tensor, torch.Tensor] | None = None,
    ) -> Terms:
        """Compute the generator's loss and its parts, from images that are already blurred.

        Args:
            source: (B, S, H, W) in [-1, 1].
            fake: (B, 1, H, W), with its graph.
            real: (B, 1, H, W).
            discriminator: frozen discriminator; `None` omits the adversarial term.
            conditions: the discriminator's keyword arguments.
            error: |fake - real| without a blur, and the predicted scale b, both (B, 1, H, W); `None` omits its term.

        Returns:
            "loss" (weighted sum) and the unweighted parts "generator_adversarial", "generator_l1", "generator_l2",
            "generator_sam", "generator_error", as far as they are computed.
        """
        zero = fake.new_zeros(())
        weights: dict[str, float] = {}
        terms: Terms = {}
        if discriminator is not None and self.adversarial_weight > 0:
            logits = discriminator(torch.cat([source, fake], dim=1), **(conditions or {}))
            terms["generator_adversarial"] = generator_loss(logits.float())
            weights["generator_adversarial"] = self.adversarial_weight
        terms["generator_l1"] = nn.functional.l1_loss(fake.float(), real.float())
        weights["generator_l1"] = self.l1_weight
        if self.l2_weight > 0:
            terms["generator_l2"] = nn.functional.mse_loss(fake.float(), real.float())
            weights["generator_l2"] = self.l2_weight
        if self.sam_loss is not None and self.sam_weight > 0:
            terms["generator_sam"] = self.sam_loss(fake, real)
            weights["generator_sam"] = self.sam_weight
        if error is not None and self.error_weight > 0:
            size, scale = error[0].detach().float(), error[1].float()
            inside = torch.maximum(fake.detach(), real) > BLANK + BACKGROUND_MARGIN
            weight = torch.where(inside, 1.0, BACKGROUND_WEIGHT)
            terms["generator_error"] = (weight * (size / scale + scale.log())).sum() / weight.sum()
            weights["generator_error"] = self.error_weight
        terms["loss"] = sum((weight * terms[name] for name, weight in weights.items()), start=zero)
        return terms

    def discriminator_terms(
        self,
        *,
        source: torch.Tensor,
        fake: torch.Tensor,
        real: torch.Tensor,
        discriminator: nn.Module,
        conditions: Mapping[str, torch.Tensor] | None = None,
        r1_weight: float = 0.0,
    ) -> Terms:
        """Compute the discriminator's loss and its parts; images as the losses see them.

        R1 takes the gradient by the discriminator's whole real input, source and image, as it sees them. Where R1 is
        due, the real pass runs in float32 whatever autocast says: squared gradients of half precision are noise.

        Args:
            source: (B, S, H, W).
            fake: (B, 1, H, W); its graph is cut here.
            real: (B, 1, H, W).
            discriminator: in training.
            conditions: its keyword arguments.
            r1_weight: γ in this iteration; 0 leaves R1 out.

        Returns:
            "loss" (the sum to minimize), "discriminator" (logistic loss) and, where R1 is due, "discriminator_r1"
            (unweighted).
        """
        keywords = conditions or {}
        fake_logits = discriminator(torch.cat([source, fake.detach()], dim=1), **keywords)
        real_input = torch.cat([source, real], dim=1).detach()
        if r1_weight <= 0:
            real_logits = discriminator(real_input, **keywords)
            loss = discriminator_loss(real_logits.float(), fake_logits.float())
            return {"discriminator": loss, "loss": loss}
        with torch.autocast(real_input.device.type, enabled=False):
            real_input = real_input.float().requires_grad_(True)
            real_logits = discriminator(real_input, **keywords)
            penalty = r1_penalty(real_logits, real_input)
            logistic = discriminator_loss(real_logits, fake_logits.float())
        return {"discriminator": logistic, "discriminator_r1": penalty, "loss": logistic + r1_weight * penalty}


def blur_images(sigma: float, *images: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Blur images (B, C, H, W) by a Gaussian of `sigma` pixels; 0 returns them unchanged."""
    return tuple(gaussian_blur(image, sigma) if sigma > 0 else image for image in images)
