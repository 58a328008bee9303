import math
from pathlib import Path

import numpy as np
import pytest
import torch

from unicoal_components.losses.adversarial import discriminator_loss, generator_loss, r1_penalty

GOLDEN = Path(__file__).parents[2] / ".." / "shared" / "golden"


def test_generator_loss_is_minus_the_log_probability_of_being_real():
    logits = torch.tensor([[-2.0], [0.5], [30.0]])
    expected = -torch.log(torch.sigmoid(logits.double())).mean()
    assert generator_loss(logits).item() == pytest.approx(expected.item(), rel=1e-6)


def test_discriminator_loss_is_the_binary_cross_entropy_of_both_batches():
    real, fake = torch.randn(5, 1), torch.randn(5, 1)
    entropy = torch.nn.functional.binary_cross_entropy_with_logits
    expected = entropy(real, torch.ones_like(real)) + entropy(fake, torch.zeros_like(fake))
    assert discriminator_loss(real, fake).item() == pytest.approx(expected.item(), rel=1e-6)


def test_losses_stay_finite_for_extreme_logits():
    extreme = torch.tensor([[-1e4], [1e4]])
    assert math.isfinite(generator_loss(extreme).item())
    assert math.isfinite(discriminator_loss(extreme, extreme).item())


def test_r1_of_a_quadratic_has_its_closed_form():
    images = torch.randn(3, 2, 4, 4, requires_grad=True)
    scale = torch.tensor(1.5, requires_grad=True)
    penalty = r1_penalty((scale * images.square()).sum(dim=(1, 2, 3)).view(-1, 1), images)
    per_image = (2 * 1.5 * images.detach()).square().sum(dim=(1, 2, 3))
    assert penalty.item() == pytest.approx(0.5 * per_image.mean().item(), rel=1e-5)
    penalty.backward()
    assert scale.grad.item() == pytest.approx(2 * penalty.item() / 1.5, rel=1e-5)


def test_r1_refuses_images_without_gradient_and_half_precision():
    images = torch.randn(1, 1, 2, 2)
    with pytest.raises(ValueError, match="require a gradient"):
        r1_penalty(images.sum().view(1, 1), images)
    images.requires_grad_(True)
    with pytest.raises(ValueError, match="float32"):
        r1_penalty(images.sum().view(1, 1).bfloat16(), images)


@pytest.mark.parametrize("case", ["unified_tiny", "cms_tiny", "plain_encoder_tiny"])
def test_discriminator_loss_of_the_golden_logits_is_the_golden_loss(case):
    path = GOLDEN / f"{case}_outputs.npz"
    if not path.is_file():
        pytest.skip("golden numbers are not here")
    golden = np.load(path)
    real, fake = torch.from_numpy(golden["out_d_real"]), torch.from_numpy(golden["out_d_fake"])
    assert discriminator_loss(real, fake).item() == pytest.approx(float(golden["out_d_loss"]), rel=1e-4)
