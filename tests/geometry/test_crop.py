import numpy as np
import pytest

from unicoal_components.geometry.crop import crop, crop_box


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


def test_cropped_voxels_keep_their_world_position():
    rng = np.random.default_rng(0)
    affine = np.eye(4)
    affine[:3] = rng.standard_normal((3, 4))
    volume = rng.random((6, 7, 8))
    cut, cut_affine = crop(volume, affine, np.s_[2:5, 0:6, 3:8])
    assert cut.shape == (3, 6, 5) and cut[1, 2, 3] == volume[3, 2, 6]
    np.testing.assert_allclose(cut_affine @ [1, 2, 3, 1], affine @ [3, 2, 6, 1])
