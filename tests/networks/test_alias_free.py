import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from scipy.signal import firwin, lfilter

from unicoal_components.networks.alias_free import AliasFreeLayer
from unicoal_components.networks.schedule import layer_table


def by_definition(layer, x, source, target, *, kernel_size, rate, taps_per_factor):
    """Run a plain layer as defined in method and paper, in float64, with inserted zeros."""
    up, down = rate // source.sampling_rate, rate // target.sampling_rate
    up_taps = taps_per_factor * up if up > 1 else 1
    down_taps = taps_per_factor * down if down > 1 else 1
    pad = (target.size - 1) * down + 1 - (source.size + kernel_size - 1) * up + up_taps + down_taps - 2
    low = (pad + up) // 2
    weight = layer.conv.weight.double() / np.sqrt(layer.conv.weight[0].numel())
    y = F.conv2d(x.double(), weight, layer.conv.bias.double(), padding=kernel_size - 1)
    filled = y.new_zeros(*y.shape[:2], y.shape[2] * up, y.shape[3] * up)
    filled[:, :, ::up, ::up] = y
    y = F.pad(filled, [low, pad - low, low, pad - low]).detach().numpy()
    y = fir(y, source, up_taps, rate, gain=up)
    y = np.clip(np.where(y > 0, y, 0.2 * y) * np.sqrt(2), -256, 256)
    return fir(y, target, down_taps, rate)[:, :, ::down, ::down]


def fir(y, row, taps, rate, gain=1):
    if taps == 1:
        return y
    h = gain * firwin(taps, cutoff=row.cutoff, width=2 * row.half_width, fs=rate)
    for axis in (2, 3):
        y = np.take(lfilter(h, 1, y, axis=axis), range(taps - 1, y.shape[axis]), axis=axis)
    return y


def make(source, target, **options):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        layer = AliasFreeLayer(source=source, target=target, in_channels=2, **options)
        torch.nn.init.normal_(layer.conv.bias)
        return layer, 3 * torch.randn(1, 2, source.size, source.size)


@pytest.mark.parametrize("lrelu_upsampling, encodes", [(1, True), (2, True), (2, False)])
@pytest.mark.parametrize("margin_at_end", [False, True])
@pytest.mark.parametrize("resolution, num_layers", [(64, 14), (128, 4)])
def test_every_kind_of_layer_follows_the_definition(resolution, num_layers, margin_at_end, lrelu_upsampling, encodes):
    rows = layer_table(
        resolution=resolution,
        num_layers=num_layers,
        channel_base=resolution,
        channel_max=2,
        margin_at_end=margin_at_end,
    )
    seen = set()
    for i in range(num_layers):
        p = max(i - 1, 0)
        source, target = (rows[i], rows[p]) if encodes else (rows[p], rows[i])
        kind = (source.size, target.size, source.sampling_rate, target.sampling_rate)
        if kind in seen:
            continue
        seen.add(kind)
        layer, x = make(source, target, condition_dim=None, lrelu_upsampling=lrelu_upsampling)
        rate = max(source.sampling_rate, target.sampling_rate) * lrelu_upsampling
        expected = by_definition(layer, x, source, target, kernel_size=3, rate=rate, taps_per_factor=6)
        assert expected.shape[-2:] == (target.size, target.size)
        torch.testing.assert_close(layer(x).double(), torch.from_numpy(expected.copy()), rtol=1e-4, atol=1e-4)
    assert len(seen) > 1


def test_the_layer_to_the_image_is_a_clamped_pointwise_convolution():
    rows = layer_table(resolution=16, num_layers=4, channel_base=32, channel_max=2)
    layer, x = make(rows[3], rows[4], condition_dim=3, to_image=True)
    condition = torch.randn(1, 3, generator=torch.Generator().manual_seed(0))
    style = layer.conv.affine(condition).view(1, 2, 1, 1)
    expected = F.conv2d(100 * x * style, layer.conv.weight / np.sqrt(2), layer.conv.bias)
    assert expected.abs().max() > 256
    torch.testing.assert_close(layer(100 * x, condition), expected.clamp(-256, 256), rtol=1e-4, atol=1e-3)
