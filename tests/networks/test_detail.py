"""Detail path, and resampling to half resolution and back."""

import pytest
import torch

from unicoal_components.networks.detail import (
    BLOCK_SCALE,
    OUTPUT_SCALE,
    ConditionEmbedding,
    DetailPath,
    HalfResolution,
    ModulatedBlock,
)

SIZE = 64
BORDER = 8  # coarse pixels that the filters reach, and some more


M = 2


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def inside(image, border=BORDER):
    return image[..., border:-border, border:-border]


def make_loud(path):
    """Give the layers that start with zeros random weights."""
    for layer in (path.tail, path.error_tail[-1], *(part for b in path.blocks for part in (b.project, b.style))):
        torch.nn.init.normal_(layer.weight)


def conditions(count=2, seed=0):
    """Target, position and acquisition of some slices."""
    return random(count, M, seed=seed), random(count, 1, seed=seed).abs(), random(count, M + 2, seed=seed)


@pytest.fixture
def half():
    return HalfResolution(resolution=SIZE)


@pytest.fixture
def path():
    torch.manual_seed(0)
    return DetailPath(in_channels=3, channels=8, num_blocks=2, num_modalities=M, error_output=True)


def test_it_starts_with_zeros_for_any_input(path):
    assert (path(random(2, 3, 16, 16), *conditions()) == 0).all()


def test_two_by_two_pixels_have_separate_channels(path):
    """The last convolution's channels become the four pixels that they represent."""
    with torch.no_grad():
        path.tail.bias.copy_(torch.arange(4.0))
        path.error_tail[-1].bias.copy_(torch.arange(4.0, 8.0))
    output = path(random(1, 3, 8, 8), *conditions(1))
    assert output.shape == (1, 2, 8, 8)
    assert torch.allclose(output[0, 0, 2:4, 4:6], OUTPUT_SCALE * torch.tensor([[0.0, 1.0], [2.0, 3.0]])) and output[
        0, 1, 2:4, 4:6
    ].tolist() == [[4, 5], [6, 7]]


def test_blank_pixels_are_the_padding_of_the_convolutions(path):
    """Blank pixels around an image change nothing: the first convolution sees zeros there."""
    torch.nn.init.zeros_(path.head.bias)
    features = []
    path.head.register_forward_hook(lambda module, args, output: features.append(output))
    image = random(1, 3, 8, 8)
    path(image, *conditions(1))
    path(torch.nn.functional.pad(image, (2, 2, 2, 2), value=-1.0), *conditions(1))
    torch.testing.assert_close(features[1][..., 1:-1, 1:-1], features[0])


def test_a_block_starts_unmodulated_and_is_modulated_feature_by_feature():
    torch.manual_seed(0)
    block, x = ModulatedBlock(4, condition_dim=3), random(2, 4, 6, 6)
    plain = block(x, random(2, 3))
    assert torch.equal(block(x, random(2, 3, seed=1)), plain)
    torch.testing.assert_close(
        plain - x, BLOCK_SCALE * block.project(torch.nn.functional.leaky_relu(block.expand(x), 0.2))
    )
    with torch.no_grad():
        block.style.bias[:4] = -1  # scale 0
        block.style.bias[4:] = 2
    torch.testing.assert_close(block(x, random(2, 3)) - x, BLOCK_SCALE * block.project(torch.full_like(x, 2)))


def test_all_parameters_get_gradients_once_the_last_layer_is_not_zero(path):
    make_loud(path)
    path(random(2, 3, 16, 16), *conditions()).square().mean().backward()
    assert all(parameter.grad.abs().max() > 0 for parameter in path.parameters())


def test_the_error_reads_the_features_and_does_not_shape_them(path):
    make_loud(path)
    path(random(2, 3, 16, 16), *conditions())[:, 1:].square().mean().backward()
    moved = {name for name, p in path.named_parameters() if p.grad is not None and p.grad.abs().max() > 0}
    assert moved == {name for name, _ in path.named_parameters() if name.startswith("error_tail.")}


def test_the_detail_is_the_same_with_and_without_the_error(path):
    alone = DetailPath(in_channels=3, channels=8, num_blocks=2, num_modalities=M)
    make_loud(path)
    alone.load_state_dict({name: value for name, value in path.state_dict().items() if "error" not in name})
    image, told = random(2, 3, 16, 16), conditions()
    assert torch.equal(alone(image, *told), path(image, *told)[:, :1])


def test_every_condition_changes_the_output(path):
    make_loud(path)
    image, told = random(2, 3, 16, 16), conditions()
    plain = path(image, *told)
    for place in range(3):
        changed = [value if other != place else 0.5 * value for other, value in enumerate(told)]
        assert (path(image, *changed) - plain).abs().amax(dim=(1, 2, 3)).min() > 1e-6


def test_positions_are_encoded_as_waves_and_further_numbers_at_the_end():
    network, seen = ConditionEmbedding(num_modalities=M, others=1, features=7), []
    network.layers[0].register_forward_hook(lambda module, args, output: seen.append(args[0]))
    modality, position, acquisition = conditions()
    others = random(2, 1, seed=3)
    assert network(modality, position, acquisition, others).shape == (2, 7)
    angles = torch.pi * position * torch.tensor([1.0, 2.0, 4.0, 8.0])
    torch.testing.assert_close(seen[0], torch.cat([modality, acquisition, angles.sin(), angles.cos(), others], dim=1))


@pytest.mark.parametrize("sizes", [{"channels": 0}, {"num_blocks": 0}])
def test_no_channels_or_blocks_are_refused(sizes):
    with pytest.raises(ValueError, match="detail_channels 0 to leave it out"):
        DetailPath(**({"in_channels": 3, "channels": 8, "num_blocks": 2, "num_modalities": M} | sizes))


@pytest.mark.parametrize("value", [-1.0, 0.3, 1.0])
def test_constants_stay_constant_both_ways(half, value):
    fine, coarse = torch.full((2, 3, SIZE, SIZE), value), torch.full((2, 3, SIZE // 2, SIZE // 2), value)
    torch.testing.assert_close(inside(half.down(fine)), inside(coarse))
    torch.testing.assert_close(inside(half.up(coarse)), inside(fine))
    if value == -1:
        assert (half.down(fine) == -1).all() and (half.up(coarse) == -1).all()  # up to the border, which is blank


def test_two_fine_pixels_are_one_coarse_pixel(half):
    image = -torch.ones(1, 1, SIZE, SIZE)
    image[..., 20:40, 20:40] = random(1, 1, 20, 20)
    down = half.down(image)
    for shift in [(2, 0), (0, 2), (4, -2)]:
        moved = half.down(image.roll(shift, dims=(2, 3)))
        torch.testing.assert_close(moved, down.roll((shift[0] // 2, shift[1] // 2), dims=(2, 3)))
    up = half.up(down)
    torch.testing.assert_close(half.up(down.roll((1, -1), dims=(2, 3))), up.roll((2, -2), dims=(2, 3)))


@pytest.mark.parametrize("dim", [2, 3])
def test_a_ramp_stays_the_ramp_at_the_pixels_centers(half, dim):
    """Coarse pixel i is centered between the fine pixels 2i and 2i + 1."""

    def ramp(places):
        return (places / SIZE).view([-1, 1] if dim == 2 else [1, -1]).expand(1, 1, len(places), len(places))

    fine, coarse = ramp(torch.arange(SIZE) * 1.0), ramp(2 * torch.arange(SIZE // 2) + 0.5)
    pixel = 1 / SIZE
    assert inside(half.down(fine) - coarse).abs().max() < 1e-3 * pixel
    assert inside(half.up(coarse) - fine, 14).abs().max() < 0.05 * pixel


@pytest.mark.parametrize("cycles", [2, 5, 10])
def test_a_wave_below_the_cutoff_keeps_its_phase_both_ways_and_nearly_its_size(half, cycles):
    places = {True: torch.arange(SIZE) * 1.0, False: 2 * torch.arange(SIZE // 2) + 0.5}  # fine, coarse

    def wave(fine, phase):
        line = torch.sin(2 * torch.pi * cycles * places[fine] / SIZE + phase)
        return line.expand(1, 1, len(line), len(line))

    for fine, way in ((False, half.down), (True, half.up)):
        found = inside(way(wave(not fine, 0.7)), 14 if fine else BORDER)[0, 0, 0]
        parts = torch.stack([inside(wave(fine, phase), 14 if fine else BORDER)[0, 0, 0] for phase in (0.7, 2.27)], 1)
        size, shifted = torch.linalg.lstsq(parts, found[:, None]).solution.flatten().tolist()
        assert size == pytest.approx(1, abs=0.08) and abs(shifted) < 1e-3


def test_frequencies_above_the_coarse_grid_are_removed(half):
    places = torch.arange(SIZE)
    wave = torch.cos(torch.pi * 0.9 * places).expand(1, 1, SIZE, SIZE)  # of 0.45 cycles per fine pixel
    assert inside(half.down(wave)).abs().max() < 0.05


def test_the_filter_is_not_among_the_weights(half):
    assert half.state_dict() == {} and list(half.parameters()) == []
