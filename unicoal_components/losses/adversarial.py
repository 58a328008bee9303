"""Non-saturating logistic losses and the R1 penalty."""

import torch
import torch.nn.functional as F


def generator_loss(fake_logits: torch.Tensor) -> torch.Tensor:
    """Return the generator's loss, low for images that the discriminator rates as real.

    Non-saturating logistic loss (Goodfellow et al., NeurIPS 2014): mean over the batch of softplus(-D(fake)).

    Args:
        fake_logits: discriminator's output for synthesized images, any shape, unbounded.

    Example:
        >>> round(generator_loss(torch.zeros(2, 1)).item(), 4)
        0.6931
    """
    return F.softplus(-fake_logits).mean()


def discriminator_loss(real_logits: torch.Tensor, fake_logits: torch.Tensor) -> torch.Tensor:
    """Return the discriminator's loss, low if it separates real from synthesized images.

    Logistic loss: mean of softplus(D(fake)) plus mean of softplus(-D(real)).

    Args:
        real_logits: discriminator's output for acquired images.
        fake_logits: discriminator's output for synthesized images, without the generator's graph.

    Example:
        >>> round(discriminator_loss(torch.zeros(2, 1), torch.zeros(2, 1)).item(), 4)
        1.3863
    """
    return F.softplus(fake_logits).mean() + F.softplus(-real_logits).mean()


def r1_penalty(real_logits: torch.Tensor, real_images: torch.Tensor) -> torch.Tensor:
    """Return the R1 penalty on the discriminator's gradient at real images.

    R1 (Mescheder et al., ICML 2018): ½ · mean over the batch of |∂ D(x) / ∂ x|², so that γ times it is the usual
    γ/2 term. The graph is kept, as the penalty is itself differentiated with respect to the discriminator's weights.

    Args:
        real_logits: (B, 1), computed from `real_images` in float32.
        real_images: (B, C, H, W), the discriminator's whole input, with `requires_grad`.

    Raises:
        ValueError: `real_images` has no gradient, or one of the two is not in full precision.

    Example:
        >>> x = torch.ones(2, 1, 2, 2, requires_grad=True)
        >>> r1_penalty((3 * x).sum(dim=(1, 2, 3)), x).item()
        18.0
    """
    if not real_images.requires_grad:
        raise ValueError("real_images must require a gradient before the discriminator sees them")
    for name, tensor in (("real_logits", real_logits), ("real_images", real_images)):
        if tensor.dtype in (torch.float16, torch.bfloat16):
            raise ValueError(f"{name} is {tensor.dtype}; R1 needs torch.float32: leave autocast for this pass")
    (gradient,) = torch.autograd.grad(real_logits.sum(), real_images, create_graph=True)
    return 0.5 * gradient.square().flatten(1).sum(dim=1).mean()
