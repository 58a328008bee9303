import math
from pathlib import Path

import numpy as np
import pytest
import torch
from segment_anything.modeling.image_encoder import ImageEncoderViT

from unicoal_components.losses.objective import SynthesisObjective, blur_images
from unicoal_components.losses.sam import SAMFeatureLoss
from unicoal_components.networks.official import discriminator_from_official, generator_from_official

GOLDEN = Path(__file__).parents[2] / ".." / "shared" / "golden"


class Critic(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor(0.3))
        self.dtypes = []

    def forward(self, image, *, modality=None):
        self.dtypes.append((image @ image.transpose(2, 3)).dtype)
        return self.weight * image.square().sum(dim=(1, 2, 3)).view(-1, 1)


def batch():
    torch.manual_seed(0)
    return {"source": torch.rand(2, 4, 8, 8), "fake": torch.rand(2, 1, 8, 8), "real": torch.rand(2, 1, 8, 8)}


def test_the_generator_loss_is_the_weighted_sum_of_its_parts():
    sam = SAMFeatureLoss(encoder=ImageEncoderViT(img_size=16, embed_dim=8, depth=1, num_heads=1, out_chans=4))
    objective = SynthesisObjective(adversarial_weight=2.0, l1_weight=80.0, sam_weight=100.0, sam_loss=sam)
    terms = objective.generator_terms(**batch(), discriminator=Critic(), conditions={"modality": torch.zeros(2)})
    expected = 2 * terms["generator_adversarial"] + 80 * terms["generator_l1"] + 100 * terms["generator_sam"]
    assert terms["loss"].item() == pytest.approx(expected.item(), rel=1e-5)


def test_without_discriminator_and_sam_only_l1_remains():
    images = batch()
    terms = SynthesisObjective(adversarial_weight=0, l1_weight=3).generator_terms(**images)
    assert set(terms) == {"loss", "generator_l1"}
    assert terms["loss"].item() == pytest.approx(3 * (images["fake"] - images["real"]).abs().mean().item(), rel=1e-5)


def test_the_mean_squared_error_is_a_term_of_its_own():
    images = batch()
    terms = SynthesisObjective(adversarial_weight=0, l1_weight=3, l2_weight=5).generator_terms(**images)
    error = images["fake"] - images["real"]
    assert set(terms) == {"loss", "generator_l1", "generator_l2"}
    assert terms["generator_l2"].item() == pytest.approx(error.square().mean().item(), rel=1e-5)
    expected = 3 * error.abs().mean() + 5 * error.square().mean()
    assert terms["loss"].item() == pytest.approx(expected.item(), rel=1e-5)


def test_r1_is_taken_by_the_whole_real_input_and_enters_with_its_weight():
    images, critic = batch(), Critic()
    terms = SynthesisObjective().discriminator_terms(**images, discriminator=critic, r1_weight=10.0)
    real = torch.cat([images["source"], images["real"]], dim=1)
    expected = 0.5 * (2 * 0.3 * real).square().sum(dim=(1, 2, 3)).mean()
    assert terms["discriminator_r1"].item() == pytest.approx(expected.item(), rel=1e-5)
    assert terms["loss"].item() == pytest.approx((terms["discriminator"] + 10 * expected).item(), rel=1e-5)


def test_without_r1_weight_there_is_no_penalty():
    terms = SynthesisObjective().discriminator_terms(**batch(), discriminator=Critic())
    assert set(terms) == {"loss", "discriminator"}


def test_the_discriminator_step_leaves_no_gradient_on_fake():
    images = batch()
    images["fake"].requires_grad_(True)
    SynthesisObjective().discriminator_terms(**images, discriminator=Critic(), r1_weight=1.0)["loss"].backward()
    assert images["fake"].grad is None


def test_the_r1_pass_is_float32_under_autocast():
    critic = Critic()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        SynthesisObjective().discriminator_terms(**batch(), discriminator=critic, r1_weight=1.0)
    assert critic.dtypes == [torch.bfloat16, torch.float32]


def test_blur_of_zero_returns_the_images_themselves_and_keeps_constants_inside():
    image = torch.ones(1, 2, 33, 33)
    assert blur_images(0.0, image)[0] is image
    blurred, second = blur_images(2.0, image, 2 * image)
    assert blurred[0, 0, 16, 16].item() == pytest.approx(1, rel=1e-5)
    assert torch.allclose(second, 2 * blurred)


@pytest.mark.parametrize("name", ["adversarial_weight", "l1_weight", "sam_weight", "error_weight"])
def test_negative_weights_are_refused_by_name(name):
    with pytest.raises(ValueError, match=name):
        SynthesisObjective(**{name: -1.0})


def test_a_sam_weight_without_its_loss_is_an_error():
    with pytest.raises(ValueError, match="set sam_weight to 0"):
        SynthesisObjective(sam_weight=1.0)


def batch_without_background():
    return {name: image.abs() for name, image in batch().items()}


def error_of(fake, real):
    scale = torch.full_like(fake, 0.1, requires_grad=True)
    return (fake - real).abs(), scale


def test_the_error_term_is_the_likelihood_of_a_laplace_distribution_up_to_a_constant():
    images = batch_without_background()
    error = error_of(images["fake"], images["real"])
    terms = SynthesisObjective(adversarial_weight=0, l1_weight=3, error_weight=2).generator_terms(**images, error=error)
    laplace = torch.distributions.Laplace(0.0, error[1])
    expected = -laplace.log_prob(error[0]).mean().item() - np.log(2)
    assert terms["generator_error"].item() == pytest.approx(expected, rel=1e-5)
    assert terms["loss"].item() == pytest.approx(3 * terms["generator_l1"].item() + 2 * expected, rel=1e-5)


def test_the_error_term_moves_the_scale_alone():
    images = batch()
    images["fake"].requires_grad_(True)
    error = error_of(images["fake"], images["real"])
    objective = SynthesisObjective(adversarial_weight=0, l1_weight=0, error_weight=1)
    objective.generator_terms(**images, error=error)["generator_error"].backward()
    assert images["fake"].grad is None and error[1].grad.abs().max() > 0


def test_a_pixel_that_is_blank_in_both_images_hardly_counts_in_the_error_term():
    fake, real = torch.tensor([-1.0, -1.0, 0.5, -0.99]), torch.tensor([-0.99, 0.25, -1.0, -1.0])
    images = {name: image.reshape(1, 1, 2, 2) for name, image in {"fake": fake, "real": real}.items()}
    scale = torch.tensor([0.1, 0.2, 0.3, 0.4]).reshape(1, 1, 2, 2)
    error = ((images["fake"] - images["real"]).abs(), scale)
    objective = SynthesisObjective(adversarial_weight=0, error_weight=1)
    found = objective.generator_terms(source=images["real"], **images, error=error)["generator_error"].item()
    terms = [0.1 + math.log(0.1), 6.25 + math.log(0.2), 5 + math.log(0.3), 0.025 + math.log(0.4)]
    assert found == pytest.approx((0.02 * terms[0] + terms[1] + terms[2] + 0.02 * terms[3]) / 2.04, rel=1e-4)


def test_the_error_term_is_least_where_the_scale_is_the_mean_error():
    images = batch_without_background()
    size = (images["fake"] - images["real"]).abs()
    objective = SynthesisObjective(adversarial_weight=0, error_weight=1)

    def term(scale):
        return objective.generator_terms(**images, error=(size, torch.full_like(size, scale)))["generator_error"].item()

    scales = np.linspace(0.5, 2, 151) * size.mean().item()
    assert scales[np.argmin([term(scale) for scale in scales])] == pytest.approx(size.mean().item(), rel=1e-3)


@pytest.mark.parametrize("weight", [0.0, 1.0])
def test_without_a_weight_or_a_prediction_there_is_no_error_term(weight):
    images = batch()
    error = error_of(images["fake"], images["real"]) if weight == 0 else None
    terms = SynthesisObjective(adversarial_weight=0, error_weight=weight).generator_terms(**images, error=error)
    assert set(terms) == {"loss", "generator_l1"}


@pytest.mark.parametrize("case", ["unified_tiny", "cms_tiny", "plain_encoder_tiny"])
def test_the_official_losses_are_reproduced(case):
    path = GOLDEN / f"{case}.npz"
    if not path.is_file():
        pytest.skip("golden numbers are not here")
    golden = {key: torch.from_numpy(np.asarray(value, dtype=np.float32)) for key, value in np.load(path).items()}
    weights = [{key[2:]: golden[key] for key in golden if key.startswith(f"{name}/")} for name in "GD"]
    generator, discriminator = generator_from_official(weights[0]), discriminator_from_official(weights[1])
    conditions = {"modality": golden["in_c"], "position": golden["in_index"]}
    with torch.no_grad():
        fake = generator(golden["in_A"], z=golden["in_z"], **conditions)
    images = {"source": golden["in_A"], "fake": fake, "real": golden["in_B"]}
    blurred = dict(zip(images, blur_images(2.0, *images.values()), strict=True))
    shared = {"discriminator": discriminator, "conditions": conditions}
    of_generator = SynthesisObjective().generator_terms(**blurred, **shared)
    of_discriminator = SynthesisObjective().discriminator_terms(**images, **shared, r1_weight=10.0)
    assert of_generator["generator_adversarial"].item() == pytest.approx(golden["out_g_adv"].item(), rel=1e-4)
    assert of_generator["generator_l1"].item() == pytest.approx(golden["out_g_l1"].item(), rel=1e-4)
    assert of_discriminator["discriminator"].item() == pytest.approx(golden["out_d_loss"].item(), rel=1e-4)
    assert of_discriminator["discriminator_r1"].item() == pytest.approx(golden["out_r1"].item(), rel=1e-3)
