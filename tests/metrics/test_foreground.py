"""The foreground of phantoms whose truth is known, and of real scans."""

from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch
from scipy.ndimage import label

from unicoal_components.metrics.foreground import foreground

LESJAK = Path(__file__).parents[2] / ".." / "shared" / "data" / "lesjak_ms_longitudinal" / "raw"


def ball(shape=(16, 40, 36), radius=0.75):
    grid = np.meshgrid(*[np.linspace(-1, 1, n) for n in shape], indexing="ij")
    return sum(axis**2 for axis in grid) < radius**2


def dice(a, b):
    return 2 * (a & b).sum() / (a.sum() + b.sum())


def noisy(head, *, sigma=0.03, seed=0):
    """Head of 0.6 in Rician noise."""
    rng = np.random.default_rng(seed)
    return np.hypot(np.where(head, 0.6, 0.0) + rng.normal(0, sigma, head.shape), rng.normal(0, sigma, head.shape))


def test_over_an_exact_background_all_that_is_brighter_counts_however_dark():
    head = ball()
    target = np.where(head, np.random.default_rng(0).choice([-0.999, 1.0], head.shape), -1.0)
    assert np.array_equal(foreground(target=target), head)


@pytest.mark.parametrize("sigma", [0.01, 0.03, 0.06])
def test_a_head_is_separated_from_noisy_air(sigma):
    head = ball()
    assert dice(foreground(target=noisy(head, sigma=sigma)), head) > 0.99


def test_air_whose_noise_is_rounded_to_the_minimum_in_many_voxels_are_not_foreground():
    head = ball()
    target = np.rint(255 * noisy(head, sigma=0.004)) / 127.5 - 1
    assert (target == -1).mean() > 0.05
    assert dice(foreground(target=target), head) > 0.99


def test_dark_fluid_at_a_fifth_of_the_brain_counts():
    head, fluid = ball(radius=0.85), ball(radius=0.3)
    fluid = np.roll(fluid, 6, axis=1) & head  # not a hole: it is open to the outside by a gap
    fluid[:, 26:, 17:19] = head[:, 26:, 17:19]
    target = noisy(head & ~fluid, sigma=0.01) + 0.2 * fluid
    assert dice(foreground(target=target), head) > 0.97


@pytest.mark.parametrize("scan", ["exact", "noisy"])
def test_holes_and_the_skull_that_is_open_at_the_cut_ends_are_filled(scan):
    head = ball((9, 48, 48), radius=0.9)
    head[:] = head[4]  # a cylinder: cut at both ends
    skull = ball((9, 48, 48), radius=0.7)[4] & ~ball((9, 48, 48), radius=0.6)[4]
    tissue = head & ~skull
    target = np.where(tissue, 0.6, 0.0) if scan == "exact" else noisy(tissue, sigma=0.01)
    assert dice(foreground(target=target), head) > 0.995


def test_parts_separate_from_the_head_are_not_foreground():
    head = ball()
    apart = head.copy()
    apart[0, :4, :4] = True
    assert np.array_equal(foreground(target=np.where(apart, 0.5, -1.0)), head)


@pytest.mark.parametrize("depth", [1, 3])
def test_volumes_of_few_slices_have_a_foreground_without_holes(depth):
    head = np.repeat(ball()[8:9], depth, axis=0)
    target = np.where(head, 0.5, -1.0)
    target[:, 20, 18] = -1.0
    assert np.array_equal(foreground(target=target), head)


@pytest.mark.parametrize("kind", ["exact", "noisy"])
@pytest.mark.parametrize(("a", "b"), [(0.5, -1.0), (1000.0, 0.0), (1e-3, 7.0), (3.7, -250.1)])
def test_the_scale_does_not_matter(kind, a, b):
    head = ball()
    target = noisy(head)
    if kind == "exact":
        target[~head] = target.min()
    assert np.array_equal(foreground(target=a * target + b), foreground(target=target))


def test_it_is_a_plain_bool_array_and_the_same_each_time_for_tensors_too():
    target = noisy(ball())
    kept = target.copy()
    once = foreground(target=target)
    assert type(once) is np.ndarray
    assert once.dtype == bool
    assert np.array_equal(once, foreground(target=torch.from_numpy(target)))
    assert np.array_equal(target, kept)


def test_a_constant_volume_has_no_foreground():
    with pytest.raises(ValueError, match=r"target is constant \(-1\)"):
        foreground(target=np.full((4, 8, 8), -1.0))


@pytest.mark.parametrize("modality", ["T1W", "T2W", "FLAIR"])
def test_of_a_real_head_it_is_one_part_and_little_changes_when_noise_is_added(modality):
    path = LESJAK / f"p01_s1_{modality}.nii.gz"
    if not path.is_file():
        pytest.skip(f"the real scans are not there: {path}")
    volume = np.asarray(nibabel.load(path).dataobj, dtype=np.float64).T[::2, ::4, ::4]
    exact = foreground(target=volume)
    rng = np.random.default_rng(0)
    sigma = 0.01 * np.percentile(volume, 99.5)
    air = foreground(target=np.hypot(volume + rng.normal(0, sigma, volume.shape), rng.normal(0, sigma, volume.shape)))
    assert 0.3 < exact.mean() < 0.55
    assert label(exact)[1] == 1
    assert exact[len(exact) // 2, exact.shape[1] // 2, exact.shape[2] // 2]
    assert dice(exact, air) > 0.75  # the scalp of FLAIR is too dark to tell
