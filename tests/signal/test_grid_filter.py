import torch

from unicoal_components.signal.filters import flat_lowpass
from unicoal_components.signal.grid_filter import GridFilter

D, H = 24, 28


def grid(height=1.0):
    """A grid of every other pixel, rows, columns and both, of different heights."""
    signs = torch.tensor([[0.3, -0.1], [0.2, -0.4]]).repeat(D // 2, H // 2)
    return (height * (signs - signs.mean()))[None, None]


def smooth():
    """A wave of 12 pixels on a gray ground."""
    rows = torch.linspace(0, 2 * torch.pi * D / 12, D + 1)[:-1]
    return (0.3 * rows.sin()[:, None] * torch.ones(H))[None, None]


def test_a_grid_of_every_other_pixel_is_removed_and_a_smooth_image_kept():
    everywhere = torch.ones(1, 1, D, H)
    filtered = GridFilter()(smooth() + grid(), everywhere)
    inner = (..., slice(4, -4), slice(4, -4))
    torch.testing.assert_close(filtered[inner], smooth()[inner], atol=1e-3, rtol=0)


def test_nothing_outside_the_mask_leaks_in_and_constants_stay_up_to_its_border():
    inside = torch.zeros(1, 1, D, H)
    inside[..., 5:20, 3:22] = 1
    image = torch.where(inside > 0, 0.25, 7.0)
    filtered = GridFilter()(image, inside)
    torch.testing.assert_close(filtered, torch.where(inside > 0, 0.25, -1.0))


def test_it_is_a_convolution_where_the_mask_is_full():
    taps, image = flat_lowpass(order=3).double(), torch.rand(1, 1, D, H, dtype=torch.float64)
    expected = sum(a * b * image.roll((y - 3, x - 3), (2, 3)) for y, a in enumerate(taps) for x, b in enumerate(taps))
    filtered = GridFilter()(image, torch.ones_like(image))
    torch.testing.assert_close(filtered[..., 6:-6, 6:-6], expected[..., 6:-6, 6:-6])
