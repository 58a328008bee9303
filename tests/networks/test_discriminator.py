import math

import pytest
import torch

from unicoal_components.networks.discriminator import Discriminator, DiscriminatorBlock

TINY = {"resolution": 16, "num_modalities": 3, "channel_base": 128, "channel_max": 8}


def make(**options):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Discriminator(**(TINY | options)).eval()


IMAGE = torch.randn(3, 5, 16, 16, generator=torch.Generator().manual_seed(0))
MODALITY = torch.tensor([0, 2, 1])
POSITION = torch.tensor([0.0, 0.5, 0.25])


def test_the_papers_network_has_24_59_million_parameters():
    with torch.device("meta"):
        network = Discriminator()
    assert sum(p.numel() for p in network.parameters()) / 1e6 == pytest.approx(24.59, abs=0.005)


@pytest.mark.parametrize("resolution, in_channels, batch", [(16, 5, 1), (32, 2, 3), (16, 7, 17)])
def test_one_tensor_alone_works(resolution, in_channels, batch):
    network = make(resolution=resolution, in_channels=in_channels)
    logits = network(torch.ones(batch, in_channels, resolution, resolution))
    assert logits.shape == (batch, 1)
    assert logits.isfinite().all()


def test_the_defaults_are_class_0_and_position_0():
    network = make()
    given = {"modality": torch.zeros(3, dtype=torch.long), "position": torch.zeros(3, 1)}
    assert torch.equal(network(IMAGE), network(IMAGE, **given))


def test_class_indices_equal_one_hot_and_a_row_of_positions_a_column():
    network = make()
    one = network(IMAGE, modality=MODALITY, position=POSITION)
    other = network(IMAGE, modality=torch.eye(3)[MODALITY], position=POSITION[:, None])
    assert torch.equal(one, other)


def test_a_block_adds_two_branches_of_half_the_power():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        block = DiscriminatorBlock(4, 6, image_channels=2)
        x = torch.randn(1, 2, 8, 8)
    features = block.from_image(x)
    expected = math.sqrt(0.5) * block.conv_down(block.conv(features)) + math.sqrt(0.5) * block.skip(features)
    torch.testing.assert_close(block(x), expected)
    assert expected.shape == (1, 6, 4, 4)


def test_the_logit_is_the_projection_of_the_features_on_the_condition():
    network = make()
    seen = []
    network.out.register_forward_hook(lambda module, args, output: seen.append(output))
    logits = network(IMAGE, modality=MODALITY, position=POSITION)
    condition = network.mapping(modality=torch.eye(3)[MODALITY], position=POSITION[:, None])
    torch.testing.assert_close(logits[:, 0], (seen[0] * condition).sum(dim=1) / math.sqrt(8))


@pytest.mark.parametrize("training", [False, True])
def test_the_forward_pass_changes_neither_state_nor_inputs(training):
    network = make().train(training)
    state = {key: value.clone() for key, value in network.state_dict().items()}
    image, rng = IMAGE.clone(), torch.get_rng_state()
    network(image, modality=MODALITY, position=POSITION).sum().backward()
    assert all(torch.equal(value, network.state_dict()[key]) for key, value in state.items())
    assert torch.equal(image, IMAGE)
    assert torch.equal(torch.get_rng_state(), rng)


def test_the_memory_layout_of_the_image_does_not_matter():
    network = make()
    assert torch.equal(network(IMAGE.contiguous(memory_format=torch.channels_last)), network(IMAGE))


def test_the_network_runs_in_bfloat16_autocast_close_to_float32():
    network = make()
    expected = network(IMAGE, modality=MODALITY)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = network(IMAGE, modality=MODALITY)
    logits.float().sum().backward()
    assert (logits.float() - expected).norm() < 0.05 * expected.norm()
    assert all(p.grad.isfinite().all() for p in network.parameters())


def test_the_gradient_penalty_can_be_differentiated_for_every_parameter_but_the_last_bias():
    network, image = make(), IMAGE.clone().requires_grad_()
    torch.nn.init.normal_(network.mapping.embed_position.bias)
    logits = network(image, modality=MODALITY, position=POSITION)
    (slope,) = torch.autograd.grad(logits.sum(), image, create_graph=True)
    slope.square().sum().backward()
    without = [name for name, p in network.named_parameters() if p.grad is None]
    assert without == ["out.bias"]


@pytest.mark.parametrize("shape", [(5, 16, 16), (1, 4, 16, 16), (1, 5, 32, 32)])
def test_an_image_of_the_wrong_shape_is_an_error_that_names_the_right_one(shape):
    with pytest.raises(ValueError, match=r"image must have the shape \(B, 5, 16, 16\), got"):
        make()(torch.zeros(shape))


@pytest.mark.parametrize(
    "options, message",
    [
        ({"resolution": 24}, "resolution must be a power of two"),
        ({"channel_base": 8}, "channel_base must be at least 16"),
    ],
)
def test_a_wrong_option_is_an_error_that_names_it(options, message):
    with pytest.raises(ValueError, match=message):
        make(**options)
