import numpy as np
import pytest

from unicoal_components.inference.expected_error import expected_error
from unicoal_components.metrics.foreground import foreground

RNG = np.random.default_rng(0)


def ball(edge=32):
    z, y, x = np.mgrid[:edge, :edge, :edge] - (edge - 1) / 2
    return z**2 + y**2 + x**2 < (edge / 3) ** 2


def test_the_mean_ignores_voxels_outside_the_head():
    head = ball()
    image = np.where(head, RNG.uniform(-0.2, 0.9, head.shape), RNG.normal(-0.97, 0.01, head.shape).clip(-1))
    error = np.where(head, RNG.uniform(0, 0.4, head.shape), 0.7)
    assert expected_error(image, error) == pytest.approx(error[head].mean() / 2, rel=1e-6)


def test_the_head_is_nearly_that_of_the_metrics_where_air_is_noisy():
    """Noise of air as in a scan without a clean background; tissue of two classes."""
    head = ball()
    image = np.where(head, RNG.choice([-0.1, 0.6], head.shape), -1) + 0.04 * np.abs(RNG.normal(size=head.shape))
    error = RNG.uniform(0.1, 0.2, head.shape) * np.where(head, 1, 0.1)
    inside = foreground(target=image)
    assert expected_error(image.clip(-1, 1), error) == pytest.approx(error[inside].mean() / 2, rel=0.02)


def test_a_volume_on_the_disk_is_read_slice_by_slice(tmp_path):
    image = np.memmap(tmp_path / "image", np.float32, "w+", shape=(4, 8, 8))
    image[:] = np.where(np.arange(8) < 3, -1, 0.5)
    assert expected_error(image, np.full_like(image, 0.3)) == pytest.approx(0.15)


def test_a_constant_volume_has_no_head():
    assert expected_error(np.full((2, 4, 4), -1.0), np.ones((2, 4, 4))) is None
