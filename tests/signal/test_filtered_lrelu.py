import itertools

import numpy as np
import pytest
import torch
from scipy.signal import firwin, lfilter
from torch.autograd import gradcheck

from unicoal_components.signal import filtered_lrelu as module
from unicoal_components.signal.filtered_lrelu import filtered_lrelu

GAIN = 2**0.5


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def convolve_valid(x, taps, axis):
    """Convolve along an axis by the difference equation and drop the samples that the border affects."""
    return np.take(lfilter(taps, 1.0, x, axis=axis), range(len(taps) - 1, x.shape[axis]), axis=axis)


def oracle(x, up_taps, down_taps, *, up, down, padding, slope=0.2, gain=GAIN, clamp=256.0):
    """Follow the definition step by step: fill, pad, filter, activate, clamp, filter, decimate."""
    b, c, h, w = x.shape
    filled = np.zeros((b, c, h * up, w * up))
    filled[:, :, ::up, ::up] = x
    low, high = padding
    filled = np.pad(filled, [(0, 0)] * 2 + [(max(low, 0), max(high, 0))] * 2)
    start, stop = max(-low, 0), max(-high, 0)
    y = filled[:, :, start : filled.shape[2] - stop, start : filled.shape[3] - stop]
    if up_taps is not None:
        y = convolve_valid(convolve_valid(y, up_taps * up, 2), up_taps * up, 3)
    y = np.clip(np.where(y > 0, y, y * slope) * gain, -clamp, clamp)
    if down_taps is not None:
        y = convolve_valid(convolve_valid(y, down_taps, 2), down_taps, 3)
    return y[:, :, ::down, ::down]


CASES = list(itertools.product([1, 2, 4], [1, 2, 4], [(0, 0), (5, 5), (6, 9), (8, 3), (-2, 1), (3, -2), (-1, -3)]))


@pytest.mark.parametrize("up, down, padding", CASES)
def test_the_result_follows_the_definition(up, down, padding):
    x = 3 * random(2, 3, 29, 31)
    up_taps = random(6 * up, seed=1) if up > 1 else None
    down_taps = random(6 * down, seed=2) if down > 1 else None
    given = {"up": up, "down": down, "padding": padding}
    expected = oracle(x.numpy(), *(None if t is None else t.numpy() for t in (up_taps, down_taps)), **given, clamp=4.0)
    result = filtered_lrelu(x.clone(), up_filter=up_taps, down_filter=down_taps, **given, clamp=4.0)
    torch.testing.assert_close(result, torch.from_numpy(expected.copy()))


@pytest.mark.parametrize(
    "up, down, padding", [(1, 1, (0, 0)), (2, 2, (6, 7)), (2, 1, (-1, 3)), (1, 2, (2, 2)), (4, 2, (9, -2))]
)
@pytest.mark.parametrize("gain, slope", [(GAIN, 0.2), (1.0, 1.0)])
def test_gradients_are_right(up, down, padding, gain, slope):
    x = random(1, 2, 7, 6).requires_grad_()
    up_taps = random(3 * up, seed=1) if up > 1 else None
    down_taps = random(3 * down, seed=2) if down > 1 else None

    def function(x):
        return filtered_lrelu(
            x * 1, up_filter=up_taps, down_filter=down_taps, up=up, down=down, padding=padding, gain=gain, slope=slope,
            clamp=2.0,
        )  # fmt: skip

    assert gradcheck(function, (x,), fast_mode=False)


def test_a_slope_of_one_and_no_filter_only_clamp():
    x = 300 * random(1, 1, 5, 5)
    result = filtered_lrelu(x.clone(), slope=1.0, gain=1.0)
    torch.testing.assert_close(result, x.clamp(-256, 256))


def test_gain_comes_before_the_clamp():
    x = torch.tensor([200.0, -200.0, -2000.0]).view(1, 1, 1, 3)
    result = filtered_lrelu(x.clone(), gain=2.0)
    assert result.flatten().tolist() == pytest.approx([256, -80, -256])


def test_no_gradient_passes_where_the_clamp_acts():
    x = torch.tensor([-30.0, -1.0, 1.0, 30.0]).view(1, 1, 1, 4).requires_grad_()
    filtered_lrelu(x, gain=1.0, clamp=5.0).sum().backward()
    assert x.grad.flatten().tolist() == pytest.approx([0, 0.2, 1, 0])


def test_the_input_is_left_as_it_is():
    x = random(1, 2, 6, 6)
    before = x.clone()
    filtered_lrelu(x)
    assert torch.equal(x, before)


def layer_arguments(seed=0):
    """A layer's arguments that do not divide evenly into blocks: 3 samples, 70 channels."""
    taps = random(12, seed=1)
    return {
        "x": random(3, 70, 9, 8, seed=seed),
        "scale": random(3, 70, seed=2),
        "bias": random(70, seed=3),
    }, {"up_filter": taps, "down_filter": taps, "up": 2, "down": 2, "padding": (9, 8), "clamp": 1.5}


@pytest.mark.parametrize("values", [1, 18 * 16 * 70 * 2, 2**40], ids=["channels", "samples", "whole"])
@pytest.mark.parametrize("keep", [True, False])
def test_blocks_of_any_size_give_the_same_result_and_gradients(values, keep, monkeypatch):
    tensors, options = layer_arguments()
    probe = random(3, 70, *filtered_lrelu(tensors["x"], **options).shape[2:], seed=4)

    def run(**more):
        leaves = {name: tensor.clone().requires_grad_() for name, tensor in tensors.items()}
        result = filtered_lrelu(**leaves, **options, **more)
        return result, *torch.autograd.grad((result * probe).sum(), list(leaves.values()))

    monkeypatch.setattr(module, "CPU_BLOCK_VALUES", 2**40)
    expected = run()
    monkeypatch.setattr(module, "CPU_BLOCK_VALUES", values)
    for one, other in zip(run(keep=keep), expected, strict=True):
        torch.testing.assert_close(one, other)
    with torch.no_grad():
        torch.testing.assert_close(filtered_lrelu(**tensors, **options), expected[0].detach())


def test_scale_and_bias_come_first_and_have_right_gradients():
    tensors, options = layer_arguments()
    tensors = {name: tensor[:2, :3] if tensor.ndim > 1 else tensor[:3] for name, tensor in tensors.items()}
    x, scale, bias = (tensor.clone().requires_grad_() for tensor in tensors.values())
    ready = x * scale[:, :, None, None] + bias[:, None, None]
    torch.testing.assert_close(filtered_lrelu(x, scale=scale, bias=bias, **options), filtered_lrelu(ready, **options))
    assert gradcheck(lambda x, s, b: filtered_lrelu(x, scale=s, bias=b, **options), (x, scale, bias))


def test_the_activations_are_kept_or_not():
    tensors, options = layer_arguments()
    x = tensors.pop("x").requires_grad_()

    def kept(keep):
        result = filtered_lrelu(x, **tensors, **options, keep=keep)
        return sum(tensor.numel() for tensor in result.grad_fn.saved_tensors)

    few = x.numel() + 4 * 70  # the input, its scale for each sample, the bias
    assert kept(False) == few
    assert kept(True) > few + 4 * x.numel()


def test_half_precision_is_filtered_in_full():
    tensors, options = layer_arguments()
    tensors = {name: tensor.float() for name, tensor in tensors.items()}
    exact = filtered_lrelu(tensors["x"].bfloat16().float(), **options)
    with torch.autocast("cpu", torch.bfloat16):
        result = filtered_lrelu(tensors["x"].bfloat16(), **options)
    assert torch.equal(result, exact.bfloat16())


def test_the_nonlinearity_commutes_with_a_subpixel_shift_better_than_a_plain_one():
    t = torch.arange(64, dtype=torch.float64)
    taps = torch.as_tensor(firwin(24, 16, width=10, fs=128))

    def wave(shift):
        return torch.sin(2 * torch.pi * 11 / 64 * (t - shift)).view(1, 1, 1, -1).expand(1, 1, 64, -1).contiguous()

    def shifted(x, shift):
        spectrum = torch.fft.rfft(x, dim=-1)
        return torch.fft.irfft(spectrum * torch.exp(-2j * torch.pi * torch.fft.rfftfreq(64) * shift), n=64, dim=-1)

    def error(function):
        middle = slice(24, 40)
        return (shifted(function(wave(0)), 0.5) - function(wave(0.5)))[..., middle].abs().max()

    def alias_free(x):
        return filtered_lrelu(x, up_filter=taps, down_filter=taps, up=2, down=2, padding=(23, 23))

    def plain(x):
        return torch.nn.functional.leaky_relu(x, 0.2) * GAIN

    assert error(alias_free) < 0.5 * error(plain)
