import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from unicoal_components.inference.context import BLUR, gaussian, mean, predict_in_context

R = 32


def groups(height=64, width=56):
    """Slice groups of one slice with a blank border, (1, 4, H, W)."""
    image = torch.full((1, 4, height, width), -1.0)
    image[..., 4:-4, 6:-6] = torch.rand(1, 4, height - 8, width - 12, generator=torch.Generator().manual_seed(0)) - 0.5
    return image


def test_a_slice_up_to_one_and_a_half_windows_is_predicted_once():
    asked = []

    def predict(given):
        asked.append(tuple(given.shape))
        return given[:, :2]

    small = groups(48, 40)
    assert torch.equal(predict_in_context(small, predict=predict, resolution=R), small[:, :2])
    assert asked == [(1, 4, 48, 40)]


def test_the_brightness_is_that_of_the_whole_slice_and_the_detail_that_of_the_windows():
    """Windows that are 0.3 too bright, with a texture that the reduced slice does not have."""
    texture = 0.1 * (-1.0) ** torch.arange(64)[:, None] * (-1.0) ** torch.arange(56)
    inside = groups()[:, 1:2] > -1

    def predict(given):
        made = torch.full_like(given[:, :2], 0.2)
        if given.shape[2] == 64:
            made[:, :1] += 0.3 + texture
        return made

    made = predict_in_context(groups(), predict=predict, resolution=R)
    torch.testing.assert_close(made[:, :1][inside], (0.2 + texture)[None, None][inside], atol=1e-2, rtol=0)
    assert (made[:, 1] == 0.2).all()  # the error stays
    assert torch.equal(made[:, :1][~inside], predict(groups())[:, :1][~inside])


def test_the_reduced_slice_fits_one_window_or_is_0_6_of_the_slice():
    asked = []
    for height in (50, 60):
        predict_in_context(groups(height, 44), predict=lambda x: asked.append(x.shape[2:]) or x[:, :1], resolution=R)
    assert [tuple(shape) for shape in asked] == [(50, 44), (32, 28), (60, 44), (36, 26)]


def test_the_matrices_are_those_of_an_area_mean_and_a_gaussian():
    signal = np.random.default_rng(0).normal(size=24)
    np.testing.assert_allclose(mean(24, 12).numpy() @ signal, signal.reshape(12, 2).mean(1))
    torch.testing.assert_close(mean(25, 16).sum(1), torch.ones(16, dtype=torch.float64))
    blur = gaussian(24, sigma=BLUR * R).numpy()
    expected = gaussian_filter(signal, BLUR * R, mode="constant", truncate=8)
    np.testing.assert_allclose((blur @ signal)[8:-8] / blur[12].sum(), expected[8:-8], atol=1e-3)


@pytest.mark.parametrize("shape", [(64, 5), (5, 64)])
def test_a_long_and_narrow_slice_is_possible(shape):
    image = torch.zeros(1, 4, *shape)
    made = predict_in_context(image, predict=lambda given: given[:, :1] + given.shape[2] / 100, resolution=R)
    assert made.shape == (1, 1, *shape) and made.isfinite().all()
