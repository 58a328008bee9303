import numpy as np
import pytest
import torch
from scipy.signal import convolve2d, upfirdn
from torch.autograd import gradcheck, gradgradcheck

from unicoal_components.signal.resampling import downsample, gaussian_blur, pad, upsample


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def pad_oracle(x, low, high):
    """Pad both image axes with zeros; crop where negative."""
    x = np.pad(x, [(0, 0)] * 2 + [(max(low, 0), max(high, 0))] * 2)
    start, stop = max(-low, 0), max(-high, 0)
    return x[:, :, start : x.shape[2] - stop, start : x.shape[3] - stop]


def resample_oracle(x, taps, *, up=1, down=1):
    """Insert zeros, convolve fully, keep every down-th sample, on each axis, by scipy."""
    for axis in (2, 3):
        x = upfirdn(taps, x, up=up, down=down, axis=axis)
    return x


@pytest.mark.parametrize("crop", [(0, 0), (3, 3), (5, 2), (1, 4), (-2, -2), (-3, 2), (4, -1)])
@pytest.mark.parametrize("factor, length", [(1, 5), (2, 12), (2, 7), (4, 24), (4, 3)])
def test_upsampling_is_zero_insertion_and_full_convolution(factor, length, crop):
    x, taps = random(2, 3, 6, 9), random(length, seed=1)
    expected = pad_oracle(resample_oracle(x.numpy(), taps.numpy(), up=factor), -crop[0], -crop[1])
    # upfirdn drops the zeros behind the last sample, and so do we: (n - 1) factor + taps samples
    result = upsample(x, taps, factor=factor, crop=crop)
    torch.testing.assert_close(result, torch.from_numpy(expected))


@pytest.mark.parametrize("padding", [0, 1, 4])
@pytest.mark.parametrize("factor, length", [(1, 3), (2, 4), (2, 12), (4, 6), (4, 5)])
def test_downsampling_is_convolution_of_which_every_nth_sample_is_kept(factor, length, padding):
    x, taps = random(2, 3, 12, 13), random(length, seed=1)
    padded = pad_oracle(x.numpy(), padding, padding)
    valid = resample_oracle(padded, taps.numpy())[:, :, length - 1 : 1 - length, length - 1 : 1 - length]
    result = downsample(x, taps, factor=factor, padding=padding)
    torch.testing.assert_close(result, torch.from_numpy(valid[:, :, ::factor, ::factor].copy()))


@pytest.mark.parametrize("low, high", [(0, 0), (2, 1), (-1, 3), (-2, -1), (1, -3)])
def test_padding_adds_zeros_or_crops(low, high):
    x = random(1, 2, 6, 7)
    torch.testing.assert_close(pad(x, low, high), torch.from_numpy(pad_oracle(x.numpy(), low, high)))


def test_gradients_of_resampling_are_right_to_second_order():
    x, taps = random(1, 2, 5, 6).requires_grad_(), random(4, seed=1)
    for function in (
        lambda x: upsample(x, taps, factor=2, crop=(3, -1)),
        lambda x: downsample(x, taps, factor=2, padding=1),
        lambda x: gaussian_blur(x, 0.7),
    ):
        assert gradcheck(function, (x,))
        assert gradgradcheck(function, (x,), fast_mode=True)


@pytest.mark.parametrize("sigma", [0.5, 1.0, 2.0, 3.3])
def test_a_blurred_impulse_is_the_gaussian_itself(sigma):
    impulse = torch.zeros(1, 1, 31, 33)
    impulse[0, 0, 15, 16] = 1
    y = torch.arange(31.0)[:, None] - 15
    x = torch.arange(33.0)[None, :] - 16
    radius = int(3 * sigma)
    inside = (y.abs() <= radius) & (x.abs() <= radius)
    expected = torch.exp2(-(y**2 + x**2) / sigma**2) * inside
    torch.testing.assert_close(gaussian_blur(impulse, sigma)[0, 0], expected / expected.sum(), rtol=1e-5, atol=1e-8)


def test_blur_is_zero_padded_convolution_of_every_channel():
    x = random(2, 3, 9, 14)
    taps = 0.5 ** ((np.arange(-6, 7) / 2.0) ** 2)
    kernel = np.outer(taps, taps) / taps.sum() ** 2
    expected = [[convolve2d(channel, kernel, mode="same") for channel in image] for image in x.numpy()]
    torch.testing.assert_close(gaussian_blur(x, 2.0), torch.from_numpy(np.array(expected)), rtol=1e-5, atol=1e-6)


def test_a_blur_wider_than_the_image_keeps_its_shape():
    assert gaussian_blur(random(1, 1, 8, 8), 10.0).shape == (1, 1, 8, 8)


@pytest.mark.parametrize("sigma", [0, 0.0, 0.2])
def test_no_blur_returns_the_image_itself(sigma):
    x = random(1, 1, 4, 4)
    assert gaussian_blur(x, sigma) is x


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_resampling_keeps_the_dtype_of_the_image(dtype):
    x, taps = random(1, 1, 8, 8).to(dtype), torch.ones(4) / 4
    assert upsample(x, taps, factor=2).dtype == dtype
    assert downsample(x, taps, factor=2).dtype == dtype
    assert gaussian_blur(x, 1.0).dtype == dtype
