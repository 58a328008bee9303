"""Interpolation, to which a network's output is added."""

import torch

from unicoal_components.networks.residual import (
    RESIDUAL_SCALE,
    add_to_interpolation,
    between_anything,
    interpolate_slices,
    nearer_first,
)

POSITION = torch.tensor([0.0, 0.5, 0.25])


def test_interpolation_is_cubic_convolution_of_four_slices():
    image = torch.rand(3, 4, 2, 2)
    distance = torch.stack([1 + POSITION, POSITION, 1 - POSITION, 2 - POSITION], dim=1)
    inner = distance**3 - 2 * distance**2 + 1  # Keys' kernel with a = -1
    outer = -(distance**3) + 5 * distance**2 - 8 * distance + 4
    weights = torch.where(distance <= 1, inner, outer)
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(3))
    expected = (weights[:, :, None, None] * image).sum(dim=1, keepdim=True)
    torch.testing.assert_close(interpolate_slices(image, POSITION[:, None]), expected)


def test_interpolation_at_a_slice_is_the_slice_and_halfway_of_a_ramp_is_halfway():
    ramp = torch.arange(4.0).view(1, 4, 1, 1).expand(2, 4, 2, 2)
    assert interpolate_slices(ramp, torch.tensor([[0.0], [0.5]]))[:, 0, 0, 0].tolist() == [1.0, 1.5]


def test_interpolation_at_the_end_of_the_volume_repeats_the_last_slice():
    image = torch.full((3, 4, 2, 2), -1.0)
    image[0, 1], image[1, 2] = 0.25, 0.75
    result = interpolate_slices(image, torch.full((3, 1), 0.5))
    assert result[:, 0, 0, 0].tolist() == [0.25, 0.75, -1.0]


def test_the_network_adds_to_the_interpolation_within_a_modality_and_is_the_output_across_and_blank_stays_blank():
    torch.manual_seed(0)
    image, output = torch.rand(2, 4, 4, 4), torch.rand(2, 1, 4, 4)
    image[:, 1:3, :2] = -1
    same, position = torch.tensor([[1.0], [0.0]]), torch.tensor([[0.25], [0.5]])
    base = interpolate_slices(image, position)
    for scale in ({}, {"scale": 1.0}):
        result = add_to_interpolation(output, image, interpolated=base, same=same, **scale)
        within = base[0] + scale.get("scale", RESIDUAL_SCALE) * output[0]
        torch.testing.assert_close(result[0, :, 2:], within[:, 2:])
        torch.testing.assert_close(result[1, :, 2:], output[1, :, 2:])
        assert torch.equal(result[0, :, :2], base[0, :, :2]) and (result[1, :, :2] == -1).all()


def test_groups_are_seen_from_the_nearer_side_which_changes_no_interpolation():
    image, position = torch.rand(4, 4, 2, 2), torch.tensor([[0.0], [0.25], [0.5], [0.75]])
    group, nearest = nearer_first(image, position)
    assert nearest.flatten().tolist() == [0.0, 0.25, 0.5, 0.25]
    assert torch.equal(group[:3], image[:3]) and torch.equal(group[3], image[3].flip(0))
    torch.testing.assert_close(interpolate_slices(group, nearest), interpolate_slices(image, position))


def test_single_blank_pixels_inside_are_not_background_and_its_border_stays():
    image = torch.full((1, 4, 20, 20), -1.0)
    image[:, :, 4:16, 5:15] = 0.5
    wanted = (image[:, 1:2] > -1).float()
    image[:, :, 8, 9] = image[:, :, 12, 6] = -1  # the darkest fluid, cut off
    torch.testing.assert_close(between_anything(image), wanted)
    image[:, :, 7:12, 8:13] = -1  # a hole of 5 x 5 pixels stays one
    assert (between_anything(image)[:, :, 7:12, 8:13] == 0).all()
