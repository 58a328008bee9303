import pytest
import torch

from unicoal_components.networks.generator import Generator
from unicoal_components.networks.residual import RESIDUAL_SCALE, between_anything, interpolate_slices

TINY = {"resolution": 16, "num_modalities": 3, "channel_base": 128, "channel_max": 8, "num_layers": 5, "w_dim": 12}
TINY |= {"image_style_dim": 10, "z_dim": 6, "encoder_embedding_dim": 5}


def make(**options):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Generator(**(TINY | options)).eval()


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


IMAGE = random(3, 4, 16, 16).clamp(-1, 1)
MODALITY = torch.tensor([0, 2, 1])
POSITION = torch.tensor([0.0, 0.5, 0.25])


def test_the_papers_network_has_59_25_million_parameters():
    with torch.device("meta"):
        network = Generator()
    assert sum(p.numel() for p in network.parameters()) / 1e6 == pytest.approx(59.25, abs=0.005)


@pytest.mark.parametrize("options", [{}, {"encoder_modulated": False}, {"in_channels": 1, "num_modalities": 1}])
def test_one_tensor_alone_works(options):
    network = make(**options)
    batch = 2
    output = network(random(batch, options.get("in_channels", 4), 16, 16))
    assert output.shape == (batch, 1, 16, 16)
    assert output.isfinite().all()


def test_the_defaults_are_class_0_position_0_and_a_latent_of_ones():
    network = make()
    given = {"z": torch.ones(3, 6), "modality": torch.zeros(3, dtype=torch.long), "position": torch.zeros(3)}
    assert torch.equal(network(IMAGE), network(IMAGE, **given))


@pytest.mark.parametrize(
    "given",
    [{"z": random(3, 6)}, {"modality": torch.ones(3, dtype=torch.long)}, {"position": torch.full((3,), 0.5)}],
    ids=["z", "modality", "position"],
)
def test_every_condition_matters(given):
    network = make()
    torch.nn.init.normal_(network.mapping.embed_position.bias)  # without it, the norm of a linear position is constant
    assert (network(IMAGE, **given) - network(IMAGE)).abs().max() > 1e-4


def test_class_indices_equal_one_hot_and_a_row_of_positions_a_column():
    network = make()
    one = network(IMAGE, modality=MODALITY, position=POSITION)
    other = network(IMAGE, modality=torch.eye(3)[MODALITY], position=POSITION[:, None])
    assert torch.equal(one, other)


def test_samples_of_a_batch_are_independent():
    network, z = make(), random(3, 6)
    together = network(IMAGE, z=z, modality=MODALITY, position=POSITION)
    for i in range(3):
        alone = network(IMAGE[i : i + 1], z=z[i : i + 1], modality=MODALITY[i : i + 1], position=POSITION[i : i + 1])
        torch.testing.assert_close(together[i : i + 1], alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("training", [False, True])
def test_the_forward_pass_changes_neither_state_nor_inputs(training):
    network = make().train(training)
    state = {key: value.clone() for key, value in network.state_dict().items()}
    inputs = [IMAGE.clone(), random(3, 6), MODALITY.clone(), POSITION.clone()]
    copies = [x.clone() for x in inputs]
    network(inputs[0], z=inputs[1], modality=inputs[2], position=inputs[3]).sum().backward()
    assert all(torch.equal(value, network.state_dict()[key]) for key, value in state.items())
    assert all(torch.equal(x, copy) for x, copy in zip(inputs, copies, strict=True))


def test_evaluation_draws_no_random_numbers_but_training_drops_image_style():
    network = make()
    before = torch.get_rng_state()
    first = network(IMAGE)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(network(IMAGE), first)
    network.train()
    assert not torch.equal(network(IMAGE), network(IMAGE))


def test_the_memory_layout_of_the_image_does_not_matter():
    network = make()
    expected = network(IMAGE)
    assert torch.equal(network(IMAGE.contiguous(memory_format=torch.channels_last)), expected)
    transposed = IMAGE.transpose(2, 3).contiguous().transpose(2, 3)
    assert torch.equal(network(transposed), expected)


def test_the_network_runs_in_bfloat16_autocast_close_to_float32():
    network = make()
    given = {"z": random(3, 6), "modality": MODALITY, "position": POSITION}
    expected = network(IMAGE, **given)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = network(IMAGE, **given)
    output.float().sum().backward()
    assert (output.float() - expected).norm() < 0.05 * expected.norm()
    assert all(p.grad.isfinite().all() for p in network.parameters() if p.grad is not None)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_the_network_runs_in_other_dtypes_and_truncates_under_autocast(dtype):
    given = {"modality": MODALITY, "position": POSITION, "truncation_psi": 0.7}
    assert make().to(dtype)(IMAGE.to(dtype), **given).dtype == dtype
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert make()(IMAGE, **given).isfinite().all()


def test_the_network_can_be_exported():
    network = make()
    given = {"modality": MODALITY, "position": POSITION}
    exported = torch.export.export(network, (IMAGE,), given).module()
    torch.testing.assert_close(exported(IMAGE, **given), network(IMAGE, **given))
    assert "autocast" not in exported.code  # each would be a graph of its own


def test_every_parameter_gets_a_gradient():
    network = make().train()
    network(IMAGE, z=random(3, 6), modality=MODALITY, position=POSITION).square().sum().backward()
    without = [name for name, p in network.named_parameters() if p.grad is None or not p.grad.abs().max() > 0]
    assert without == []


def test_the_residual_is_added_to_the_interpolation_where_the_modality_is_the_same():
    network, synthesized = make(residual=True), []
    network.synthesis.register_forward_hook(lambda module, args, output: synthesized.append(output))
    same = torch.tensor([True, False, True])
    output = network(IMAGE, position=POSITION, same_modality=same)
    expected = torch.where(between_anything(IMAGE) > 0, synthesized[0], -1.0)
    added = RESIDUAL_SCALE * synthesized[0] * between_anything(IMAGE)
    expected[same] = (added + interpolate_slices(IMAGE, POSITION[:, None]))[same]
    torch.testing.assert_close(output, expected)
    across = network(IMAGE)
    torch.testing.assert_close(across, torch.where(between_anything(IMAGE) > 0, synthesized[1], -1.0))


def test_the_residual_adds_nothing_between_two_blank_pixels():
    image = IMAGE.clone()
    image[:, 1:3, :8] = -1
    image[:, 1:3, 8:] = 0.5
    output = make(residual=True)(image, position=POSITION, same_modality=torch.ones(3))
    base = interpolate_slices(image, POSITION[:, None])
    assert torch.equal(output[:, :, :8], base[:, :, :8])
    assert not torch.isclose(output[:, :, 8:], base[:, :, 8:]).all()


def test_without_residual_the_same_modality_changes_nothing():
    network = make()
    assert torch.equal(network(IMAGE, same_modality=torch.ones(3, dtype=torch.bool)), network(IMAGE))


def test_the_encoders_nonlinearities_may_run_at_twice_the_rate_under_the_same_weights():
    official, twice = make(), make(encoder_lrelu_upsampling=2)
    pairs = list(zip(official.encoder.layers, twice.encoder.layers, strict=True))
    assert all((b.up, b.down) == (2 * a.up, 2 * a.down) for a, b in pairs)
    twice.load_state_dict(official.state_dict())
    a, b = official(IMAGE), twice(IMAGE)
    assert 0.01 < (a - b).std() / a.std() < 0.5


def test_options_without_weights_are_shown():
    assert make(residual=True).extra_repr() == (
        "residual=True, position_embedding=linear, encoder_lrelu_upsampling=1, filters=alias_free, core_resolution=16"
    )
    assert "core_resolution=16" in make(resolution=32, core_resolution=16).extra_repr()


@pytest.mark.parametrize("shape", [(4, 16, 16), (1, 3, 16, 16), (1, 4, 16, 32), (1, 4, 12, 12)])
def test_an_image_of_the_wrong_shape_is_an_error_that_names_the_right_one(shape):
    with pytest.raises(ValueError, match=r"image must have the shape \(B, 4, 16, 16\), got"):
        make()(torch.zeros(shape))


def test_a_latent_of_the_wrong_shape_is_an_error():
    with pytest.raises(ValueError, match=r"z must have the shape \(3, 6\), got \[1, 6\]"):
        make()(IMAGE, z=torch.zeros(1, 6))


@pytest.mark.parametrize(
    "options, message",
    [
        ({"resolution": 100}, "resolution must be a power of two"),
        ({"num_layers": 3}, "num_layers must be at least 4"),
        ({"position_embedding": "sine"}, "position_embedding must be"),
        ({"channel_base": 4}, "channel_base must be at least 16"),
        ({"skip_resolution": 20}, "skip_resolution must be a power of two"),
        ({"num_modalities": 0}, "num_modalities must be at least 1"),
        ({"residual": True, "in_channels": 3}, "in_channels must be even and ≥ 4, got 3"),
        ({"interpolated_input": True, "in_channels": 2}, "in_channels must be even and ≥ 4, got 2"),
        ({"error_output": True}, "error_output is true without a detail path; set detail_channels above 0"),
        (
            {"core_resolution": 4},
            "core_resolution is 4; it must be resolution, 16, or half of it and at least 16, or null",
        ),
        ({"core_resolution": 32}, "core_resolution is 32"),
        ({"core_resolution": 8}, "core_resolution is 8"),
        ({"detail_channels": 4, "detail_blocks": 0, "residual": True}, "give at least one of each"),
        ({"detail_channels": 1}, "the detail path has 1 channels; give 2 or more, or detail_channels 0"),
    ],
)
def test_a_wrong_option_is_an_error_that_names_it(options, message):
    with pytest.raises(ValueError, match=message):
        make(**options)


def test_arguments_are_keywords_and_unknown_names_are_errors():
    with pytest.raises(TypeError):
        Generator(64)
    with pytest.raises(TypeError, match="resolutoin"):
        Generator(resolutoin=64)


@pytest.mark.parametrize("encoder_modulated", [True, False])
def test_checkpointing_changes_memory_and_nothing_else(encoder_modulated):
    def train(checkpointing):
        sizes = {"resolution": 16, "channel_base": 128, "channel_max": 8, "num_layers": 6, "dropout": 0.0}
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            network = Generator(**sizes, encoder_modulated=encoder_modulated, checkpointing=checkpointing)
            image = torch.rand(2, 4, 16, 16)
        kept = []
        with torch.autograd.graph.saved_tensors_hooks(lambda x: kept.append(x.numel()) or x, lambda x: x):
            output = network(image)
        output.square().mean().backward()
        return sum(kept), output.detach(), [p.grad for p in network.parameters() if p.grad is not None]

    all_kept, output, gradients = train(False)
    few_kept, same_output, same_gradients = train(True)
    assert few_kept < 0.75 * all_kept
    assert torch.equal(output, same_output)
    assert all(torch.equal(one, other) for one, other in zip(gradients, same_gradients, strict=True))
