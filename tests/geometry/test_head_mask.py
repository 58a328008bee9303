import numpy as np
import pytest
from scipy import ndimage

from unicoal_components.geometry.head_mask import foreground_mask


def ball(shape=(40, 48, 36), radius=0.7):
    axes = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
    return sum(axis**2 for axis in axes) < radius**2


def dice(a, b):
    return 2 * np.count_nonzero(a & b) / (np.count_nonzero(a) + np.count_nonzero(b))


def test_of_a_stripped_scan_all_that_is_not_zero_is_foreground():
    inside = ball()
    volume = np.where(inside, np.random.default_rng(0).uniform(1, 500, inside.shape), 0)
    np.testing.assert_array_equal(foreground_mask(volume), inside)


def test_zeros_within_the_brain_are_foreground():
    inside = ball()
    volume = np.where(inside & ~ball(radius=0.3), 100.0, 0)
    np.testing.assert_array_equal(foreground_mask(volume), inside)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e4])
@pytest.mark.parametrize("cut", [0.0, 20.0])
def test_a_head_is_separated_from_noisy_air_at_any_scale(scale, cut):
    rng = np.random.default_rng(0)
    inside = ball()
    tissue = 150 + 60 * ndimage.gaussian_filter(rng.standard_normal(inside.shape), 2) * 8
    tissue[ball() & ~ball(radius=0.65)] = 700  # fat
    noise = rng.normal(0, 12, (2, *inside.shape))
    volume = np.hypot(np.where(inside, tissue, 0) + noise[0], noise[1])
    volume[volume < cut] = 0
    assert dice(foreground_mask(volume * scale), inside) > 0.95


def test_dark_bone_between_tissue_is_foreground():
    inside, bone = ball(), ball(radius=0.6) & ~ball(radius=0.5)
    volume = np.where(inside & ~bone, 200.0, 0) + np.random.default_rng(0).uniform(0, 10, inside.shape)
    assert dice(foreground_mask(volume), inside) > 0.95


def test_parts_separate_from_the_head_are_not_foreground():
    rng = np.random.default_rng(0)
    inside = ball(radius=0.6)
    volume = np.where(inside, 200.0, 0) + rng.uniform(1, 10, inside.shape)
    volume[:2, :4, :4] = 900
    assert not foreground_mask(volume)[:2, :4, :4].any()


def test_a_constant_volume_has_no_foreground():
    with pytest.raises(ValueError, match="no foreground: every voxel is 3"):
        foreground_mask(np.full((5, 5, 5), 3.0))
