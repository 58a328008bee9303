"""Extensions of the paper's generator: detail path, half resolution, interpolated input, acquisition, error."""

from functools import partial

import pytest
import torch

from unicoal_components.networks.detail import ERROR_RANGE, ERROR_START
from unicoal_components.networks.generator import Generator
from unicoal_components.networks.residual import (
    add_to_interpolation,
    between_anything,
    interpolate_slices,
)
from unicoal_components.signal.grid_filter import GridFilter

TINY = {"resolution": 32, "num_modalities": 3, "channel_base": 128, "channel_max": 8, "num_layers": 5, "w_dim": 12}
TINY |= {"image_style_dim": 10, "z_dim": 6, "encoder_embedding_dim": 5}
DETAIL = {"detail_channels": 6, "detail_blocks": 2}
PATHS = ("within.", "across.")
ALL = DETAIL | {"core_resolution": 16, "interpolated_input": True, "acquisition": True, "error_output": True}
ALL |= {"residual": True, "position_embedding": "fourier", "contrast_curve": True}


def make(**options):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Generator(**(TINY | options)).eval()


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def loud(network):
    """Give the parts that start with zeros random weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        for name, parameter in network.named_parameters():
            if name.startswith(PATHS) and ("tail" in name or "style" in name or "project" in name):
                torch.nn.init.normal_(parameter, std=0.2)
    return network


IMAGE = random(3, 4, 32, 32).clamp(-1, 1)
GIVEN = {"z": random(3, 6), "modality": torch.tensor([0, 2, 1]), "position": torch.tensor([0.0, 0.5, 0.25])}
GIVEN |= {"same_modality": torch.tensor([True, False, True])}


def test_all_is_off_by_default():
    off = {"interpolated_input": False, "acquisition": False, "core_resolution": None, "detail_channels": 0}
    default, explicit = make(), make(**off, error_output=False)
    assert list(default.state_dict()) == list(explicit.state_dict())
    assert not [name for name in default.state_dict() if name.startswith(PATHS) or "acquisition" in name]
    assert torch.equal(default(IMAGE, **GIVEN), explicit(IMAGE, **GIVEN))
    whole = make(core_resolution=32)
    assert list(whole.state_dict()) == list(default.state_dict())
    assert torch.equal(default(IMAGE, **GIVEN), whole(IMAGE, **GIVEN))


@pytest.mark.parametrize("options", [{}, {"core_resolution": 16, "interpolated_input": True, "residual": True}])
def test_the_detail_path_starts_without_effect_but_for_the_grid_filter(options):
    without, network = make(**options), make(**options, **DETAIL)
    state = without.state_dict()
    added = {name: value for name, value in network.state_dict().items() if name.startswith(PATHS)}
    assert set(network.state_dict()) - set(state) == set(added)
    assert any(name.startswith("within.") for name in added) == bool(options.get("residual"))
    network.load_state_dict(state | added)
    across = GIVEN | {"same_modality": torch.zeros(3)}
    filtered = GridFilter()(without(IMAGE, **across), between_anything(IMAGE))
    torch.testing.assert_close(network(IMAGE, **across), filtered)
    assert not torch.allclose(loud(network)(IMAGE, **GIVEN), without(IMAGE, **GIVEN))


def test_within_one_modality_the_detail_path_starts_as_the_interpolation():
    network, same = make(**ALL), torch.ones(3)
    interpolation = interpolate_slices(IMAGE, GIVEN["position"][:, None])
    torch.testing.assert_close(network(IMAGE, **(GIVEN | {"same_modality": same})), interpolation)


def test_across_modalities_the_detail_path_sees_input_interpolation_and_alias_free_output_and_adds_to_it():
    network, seen = loud(make(**DETAIL, interpolated_input=True, residual=True)), {}
    network.across.register_forward_hook(lambda module, args, output: seen.update(images=args[0], added=output))
    network.synthesis.register_forward_hook(lambda module, args, output: seen.update(output=output))
    position, across = GIVEN["position"][:, None], torch.zeros(3, 1)
    output = network(IMAGE, **(GIVEN | {"same_modality": across}))
    between = interpolate_slices(IMAGE, position)
    assert torch.equal(seen["images"], torch.cat([IMAGE, between, seen["output"]], dim=1))
    filtered = GridFilter()(seen["output"] + seen["added"], between_anything(IMAGE))
    expected = add_to_interpolation(filtered, IMAGE, interpolated=between, same=across)
    torch.testing.assert_close(output, expected)


def test_within_a_modality_a_slice_is_the_mean_from_both_sides_of_its_gap_and_nothing_else_runs():
    network, asked = loud(make(**ALL)), []
    for part in (network.mapping, network.encoder, network.synthesis, network.across):
        part.register_forward_hook(lambda module, args, output: asked.append(module))
    position, same = torch.tensor([0.125, 0.5, 0.75]), torch.ones(3, 1)
    output = network(IMAGE, **(GIVEN | {"position": position, "same_modality": same}))
    assert asked == []
    t = position[:, None]
    between, unknown = interpolate_slices(IMAGE, t), torch.zeros(3, 5)
    classes = torch.nn.functional.one_hot(GIVEN["modality"], 3).float()
    ahead = network.within(torch.cat([IMAGE, between], dim=1), classes, t, unknown)
    behind = network.within(torch.cat([IMAGE.flip(1), between], dim=1), classes, 1 - t, unknown)
    added = (1 - t)[..., None, None] * ahead + t[..., None, None] * behind
    expected = add_to_interpolation(added[:, :1], IMAGE, interpolated=between, same=same, scale=1.0)
    torch.testing.assert_close(output, expected)


def test_within_a_modality_a_slice_that_was_given_is_computed_from_one_side():
    network, seen = loud(make(**ALL)), []
    network.within.register_forward_hook(lambda module, args, output: seen.append(len(output)))
    network(IMAGE, **(GIVEN | {"same_modality": torch.ones(3)}))
    assert sorted(seen) == [1, 2, 2]  # one slice at 0, two slices from both sides


def test_within_a_modality_the_output_does_not_jump_on_its_way_through_a_gap():
    network = loud(make(**ALL))
    at = partial(network, IMAGE, modality=GIVEN["modality"], same_modality=torch.ones(3), with_error=True)
    for place in (0.0, 0.25, 0.5, 0.75):
        before, after = (at(position=torch.full((3,), place + step)) for step in (0, 1e-4))
        torch.testing.assert_close(before, after, rtol=0, atol=0.01)


def test_within_a_modality_bfloat16_is_close_to_float32():
    network = loud(make(**ALL))
    given = GIVEN | {"same_modality": torch.ones(3), "with_error": True}
    with torch.autocast("cpu", dtype=torch.bfloat16):
        fast = network(IMAGE, **given)
    torch.testing.assert_close(fast.float(), network(IMAGE, **given), rtol=0, atol=0.05)


def test_a_mixed_batch_equals_its_slices_alone():
    network = loud(make(**ALL))
    whole = network(IMAGE, **GIVEN, with_error=True)
    for i in range(3):
        one = {name: value[i : i + 1] for name, value in GIVEN.items()}
        alone = network(IMAGE[i : i + 1], **one, with_error=True)
        torch.testing.assert_close(whole[i : i + 1], alone, rtol=1e-4, atol=1e-5)


def test_across_modalities_the_network_adds_to_the_curve_of_the_interpolation():
    image = 0.9 * IMAGE  # nothing is blank
    options = {"residual": True, "acquisition": True}
    without, network = make(**options), make(**options, contrast_curve=True)
    network.load_state_dict(without.state_dict() | {"contrast.values": network.contrast.values})
    given = GIVEN | {"source_modality": torch.tensor([1, 0, 2]), "same_modality": torch.zeros(3)}
    between = interpolate_slices(image, GIVEN["position"][:, None])
    torch.testing.assert_close(network(image, **given), without(image, **given) + between.clamp(-1, 1))
    same = given | {"same_modality": torch.ones(3)}
    torch.testing.assert_close(network(image, **same), without(image, **same))


def test_a_curve_without_the_interpolation_is_refused():
    with pytest.raises(ValueError, match="contrast_curve is true without residual"):
        make(contrast_curve=True)


def test_within_a_modality_a_slice_and_its_mirrored_group_are_one_task():
    network, same = loud(make(**ALL)), torch.ones(3)
    position = torch.tensor([0.125, 0.5, 0.375])
    one = network(IMAGE, position=position, same_modality=same)
    torch.testing.assert_close(network(IMAGE.flip(1), position=1 - position, same_modality=same), one)


def test_within_a_modality_slices_may_have_any_even_size_and_across_only_the_networks():
    network = loud(make(**ALL))
    small = {name: GIVEN[name] for name in ("z", "modality", "position")}
    assert network(IMAGE[..., :10, :10], **small, same_modality=torch.ones(3)).shape == (3, 1, 10, 10)
    for size, same in ((10, torch.tensor([1.0, 1.0, 0.0])), (11, torch.ones(3))):
        with pytest.raises(ValueError, match="image must have the shape"):
            network(IMAGE[..., :size, :size], **small, same_modality=same)


def test_the_alias_free_part_works_at_half_resolution():
    network, seen = make(core_resolution=16, interpolated_input=True), {}
    network.encoder.register_forward_hook(lambda module, args, output: seen.update(input=args[0]))
    network.synthesis.register_forward_hook(lambda module, args, output: seen.update(output=output))
    output = network(IMAGE, **GIVEN)
    assert seen["input"].shape == (3, 5, 16, 16) and seen["output"].shape == (3, 1, 16, 16)
    assert torch.equal(seen["input"][:, :4], network.half_resolution.down(IMAGE))
    assert torch.equal(output, network.half_resolution.up(seen["output"]))


def test_the_interpolation_is_one_more_image_for_the_encoder():
    network, seen = make(interpolated_input=True), {}
    network.encoder.register_forward_hook(lambda module, args, output: seen.update(input=args[0]))
    network(IMAGE, **GIVEN)
    expected = torch.cat([IMAGE, interpolate_slices(IMAGE, GIVEN["position"][:, None])], dim=1)
    assert torch.equal(seen["input"], expected)


ACQUISITIONS = {
    "source_modality": torch.tensor([1, 0, 2]),
    "factor": torch.tensor([4.0, 2.0, 1.5]),
    "thickness": torch.tensor([0.7, 1.3, 0.9]),
}


@pytest.mark.parametrize("name", ACQUISITIONS)
def test_every_acquisition_condition_matters_where_the_network_is_conditioned_on_it(name):
    network, deaf = make(acquisition=True), make()
    given = {name: ACQUISITIONS[name]}
    assert (network(IMAGE, **GIVEN, **given) - network(IMAGE, **GIVEN)).abs().amax(dim=(1, 2, 3)).min() > 1e-5
    assert torch.equal(deaf(IMAGE, **GIVEN, **given), deaf(IMAGE, **GIVEN))


def test_the_default_acquisition_is_an_unknown_modality_and_thin_slices_that_touch():
    network = make(acquisition=True)
    default = {"source_modality": torch.zeros(3, 3), "factor": torch.ones(3), "thickness": torch.ones(3)}
    assert torch.equal(network(IMAGE, **default), network(IMAGE))


def test_the_source_as_index_and_as_one_hot_and_numbers_as_rows_and_columns_are_the_same():
    network = make(acquisition=True)
    columns = {name: value[:, None] for name, value in ACQUISITIONS.items()}
    columns["source_modality"] = torch.eye(3)[ACQUISITIONS["source_modality"]]
    assert torch.equal(network(IMAGE, **columns), network(IMAGE, **ACQUISITIONS))


def test_the_acquisition_holds_the_modality_half_the_octaves_and_the_overlap():
    network, seen = make(acquisition=True), []
    network.mapping.embed_acquisition.register_forward_hook(lambda module, args, output: seen.append(args[0]))
    network(IMAGE, **ACQUISITIONS)
    (told,) = seen
    assert torch.equal(told[:, :3], torch.eye(3)[ACQUISITIONS["source_modality"]])
    torch.testing.assert_close(told[:, 3], ACQUISITIONS["factor"].log2() / 2)
    torch.testing.assert_close(told[:, 4], ACQUISITIONS["thickness"] - 1)


def test_the_error_is_a_second_channel_only_if_requested():
    network = loud(make(**ALL))
    with_error, alone = network(IMAGE, **GIVEN, with_error=True), network(IMAGE, **GIVEN)
    assert with_error.shape == (3, 2, 32, 32) and alone.shape == (3, 1, 32, 32)
    assert torch.equal(with_error[:, :1], alone)
    assert with_error[:, 1].std() > 0


def test_the_error_starts_at_a_constant_and_stays_within_its_range():
    network = make(**ALL)
    torch.testing.assert_close(network(IMAGE, with_error=True)[:, 1:], torch.full((3, 1, 32, 32), ERROR_START))
    for bias, logarithm in ((-100, ERROR_RANGE[0]), (100, ERROR_RANGE[1])):
        for path, same in ((network.across, torch.zeros(3)), (network.within, torch.ones(3))):
            torch.nn.init.constant_(path.error_tail[-1].bias, bias)
            error = network(IMAGE, same_modality=same, with_error=True)[:, 1:]
            torch.testing.assert_close(error, ERROR_START * torch.tensor(logarithm).exp().expand_as(error))


@pytest.mark.parametrize("options", [{}, DETAIL])
def test_an_error_requested_from_a_network_without_is_refused_with_the_option(options):
    with pytest.raises(ValueError, match="does not predict its error.*error_output true"):
        make(**options)(IMAGE, with_error=True)


def test_every_parameter_gets_a_gradient_with_everything_on():
    network = loud(make(**ALL)).train()
    network(IMAGE, **GIVEN, **ACQUISITIONS, with_error=True).square().sum().backward()
    assert [name for name, p in network.named_parameters() if p.grad is None or not p.grad.abs().max() > 0] == []


def test_it_can_be_exported_with_everything_on():
    network = loud(make(**ALL))
    given = {name: value for name, value in GIVEN.items() if name != "z"} | ACQUISITIONS
    exported = torch.export.export(network, (IMAGE,), given | {"with_error": True}).module()
    torch.testing.assert_close(
        exported(IMAGE, **given, with_error=True), network(IMAGE, **given, with_error=True), rtol=1e-4, atol=1e-5
    )
