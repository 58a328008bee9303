import math

import pytest

from unicoal_components.networks.schedule import check_resolution, layer_table


def test_the_table_of_the_paper_is_the_golden_one():
    rows = layer_table(resolution=256)
    assert [row.size for row in rows] == [36, 36, 36, 52, 52, 84, 84, 148, 148, 148, 276, 276, 276, 256, 256]
    assert [row.channels for row in rows] == [512] * 7 + [362, 256, 181, 128, 91, 64, 64, 1]


@pytest.mark.parametrize("resolution, num_layers", [(16, 4), (64, 14), (128, 10), (512, 8)])
def test_every_row_follows_the_equations(resolution, num_layers):
    rows = layer_table(resolution=resolution, num_layers=num_layers, channel_base=1000, channel_max=50)
    assert len(rows) == num_layers + 1
    for i, row in enumerate(rows):
        e = min(i / (num_layers - 2), 1)
        cutoff = 2 * (resolution / 4) ** e
        stopband = 2**2.1 * (resolution / 2 * 2**0.3 / 2**2.1) ** e
        rate = 2 ** math.ceil(math.log2(min(2 * stopband, resolution)))
        assert row.cutoff == pytest.approx(cutoff)
        assert row.sampling_rate == rate
        assert row.half_width == pytest.approx(max(stopband, rate / 2) - cutoff)
        assert row.size == (resolution if i >= num_layers - 1 else rate + 20)
        assert row.channels == (1 if i == num_layers else round(min(500 / row.cutoff, 50)))


def test_critical_layers_sample_at_the_cutoff_of_the_image():
    rows = layer_table(resolution=128, num_layers=9)
    assert [row.cutoff for row in rows[7:]] == [64, 64, 64]


def test_the_encoder_keeps_its_margin_in_the_last_rows():
    plain, encoder = layer_table(resolution=64), layer_table(resolution=64, margin_at_end=True)
    assert [row.size for row in encoder[-2:]] == [84, 84]
    assert encoder[:-2] == plain[:-2]


@pytest.mark.parametrize("resolution", [0, -64, 8, 48, 100, 255, 64.0, "64"])
def test_a_resolution_that_is_no_power_of_two_is_an_error_that_says_so(resolution):
    with pytest.raises(ValueError, match="resolution must be a power of two .* got"):
        check_resolution(resolution)
    with pytest.raises(ValueError, match="padded or cropped"):
        layer_table(resolution=resolution)


def test_too_few_layers_are_an_error():
    with pytest.raises(ValueError, match="num_layers must be at least 4, got 3"):
        layer_table(resolution=64, num_layers=3)
