import random
import re

import pytest
import torch

from unicoal_components.networks.discriminator import Discriminator
from unicoal_components.networks.generator import Generator
from unicoal_components.networks.official import (
    discriminator_from_official,
    generator_from_official,
    official_discriminator_names,
    official_generator_names,
)

DESIGNED = re.compile(r"(up_filter|down_filter|resample_filter)$")
PLAIN_MAGNITUDE = re.compile(r"encoder\.encoder_\d+\.magnitude_ema$")


def to_official(network):
    """Return a state dict as the official code would store this network's."""
    is_generator = isinstance(network, Generator)
    names = (official_generator_names if is_generator else official_discriminator_names)(network)
    weights = network.state_dict()
    return {official: weights[ours].clone() for ours, official in names.items()}


def make(kind, **settings):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = kind(**settings).eval()
        for tensor in network.state_dict().values():
            if tensor.ndim <= 1:
                tensor += 0.1 * torch.randn(tensor.shape).abs()
        return network


def shapes(network):
    return {key: tuple(value.shape) for key, value in network.state_dict().items()}


def test_the_names_are_exactly_the_official_keys_but_for_what_is_designed(golden):
    for names, keys in (
        (official_generator_names(golden.generator), golden.generator_weights),
        (official_discriminator_names(golden.discriminator), golden.discriminator_weights),
    ):
        unused = PLAIN_MAGNITUDE if not golden.settings["encoder_modulated"] else re.compile("$^")
        wanted = {key for key in keys if not DESIGNED.search(key) and not unused.search(key)}
        assert set(names.values()) == wanted
        assert len(set(names.values())) == len(names)


def test_the_sizes_of_the_golden_networks_are_inferred(golden):
    generator, settings = golden.generator, golden.settings
    for field in ("resolution", "in_channels", "z_dim"):
        assert getattr(generator, field) == settings[field]
    assert generator.num_modalities == settings["c_dim"]
    assert not generator.training
    assert not golden.discriminator.training
    assert all(p.requires_grad for p in generator.parameters())


SETTINGS = [
    {"resolution": 128, "num_modalities": 4, "channel_base": 1000, "channel_max": 24, "num_layers": 10},
    {"resolution": 64, "num_modalities": 1, "channel_base": 777, "channel_max": 512, "encoder_modulated": False},
    {"resolution": 64, "channel_base": 4096, "channel_max": 9, "w_dim": 20, "image_style_dim": 12, "z_dim": 8},
    {"resolution": 64, "channel_base": 300, "channel_max": 16, "in_channels": 1, "mapping_layers": 11},
    {"resolution": 16, "channel_base": 16, "channel_max": 512, "num_layers": 4, "encoder_embedding_dim": 3},
]


@pytest.mark.parametrize("settings", SETTINGS)
def test_an_exported_generator_is_imported_with_equal_sizes_and_outputs(settings):
    network = make(Generator, **settings)
    imported = generator_from_official(to_official(network))
    assert shapes(imported) == shapes(network)
    g = torch.Generator().manual_seed(0)
    image = torch.randn(2, network.in_channels, network.resolution, network.resolution, generator=g)
    given = {
        "z": torch.randn(2, network.z_dim, generator=g),
        "modality": torch.tensor([0, network.num_modalities - 1]),
        "position": torch.tensor([0.0, 0.5]),
        "truncation_psi": 0.5,
    }
    with torch.no_grad():
        assert torch.equal(imported(image, **given), network(image, **given))


@pytest.mark.parametrize(
    "settings",
    [
        {"resolution": 128, "num_modalities": 4, "channel_base": 1000, "channel_max": 24},
        {"resolution": 16, "num_modalities": 1, "channel_base": 77, "channel_max": 512, "in_channels": 2},
        {"resolution": 64, "channel_base": 4096, "channel_max": 9, "mapping_layers": 11},
    ],
)
def test_an_exported_discriminator_is_imported_with_equal_sizes_and_outputs(settings):
    network = make(Discriminator, **settings)
    imported = discriminator_from_official(to_official(network))
    assert shapes(imported) == shapes(network)
    image = torch.randn(2, network.in_channels, network.resolution, network.resolution)
    given = {"modality": torch.tensor([0, network.num_modalities - 1]), "position": torch.tensor([0.0, 0.5])}
    with torch.no_grad():
        assert torch.equal(imported(image, **given), network(image, **given))


@pytest.mark.parametrize("seed", range(12))
def test_the_sizes_of_any_valid_network_are_inferred_from_its_keys_and_shapes(seed):
    rng = random.Random(seed)
    common = {
        "resolution": rng.choice([64, 128, 256, 512]),
        "num_modalities": rng.randint(1, 5),
        "channel_base": rng.choice([2 ** rng.randint(9, 15), rng.randint(512, 2**15)]),
        "channel_max": rng.randint(16, 512),
        "mapping_layers": rng.randint(1, 8),
        "in_channels": rng.randint(1, 6),
    }
    settings = common | {
        "num_layers": rng.randint(8, 16),
        "w_dim": rng.choice([8, 32, 512]),
        "z_dim": rng.choice([4, 64, 100]),
        "image_style_dim": rng.choice([8, 1024]),
        "encoder_modulated": rng.random() < 0.7,
    }
    with torch.device("meta"):
        generator, discriminator = Generator(**settings), Discriminator(**common)
        imported = generator_from_official(to_official(generator))
        assert shapes(imported) == shapes(generator)
        assert imported.synthesis.skip_sizes == generator.synthesis.skip_sizes
        assert shapes(discriminator_from_official(to_official(discriminator))) == shapes(discriminator)


def test_the_papers_sizes_are_inferred():
    with torch.device("meta"):
        network = Generator()
        imported = generator_from_official(to_official(network))
    assert shapes(imported) == shapes(network)
    assert "synthesis.L12_276_64.weight" in to_official(network)
    assert "synthesis.L13_256_64.weight" in to_official(network)


def test_half_precision_weights_become_float32(unified):
    weights = {key: value.half() for key, value in unified.generator_weights.items()}
    network = generator_from_official(weights)
    assert {value.dtype for value in network.state_dict().values()} == {torch.float32}
    for key, value in network.state_dict().items():
        assert torch.equal(value, unified.generator.state_dict()[key])


def test_the_skip_resolution_is_set_by_the_caller(unified):
    assert [s for s in generator_from_official(unified.generator_weights).synthesis.skip_sizes if s] == [52, 84]
    limited = generator_from_official(unified.generator_weights, skip_resolution=8)
    assert [s for s in limited.synthesis.skip_sizes if s] == [52]


def both(case):
    return [
        (generator_from_official, case.generator_weights),
        (discriminator_from_official, case.discriminator_weights),
    ]


def test_unknown_keys_are_all_listed(unified):
    for load, weights in both(unified):
        with pytest.raises(ValueError, match="does not fit; unknown keys: mapping.extra, other.weight$"):
            load(weights | {"mapping.extra": torch.zeros(1), "other.weight": torch.zeros(2)})


def test_missing_keys_are_all_listed(unified):
    for load, weights in both(unified):
        left = {key: value for key, value in weights.items() if not key.startswith("mapping.fc0.")}
        with pytest.raises(ValueError, match="does not fit; missing keys: mapping.fc0.bias, mapping.fc0.weight$"):
            load(left)


@pytest.mark.parametrize(
    "part",
    ["L3_", "L14_", "encoder_0.", "encoder_5.", "encoder.mapping.embed.", "input.affine", "encoder.fc_in", "w_avg"],
)
def test_a_generator_without_a_part_is_an_error_that_names_it(unified, part):
    left = {key: value for key, value in unified.generator_weights.items() if part not in key}
    with pytest.raises(ValueError, match=f"missing keys.*{re.escape(part)}"):
        generator_from_official(left)


@pytest.mark.parametrize("part", ["b64.fromrgb", "b32.conv0", "b64.conv0", "b4.out", "b4.conv", "mapping.embed_index"])
def test_a_discriminator_without_a_part_is_an_error_that_names_it(unified, part):
    left = {key: value for key, value in unified.discriminator_weights.items() if part not in key}
    with pytest.raises(ValueError, match=f"missing keys.*{re.escape(part)}"):
        discriminator_from_official(left)


def test_wrong_shapes_are_listed(unified):
    weights = unified.generator_weights | {"mapping.fc0.weight": torch.zeros(512, 100), "mapping.w_avg": torch.zeros(5)}
    with pytest.raises(ValueError, match=r"wrong shapes: .*mapping.fc0.weight \(512, 100\) instead of \(512, 192\)"):
        generator_from_official(weights)
    with pytest.raises(ValueError, match=r"mapping.w_avg \(5,\) instead of \(512,\)"):
        generator_from_official(weights)


def test_channels_that_do_not_follow_the_rule_are_an_error(unified):
    weights = {key.replace("L2_36_32", "L2_36_31"): value for key, value in unified.generator_weights.items()}
    weights["synthesis.L2_36_31.weight"] = weights["synthesis.L2_36_31.weight"][:31]
    with pytest.raises(ValueError, match="do not follow the method's rule"):
        generator_from_official(weights)


@pytest.mark.parametrize("load", [generator_from_official, discriminator_from_official])
@pytest.mark.parametrize("weights", [{}, {"conv.weight": torch.zeros(1)}])
def test_something_else_is_not_an_official_checkpoint(load, weights):
    with pytest.raises(ValueError, match="not an official checkpoint of this kind: missing keys"):
        load(weights)


def test_generator_and_discriminator_are_not_mistaken_for_each_other(unified):
    with pytest.raises(ValueError, match="missing keys synthesis.encoder"):
        generator_from_official(unified.discriminator_weights)
    with pytest.raises(ValueError, match="missing keys b<resolution>.fromrgb.weight, b4.out.weight"):
        discriminator_from_official(unified.generator_weights)
