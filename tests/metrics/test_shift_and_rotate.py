"""Moving images, against waves whose moved form is known."""

import math

import numpy as np
import pytest
import torch

from unicoal_components.metrics.shift_and_rotate import Motion, low_pass, move, valid_region
from unicoal_components.networks.schedule import layer_table
from unicoal_components.networks.synthesis import FourierInput

SIZE = 64
MOTIONS = [
    Motion(right=3, down=-2),
    Motion(right=2.3, down=-5.6),
    Motion(angle=30),
    Motion(angle=-135),
    Motion(angle=211, right=2.5, down=1),
]


def places(motion, size=SIZE):
    """Return where pixels come from by plain trigonometry: turn back about the middle what is shifted back."""
    axis = np.arange(size) + 0.5 - size / 2
    x, y = axis[None] - motion.right, axis[:, None] - motion.down
    a = math.radians(motion.angle)
    return math.cos(a) * x + math.sin(a) * y, -math.sin(a) * x + math.cos(a) * y


def waves(motion, largest_frequency=0.3, size=SIZE):
    """Return Gaussian-windowed waves, moved by the formula: their spectrum ends within the disc."""
    rng = np.random.default_rng(3)
    x, y = places(motion, size)
    total = 0
    for _ in range(5):
        f = rng.uniform(-largest_frequency, largest_frequency, 2) / math.sqrt(2)
        cx, cy = rng.uniform(-4, 4, 2)
        envelope = np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * 5.5**2))
        total = total + envelope * np.cos(2 * math.pi * (f[0] * x + f[1] * y + rng.uniform()))
    return torch.from_numpy(total)


@pytest.mark.parametrize("motion", MOTIONS)
def test_moved_waves_are_those_of_the_formula_to_more_than_100_decibels(motion):
    error = move(waves(Motion()), motion) - waves(motion)
    assert 10 * math.log10(4 / error.square().mean()) > 100


def test_a_quarter_turn_turns_as_rot90_does():
    image = low_pass(torch.randn(2, 3, 24, 24, generator=torch.Generator().manual_seed(0), dtype=torch.float64))
    inner = slice(8, 16)
    turned = move(image, Motion(angle=90))
    expected = low_pass(image).rot90(-1, dims=(2, 3))
    torch.testing.assert_close(turned[..., inner, inner], expected[..., inner, inner], rtol=0, atol=1e-5)


def test_a_whole_shift_copies_pixels_and_fills_with_zeros():
    image = torch.arange(1.0, 10).view(3, 3)
    assert move(image, Motion(right=-1, down=1)).tolist() == [[0, 0, 0], [2, 3, 0], [5, 6, 0]]


def test_the_low_pass_keeps_the_inner_disc_and_takes_the_rest():
    x = torch.arange(64, dtype=torch.float64)
    envelope = torch.exp(-((x - 31.5) ** 2) / (2 * 8**2))
    window = envelope * envelope[:, None]
    inner = window * torch.cos(2 * math.pi * (0.25 * x + 0.2 * x[:, None]))  # |f| = 0.32
    outer = window * torch.cos(2 * math.pi * (0.42 * x + 0.42 * x[:, None]))  # 0.59, yet below 0.5 along both axes
    torch.testing.assert_close(low_pass(inner), inner, rtol=0, atol=1e-4)
    assert low_pass(outer).abs().max() < 1e-3


def test_the_valid_region_is_where_place_and_source_are_off_the_border():
    motion = Motion(angle=30, right=3.5, down=1)
    source_x, source_y = places(motion)
    here_x, here_y = places(Motion())
    expected = np.maximum.reduce([abs(here_x) + 0 * here_y, abs(here_y) + 0 * here_x, abs(source_x), abs(source_y)])
    region = valid_region(motion, size=SIZE, margin=5)
    np.testing.assert_array_equal(region.numpy(), expected < SIZE / 2 - 5)
    assert 0.2 < region.double().mean() < 0.8


@pytest.mark.parametrize("motion", MOTIONS)
def test_the_matrix_moves_the_fourier_input_by_the_formula_of_its_sines(motion):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        layer = FourierInput(row=layer_table(resolution=64, channel_base=64)[0], w_dim=2).double()
    layer.weight.data = torch.eye(len(layer.weight), dtype=torch.float64) * math.sqrt(len(layer.weight))
    layer.transform.copy_(motion.matrix(SIZE))
    moved = layer(torch.zeros(1, 2, dtype=torch.float64))[0]
    # the field of view has 64 pixels of the image and 16 samples of the canvas
    in_samples = Motion(motion.angle, motion.right / 4, motion.down / 4)
    x, y = (torch.from_numpy(place / 16) for place in places(in_samples, layer.size))
    phase = layer.phases[:, None, None].double()
    fx, fy = layer.frequencies.double().T[..., None, None]
    torch.testing.assert_close(moved, torch.sin(2 * math.pi * (fx * x + fy * y + phase)), rtol=0, atol=1e-5)


def test_images_that_are_not_square_are_refused():
    with pytest.raises(ValueError, match=r"shape \(2, 3\); only square"):
        move(torch.zeros(2, 3), Motion(angle=5))
