"""Plain filters replace the alias-free ones without shifting samples."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from unicoal_components.networks.alias_free import AliasFreeLayer
from unicoal_components.networks.generator import Generator
from unicoal_components.networks.plain_filters import average_taps, bilinear_taps, set_plain_filters, use_plain_filters
from unicoal_components.networks.schedule import layer_table
from unicoal_components.signal.resampling import downsample, upsample

SMALL = {"resolution": 64, "num_modalities": 2, "num_layers": 6, "channel_base": 256, "channel_max": 8, "w_dim": 16}


def seeded(make):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return make()


@pytest.mark.parametrize("factor", [2, 4])
def test_the_up_filter_is_what_pytorch_calls_bilinear(factor):
    x = seeded(lambda: torch.randn(1, 2, 12, 12))
    taps = bilinear_taps(taps=6 * factor, factor=factor)
    crop = (len(taps) - factor) // 2  # the middle of the filter is the middle of a sample
    result = upsample(x, taps * factor, factor=factor, crop=(crop, crop))
    expected = F.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=False)
    inner = slice(factor, -factor)
    assert result.shape == expected.shape
    torch.testing.assert_close(result[..., inner, inner], expected[..., inner, inner], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("factor", [2, 4])
def test_the_down_filter_is_average_pooling(factor):
    x = seeded(lambda: torch.randn(1, 2, 24, 24))
    taps = average_taps(taps=6 * factor, factor=factor)
    result = downsample(x, taps, factor=factor, padding=(len(taps) - factor) // 2)
    torch.testing.assert_close(result, F.avg_pool2d(x, factor), rtol=1e-5, atol=1e-6)


def layers():
    rows = layer_table(resolution=128, num_layers=8, channel_base=256, channel_max=2)
    top = layer_table(resolution=128, num_layers=8, channel_base=256, channel_max=2, margin_at_end=True)
    for i in range(8):
        yield rows[max(i - 1, 0)], rows[i], 2
    for i in range(7):
        yield top[i + 1], top[i], 1


@pytest.mark.parametrize("source, target, lrelu_upsampling", list(layers()))
def test_a_layer_gives_the_same_for_a_ramp_so_nothing_is_shifted(source, target, lrelu_upsampling):
    options = {"source": source, "target": target, "in_channels": 1, "condition_dim": None}
    layer = seeded(lambda: AliasFreeLayer(**options, lrelu_upsampling=lrelu_upsampling))
    layer.conv.weight.data.abs_()
    axis = (torch.arange(source.size) + 0.5 - source.size / 2) / source.sampling_rate
    x = (3 + axis + 0.5 * axis[:, None]).view(1, 1, source.size, source.size)
    plain = use_plain_filters(layer)
    with torch.no_grad():
        expected, result = layer(x), plain(x)
    inner = slice(10, -10)
    slope = (expected[..., 1:, :] - expected[..., :-1, :])[..., inner, inner].mean()  # of half a unit, per row
    difference = (result - expected)[..., inner, inner]
    assert difference.mean().abs() < 0.02 * slope
    assert difference.abs().max() < 0.02 * expected.abs().max()


def test_every_filter_is_replaced_in_a_copy_and_the_rest_is_kept():
    network = seeded(lambda: Generator(**SMALL))
    before = {name: value.clone() for name, value in network.named_buffers()}
    plain = use_plain_filters(network)
    for name, value in network.named_buffers():
        assert torch.equal(value, before[name])
    replaced = {name for name, value in plain.named_buffers() if not torch.equal(value, before[name])}
    assert replaced == {name for name in before if name.endswith("_filter")}
    assert all(torch.equal(value, plain.state_dict()[name]) for name, value in network.state_dict().items())


def test_the_generators_option_is_the_same_and_its_weights_are_interchangeable():
    network = seeded(lambda: Generator(**SMALL)).eval()
    built = seeded(lambda: Generator(**SMALL, filters="plain")).eval()
    built.load_state_dict(network.state_dict())
    image = torch.from_numpy(np.random.default_rng(0).uniform(-1, 1, (1, 4, 64, 64)).astype(np.float32))
    with torch.no_grad():
        expected, result = use_plain_filters(network)(image), built(image)
        assert torch.equal(result, expected)
        assert not torch.allclose(result, network(image), atol=1e-3)


def test_replacing_twice_changes_nothing_more():
    plain = use_plain_filters(seeded(lambda: Generator(**SMALL)))
    again = use_plain_filters(plain)
    set_plain_filters(again)
    for (_, one), (_, other) in zip(plain.named_buffers(), again.named_buffers(), strict=True):
        assert torch.equal(one, other)


def test_another_kind_of_filter_is_refused():
    with pytest.raises(ValueError, match="filters is 'box'; it must be one of 'alias_free', 'plain'"):
        Generator(**SMALL, filters="box")
