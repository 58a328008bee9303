import numpy as np
import pytest

from unicoal_components.scans.intensity import percentile_range, scale_from_unit, scale_to_uint8, scale_to_unit


def test_the_range_is_that_of_the_non_zero_voxels():
    volume = np.random.default_rng(0).uniform(1, 1000, 5000)
    with_background = np.concatenate([np.zeros(20000), volume])
    assert percentile_range(with_background) == percentile_range(volume)
    assert percentile_range(volume) == (np.percentile(volume, 0.5), np.percentile(volume, 99.5))


def test_stored_bytes_and_network_values_are_one_scale():
    volume = np.random.default_rng(0).uniform(1, 900, 1000)
    unit, stored = scale_to_unit(volume, 5.0, 700.0), scale_to_uint8(volume, 5.0, 700.0)
    assert unit.dtype == np.float32 and stored.dtype == np.uint8
    np.testing.assert_allclose(stored / 127.5 - 1, unit, atol=0.5 / 127.5 + 1e-6)


def test_the_way_back_gives_the_input_inside_the_range():
    volume = np.linspace(5, 700, 100)
    np.testing.assert_allclose(scale_from_unit(scale_to_unit(volume, 5.0, 700.0), 5.0, 700.0), volume, rtol=1e-4)


def test_a_large_offset_keeps_its_precision():
    volume = np.linspace(60000, 60100, 101)
    np.testing.assert_allclose(scale_to_unit(volume, 60000.0, 60100.0), np.linspace(-1, 1, 101), atol=1e-5)


@pytest.mark.parametrize("volume", [np.zeros(10), np.array([0.0, 1.0, 1.0, 1.0])])
def test_a_volume_without_contrast_is_refused(volume):
    with pytest.raises(ValueError, match="every voxel is 0|nearly constant"):
        percentile_range(volume)


def test_background_stays_background_below_a_range_that_holds_zero():
    volume = np.array([-100.0, 0.0, 50.0])
    assert scale_to_unit(volume, -100.0, 100.0).tolist() == [-1.0, -1.0, 0.5]
    assert scale_to_uint8(volume, -100.0, 100.0).tolist() == [0, 0, 191]
