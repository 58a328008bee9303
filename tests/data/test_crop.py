import numpy as np
import pytest
from scipy import ndimage

from unicoal_components.data.crop import _otsu_threshold, crop, crop_box, foreground_mask


def ball(shape=(40, 48, 36), radius=0.7):
    axes = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
    return sum(axis**2 for axis in axes) < radius**2


def dice(a, b):
    return 2 * np.count_nonzero(a & b) / (np.count_nonzero(a) + np.count_nonzero(b))


def test_otsus_threshold_is_that_of_scikit_image():
    filters = pytest.importorskip("skimage.filters")
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.normal(10, 3, 700), rng.normal(20, 3, 400)])
    width = np.ptp(values) / 256
    assert _otsu_threshold(values) == pytest.approx(filters.threshold_otsu(values), abs=width)


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
def test_a_head_is_told_from_noisy_air_at_any_scale(scale, cut):
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


def test_what_lies_apart_from_the_head_is_not_foreground():
    rng = np.random.default_rng(0)
    inside = ball(radius=0.6)
    volume = np.where(inside, 200.0, 0) + rng.uniform(1, 10, inside.shape)
    volume[:2, :4, :4] = 900
    assert not foreground_mask(volume)[:2, :4, :4].any()


def test_a_constant_volume_has_no_foreground():
    with pytest.raises(ValueError, match="no foreground: every voxel is 3"):
        foreground_mask(np.full((5, 5, 5), 3.0))


def test_the_margin_is_in_mm_and_stops_at_the_border():
    mask = np.zeros((30, 30, 10), dtype=np.uint8)
    mask[10:20, 1:20, 4:6] = 1
    assert crop_box(mask, np.diag([-0.5, 1.0, 4.0, 1.0]), margin=5.0) == np.s_[0:30, 0:25, 2:8]
    assert crop_box(mask, np.eye(4), margin=0.0) == np.s_[10:20, 1:20, 4:6]


def test_an_empty_mask_and_a_negative_margin_are_refused():
    with pytest.raises(ValueError, match="no foreground voxel"):
        crop_box(np.zeros((4, 4, 4), dtype=bool), np.eye(4))
    with pytest.raises(ValueError, match="margin is -1"):
        crop_box(np.ones((4, 4, 4), dtype=bool), np.eye(4), margin=-1)


def test_cropped_voxels_keep_their_place_in_the_world():
    rng = np.random.default_rng(0)
    affine = np.eye(4)
    affine[:3] = rng.standard_normal((3, 4))
    volume = rng.random((6, 7, 8))
    cut, cut_affine = crop(volume, affine, np.s_[2:5, 0:6, 3:8])
    assert cut.shape == (3, 6, 5) and cut[1, 2, 3] == volume[3, 2, 6]
    np.testing.assert_allclose(cut_affine @ [1, 2, 3, 1], affine @ [3, 2, 6, 1])
