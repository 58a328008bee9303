"""The networks reproduce the official implementation's numbers for small networks (see tests/golden)."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from unicoal_components.networks.official import official_discriminator_names, official_generator_names
from unicoal_components.signal.resampling import gaussian_blur

FULL = Path(__file__).parents[2] / ".." / "shared" / "golden"


def assert_near(ours, official, *, relative=1e-4):
    """Compare by the norm of the difference and by the worst value, both relative to the whole."""
    assert ours.shape == official.shape
    difference = (ours - official).float()
    assert difference.norm() <= relative * official.norm()
    assert difference.abs().max() <= relative * official.abs().max()


@pytest.fixture(scope="module")
def results(golden):
    with torch.no_grad():
        given = {"z": golden.z, **golden.conditions}
        fake = golden.generator(golden.source, **given)
        skips, bottleneck, style = golden.generator.encoder(golden.source, **golden.conditions)
        w = golden.generator.mapping(**given)
        return {
            "mapping_w": w,
            "mapping_w_psi0p7": golden.generator.mapping(**given, truncation_psi=0.7),
            "fourier_input": golden.generator.synthesis.input(w),
            "encoder_bottleneck": bottleneck,
            "encoder_global": style,
            **{f"encoder_skip_{size}": skip for size, skip in skips.items()},
            "fake": fake,
            "blur_fake_sigma2": gaussian_blur(fake, golden.settings["blur_sigma"]),
            "d_fake": golden.discriminator(torch.cat([golden.source, fake], dim=1), **golden.conditions),
            "d_real": golden.discriminator(torch.cat([golden.source, golden.target], dim=1), **golden.conditions),
        }


@pytest.mark.parametrize(
    "output", ["mapping_w", "mapping_w_psi0p7", "encoder_global", "fake", "blur_fake_sigma2", "d_fake", "d_real"]
)
def test_every_output_is_the_official_one(golden, results, output):
    assert_near(results[output], golden.outputs[output])


def test_truncation_of_the_whole_network_is_that_of_the_mapping(golden):
    given = {"z": golden.z, **golden.conditions}
    with torch.no_grad():
        truncated = golden.generator(golden.source, **given, truncation_psi=0.7)
        skips, bottleneck, image_style = golden.generator.encoder(golden.source, **golden.conditions)
        expected = golden.generator.synthesis(
            golden.outputs["mapping_w_psi0p7"], skips=skips, bottleneck=bottleneck, image_style=image_style
        )
    assert_near(truncated, expected)


def test_generator_losses_and_the_norm_of_every_gradient_are_the_official_ones(golden):
    def blur(x):
        return gaussian_blur(x, golden.settings["blur_sigma"])

    network = golden.generator
    fake = network(golden.source, z=golden.z, **golden.conditions)
    logits = golden.discriminator(torch.cat([blur(golden.source), blur(fake)], dim=1), **golden.conditions)
    adversarial = F.softplus(-logits).mean()
    l1 = (blur(fake) - blur(golden.target)).abs().mean()
    assert_near(adversarial.detach(), golden.outputs["g_adv"])
    assert_near(l1.detach(), golden.outputs["g_l1"])
    loss = adversarial + golden.settings["lambda_l1"] * l1
    assert_gradients(network, loss, official_generator_names(network), golden.settings["grad_norm_G"])


def test_discriminator_losses_and_the_norm_of_every_gradient_are_the_official_ones(golden):
    network = golden.discriminator
    real = torch.cat([golden.source, golden.target], dim=1).requires_grad_()
    fake = torch.cat([golden.source, golden.outputs["fake"]], dim=1)
    real_logits = network(real, **golden.conditions)
    loss = (F.softplus(network(fake, **golden.conditions)) + F.softplus(-real_logits)).mean()
    (slope,) = torch.autograd.grad(real_logits.sum(), real, create_graph=True)
    r1 = slope.square().sum(dim=(1, 2, 3)).mean() / 2
    assert_near(loss.detach(), golden.outputs["d_loss"])
    assert_near(r1.detach(), golden.outputs["r1"])
    loss = loss + golden.settings["r1_gamma"] * r1
    assert_gradients(network, loss, official_discriminator_names(network), golden.settings["grad_norm_D"])


def assert_gradients(network, loss, names, norms):
    """Compare gradient norms parameter by parameter, none missing and none too many."""
    parameters = dict(network.named_parameters())
    gradients = torch.autograd.grad(loss, list(parameters.values()))
    ours = {names[key]: gradient.norm().item() for key, gradient in zip(parameters, gradients, strict=True)}
    assert ours.keys() == norms.keys()
    for key, norm in norms.items():
        assert ours[key] == pytest.approx(norm, rel=1e-3), key


def test_weights_by_the_recipe_and_inner_results_are_those_of_the_full_golden_files(golden, results):
    path = FULL / f"{golden.name}.npz"
    if not path.exists():
        pytest.skip("the full golden files are not next to the repository")
    with np.load(path) as file:
        for prefix, weights in (("G/", golden.generator_weights), ("D/", golden.discriminator_weights)):
            stored = {key[2:] for key in file if key.startswith(prefix)}
            assert stored <= weights.keys()
            for key in weights:
                if not key.endswith("_filter"):
                    np.testing.assert_array_equal(weights[key].numpy(), file[prefix + key].astype(np.float32), key)
        inner = [key[4:] for key in file if key.startswith(("out_encoder", "out_fourier"))]
        for key in inner:
            assert_near(results[key], torch.from_numpy(file["out_" + key]))
