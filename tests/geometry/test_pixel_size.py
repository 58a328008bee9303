import numpy as np
import pytest

from unicoal_components.geometry.pixel_size import InPlane, axis_map, pixel_range

SIZES = [(48, 0.47), (37, 0.9), (50, 1.3), (60, 2.1)]


@pytest.mark.parametrize(("size", "spacing"), SIZES)
def test_a_ramp_stays_a_ramp_in_both_directions(size, spacing):
    mapping = axis_map(size, spacing, 1.0)
    ramp = (np.arange(size) - (size - 1) / 2) * spacing  # mm from the middle
    resampled = mapping.to_network @ ramp
    count = len(resampled)
    inner = slice(count // 4, -(count // 4))  # near the edges, the first and last pixels are repeated
    np.testing.assert_allclose(resampled[inner], (np.arange(count) - (count - 1) / 2)[inner], atol=2e-4)
    inner = slice(size // 4, -(size // 4))
    np.testing.assert_allclose((mapping.to_scan @ resampled)[inner], ramp[inner], atol=2e-4)


@pytest.mark.parametrize(("size", "spacing"), SIZES)
def test_a_constant_stays_constant_and_the_new_pixels_cover_the_old(size, spacing):
    mapping = axis_map(size, spacing, 1.0)
    np.testing.assert_allclose(mapping.to_network.sum(1), 1, atol=1e-9)
    np.testing.assert_allclose(mapping.to_scan.sum(1), 1, atol=1e-9)
    assert 0 <= len(mapping.to_network) - size * spacing < 1


@pytest.mark.parametrize("ratio", [1.5, 2.0, 3.3])
def test_frequencies_above_the_new_nyquist_limit_are_removed(ratio):
    """Their amplitude becomes small, and the smaller the higher the frequency (no aliasing)."""
    size = 240
    mapping = axis_map(size, 1.0, ratio)
    left = [
        np.abs(mapping.to_network @ np.cos(2 * np.pi * f * np.arange(size)))[5:-5].max()
        for f in (0.6 / ratio, 0.74 / ratio)
    ]
    kept = np.abs(mapping.to_network @ np.cos(2 * np.pi * 0.05 / ratio * np.arange(size)))[5:-5].max()
    assert left[1] < left[0] < 0.6 and left[1] < 0.45 and kept > 0.95


def test_pixels_of_nearly_the_network_s_size_are_kept():
    slices = np.random.default_rng(0).uniform(-1, 1, (3, 5, 6)).astype(np.float32)
    for pixels in (InPlane((5, 6), (1.04, 0.97), 1.0), InPlane((5, 6), (0.3, 7.0), None)):
        assert not pixels.changes
        assert (
            pixels.to_network(slices) is slices
            and pixels.to_scan(slices) is slices
            and pixels.nearest(slices) is slices
        )


@pytest.mark.parametrize(
    ("spacing", "size"),
    [((0.8, 1.33), None), ((1.1, 0.9), None), ((0.77, 1.39), None), ((0.4, 1.0), 0.8), ((2.0, 1.0), 1.33)],
)
def test_pixels_within_a_range_are_kept_and_others_go_to_its_nearer_end(spacing, size):
    pixels = InPlane((20, 10), spacing, [0.8, 1.33])
    assert pixels.columns is None
    if size is None:
        assert not pixels.changes
    else:
        np.testing.assert_array_equal(pixels.rows.to_network, axis_map(20, spacing[0], size).to_network)
        np.testing.assert_array_equal(pixels.rows.to_scan, axis_map(20, spacing[0], size).to_scan)


@pytest.mark.parametrize("wanted", [0, True, "1", [1.2, 0.8], [0.8], [0, 1], [1, float("inf")], []])
def test_a_pixel_size_that_is_none_is_refused(wanted):
    with pytest.raises(ValueError, match="in_plane_spacing is .*positive number of mm.*smallest, largest.*null"):
        pixel_range(wanted)


def test_each_axis_goes_its_own_way():
    slices = np.random.default_rng(0).uniform(-1, 1, (3, 10, 12)).astype(np.float32)
    pixels = InPlane((10, 12), (0.5, 2.0), 1.0)
    assert (
        pixels.changes
        and pixels.to_network(slices).shape == (3, 5, 24)
        and pixels.to_network(slices).dtype == np.float32
    )
    assert pixels.to_scan(pixels.to_network(slices)).shape == slices.shape
    assert pixels.nearest(slices > 0).shape == (3, 5, 24)
    only_rows = InPlane((10, 12), (0.5, 1.0), 1.0).to_network(slices)
    np.testing.assert_allclose(only_rows[0, :, 4], axis_map(10, 0.5, 1.0).to_network @ slices[0, :, 4], atol=1e-5)


def test_the_nearest_pixel_is_the_one_below_the_center():
    assert axis_map(4, 1.0, 2.0).nearest.tolist() == [0, 2]
    assert axis_map(2, 2.0, 1.0).nearest.tolist() == [0, 0, 1, 1]


def test_a_slice_smaller_than_a_pixel_of_the_network_becomes_one():
    mapping = axis_map(3, 0.1, 1.0)
    assert mapping.to_network.shape == (1, 3) and mapping.to_scan.shape == (3, 1)
