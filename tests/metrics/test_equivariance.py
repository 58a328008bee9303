"""Equivariance of maps with known equivariance."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from unicoal_components.metrics.equivariance import KINDS, Equivariance, both_sides, draw_motions, equivariance
from unicoal_components.metrics.equivariance import unmoved_map as identity
from unicoal_components.metrics.shift_and_rotate import Motion
from unicoal_components.networks.generator import Generator
from unicoal_components.networks.plain_filters import use_plain_filters

SIZE = 64
COUNT = 6


def noise(largest_frequency, size=SIZE, channels=1):
    """Return noise in [-1, 1] that is blank towards the border and whose spectrum ends at a frequency."""
    rng = np.random.default_rng(0)
    f = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.fftfreq(size))
    spectrum = np.fft.fft2(rng.normal(size=(COUNT, channels, size, size))) * (f < largest_frequency)
    images = np.fft.ifft2(spectrum).real
    axis = np.arange(size) + 0.5 - size / 2
    window = np.exp(-((np.hypot(axis, axis[:, None]) / (size / 6)) ** 2))
    return torch.from_numpy((window * (1 + images / abs(images).max()) - 1).astype(np.float32))


def measure(function, images, kind, **options):
    return equivariance(function, images, motions=draw_motions(kind, count=COUNT, size=SIZE), **options).decibels


def blur(images):
    return F.avg_pool2d(images + 1, 5, stride=1, padding=2, count_include_pad=True) - 1


def square(images):
    return (images + 1).square() / 2 - 1


def every_other(images):
    return images[..., ::2, ::2].repeat_interleave(2, dim=-1).repeat_interleave(2, dim=-2)


@pytest.mark.parametrize("kind", KINDS)
def test_the_identity_is_at_the_ceiling(kind):
    assert measure(identity, noise(0.5), kind) > 80


@pytest.mark.parametrize("kind", ["translation", "fractional"])
def test_a_convolution_commutes_with_shifts(kind):
    assert measure(blur, noise(0.5), kind) > 80


def test_a_square_window_does_not_commute_with_rotations():
    assert measure(blur, noise(0.25), "rotation") < 60


@pytest.mark.parametrize("kind", ["fractional", "rotation"])
def test_squaring_commutes_as_long_as_twice_the_frequencies_fit(kind):
    narrow, wide = measure(square, noise(0.15), kind), measure(square, noise(0.45), kind)
    assert narrow > 70
    assert wide < narrow - 15


@pytest.mark.parametrize("kind", KINDS)
def test_leaving_out_every_other_pixel_does_not_commute(kind):
    assert measure(every_other, noise(0.45), kind) < 40


@pytest.mark.parametrize("kind", KINDS)
def test_a_pattern_that_stays_where_it_is_does_not_commute(kind):
    pattern = 0.1 * torch.sin(0.5 * torch.arange(SIZE))

    assert measure(lambda x: x + pattern, noise(0.25), kind) < 35


def test_a_pattern_that_is_moved_along_commutes():
    class Patterned:
        phase = 0.0

        def move_input(self, matrix):
            self.phase = 2 * math.pi * 3 * matrix[0, 2]

        def __call__(self, x):
            axis = (torch.arange(SIZE) + 0.5) / SIZE - 0.5
            return x + 0.1 * torch.sin(2 * math.pi * 3 * axis + self.phase)

    patterned = Patterned()
    assert measure(patterned, noise(0.25), "translation") < 40
    assert measure(patterned, noise(0.25), "translation", move_input=patterned.move_input) > 80
    assert patterned.phase == 0


def test_the_input_is_put_back_after_an_error():
    seen = []

    def fails(_):
        if seen:
            raise RuntimeError("out of memory")
        return torch.zeros(1, 1, SIZE, SIZE)

    with pytest.raises(RuntimeError):
        both_sides(fails, noise(0.2)[:1], Motion(right=1), seen.append)
    assert torch.equal(seen[-1], torch.eye(3, dtype=torch.float64))
    assert len(seen) == 2


def test_the_error_is_that_of_the_definition_for_a_map_that_ignores_its_input():
    ramp = torch.arange(SIZE) / 100 - 1.0
    result = equivariance(lambda x: ramp.expand(1, 1, SIZE, SIZE), noise(0.2)[:1], motions=[Motion(right=5)], margin=10)
    assert result.errors[0] == pytest.approx(0.05**2, rel=1e-4)
    assert result.decibels == pytest.approx(10 * math.log10(4 / 0.05**2), abs=1e-3)


def test_decibels_are_those_of_the_mean_error_and_the_standard_error_follows_from_the_spread():
    result = Equivariance((0.01, 0.03))
    assert result.decibels == pytest.approx(10 * math.log10(4 / 0.02))
    assert result.standard_error == pytest.approx(10 / math.log(10) * 0.01 / 0.02)
    assert Equivariance((0.0,)).decibels == math.inf


@pytest.mark.parametrize("kind", KINDS)
def test_motions_are_within_their_bounds_whole_where_they_must_be_and_the_same_for_a_seed(kind):
    motions = draw_motions(kind, count=50, size=64, seed=1)
    assert motions == draw_motions(kind, count=50, size=64, seed=1)
    assert motions != draw_motions(kind, count=50, size=64, seed=2)
    assert all(motion.is_whole == (kind == "translation") for motion in motions)
    assert all(max(abs(motion.right), abs(motion.down)) <= 8 for motion in motions)
    assert max(abs(motion.angle) for motion in motions) > 90 or kind != "rotation"


def test_the_untrained_network_is_more_equivariant_with_its_filters_than_with_plain_ones():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = Generator(resolution=SIZE, num_modalities=1, channel_base=256, channel_max=8, num_layers=6).eval()
    images = noise(0.25, channels=4)
    found = []
    for one in (network, use_plain_filters(network)):
        with torch.no_grad():
            scale = one(images).std()
            found.append(
                measure(
                    lambda x, f=one, s=scale: f(x) / s,
                    images,
                    "fractional",
                    move_input=one.synthesis.input.transform.copy_,
                )
            )
    assert found[0] > found[1] + 1


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match="6 images and 1 motions"):
        equivariance(identity, noise(0.2), motions=[Motion()])
    with pytest.raises(ValueError, match="leaves no pixel of 64² with a margin of 40"):
        equivariance(identity, noise(0.2)[:1], motions=[Motion()], margin=40)
    with pytest.raises(ValueError, match="kind is 'shear'"):
        draw_motions("shear", count=1, size=64)
