import numpy as np
import pytest

from unicoal_components.geometry.pixel_size import InPlane, axis_map, pixel_range

SIZES = [(48, 0.47), (37, 0.9), (50, 1.3), (60, 2.1)]


@pytest.mark.parametrize(("size", "spacing"), SIZES)
def test_a_ramp_stays_a_ramp_on_both_ways(size, spacing):
    way = axis_map(size, spacing, 1.0)
    ramp = (np.arange(size) - (size - 1) / 2) * spacing  # mm from the middle
    there = way.there @ ramp
    count = len(there)
    inner = slice(count // 4, -(count // 4))  # the first pixels go on as they are past the edge
    np.testing.assert_allclose(there[inner], (np.arange(count) - (count - 1) / 2)[inner], atol=2e-4)
    inner = slice(size // 4, -(size // 4))
    np.testing.assert_allclose((way.back @ there)[inner], ramp[inner], atol=2e-4)


@pytest.mark.parametrize(("size", "spacing"), SIZES)
def test_a_constant_stays_one_and_the_new_pixels_cover_the_old(size, spacing):
    way = axis_map(size, spacing, 1.0)
    np.testing.assert_allclose(way.there.sum(1), 1, atol=1e-9)
    np.testing.assert_allclose(way.back.sum(1), 1, atol=1e-9)
    assert 0 <= len(way.there) - size * spacing < 1


@pytest.mark.parametrize("ratio", [1.5, 2.0, 3.3])
def test_a_wave_that_coarser_pixels_cannot_hold_is_taken_out_not_folded(ratio):
    """Frequency above the new Nyquist limit: what is left of it is small, and smaller the finer it is."""
    size = 240
    way = axis_map(size, 1.0, ratio)
    left = [
        np.abs(way.there @ np.cos(2 * np.pi * f * np.arange(size)))[5:-5].max() for f in (0.6 / ratio, 0.74 / ratio)
    ]
    kept = np.abs(way.there @ np.cos(2 * np.pi * 0.05 / ratio * np.arange(size)))[5:-5].max()
    assert left[1] < left[0] < 0.6 and left[1] < 0.45 and kept > 0.95


def test_pixels_of_nearly_the_network_s_size_stay_as_they_are():
    slices = np.random.default_rng(0).uniform(-1, 1, (3, 5, 6)).astype(np.float32)
    for pixels in (InPlane((5, 6), (1.04, 0.97), 1.0), InPlane((5, 6), (0.3, 7.0), None)):
        assert not pixels.changes
        assert pixels.there(slices) is slices and pixels.back(slices) is slices and pixels.nearest(slices) is slices


@pytest.mark.parametrize(
    ("spacing", "size"),
    [((0.8, 1.33), None), ((1.1, 0.9), None), ((0.77, 1.39), None), ((0.4, 1.0), 0.8), ((2.0, 1.0), 1.33)],
)
def test_pixels_within_a_range_stay_and_others_go_to_its_nearer_end(spacing, size):
    pixels = InPlane((20, 10), spacing, [0.8, 1.33])
    assert pixels.columns is None
    if size is None:
        assert not pixels.changes
    else:
        np.testing.assert_array_equal(pixels.rows.there, axis_map(20, spacing[0], size).there)
        np.testing.assert_array_equal(pixels.rows.back, axis_map(20, spacing[0], size).back)


@pytest.mark.parametrize("wanted", [0, True, "1", [1.2, 0.8], [0.8], [0, 1], [1, float("inf")], []])
def test_a_pixel_size_that_is_none_is_refused(wanted):
    with pytest.raises(ValueError, match="in_plane_spacing is .*positive number of mm.*smallest, largest.*null"):
        pixel_range(wanted)


def test_each_axis_goes_its_own_way():
    slices = np.random.default_rng(0).uniform(-1, 1, (3, 10, 12)).astype(np.float32)
    pixels = InPlane((10, 12), (0.5, 2.0), 1.0)
    assert pixels.changes and pixels.there(slices).shape == (3, 5, 24) and pixels.there(slices).dtype == np.float32
    assert pixels.back(pixels.there(slices)).shape == slices.shape
    assert pixels.nearest(slices > 0).shape == (3, 5, 24)
    only_rows = InPlane((10, 12), (0.5, 1.0), 1.0).there(slices)
    np.testing.assert_allclose(only_rows[0, :, 4], axis_map(10, 0.5, 1.0).there @ slices[0, :, 4], atol=1e-5)


def test_the_nearest_pixel_is_the_one_below_the_center():
    assert axis_map(4, 1.0, 2.0).nearest.tolist() == [0, 2]
    assert axis_map(2, 2.0, 1.0).nearest.tolist() == [0, 0, 1, 1]


def test_a_slice_smaller_than_a_pixel_of_the_network_becomes_one():
    way = axis_map(3, 0.1, 1.0)
    assert way.there.shape == (1, 3) and way.back.shape == (3, 1)
