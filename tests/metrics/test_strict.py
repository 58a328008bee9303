"""The strict protocol against closed forms, properties, and numbers computed by hand."""

from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from scipy.ndimage import convolve
from skimage.metrics import structural_similarity

from unicoal_components.metrics import strict
from unicoal_components.metrics.foreground import foreground
from unicoal_components.metrics.measure import CaseVolumes
from unicoal_components.metrics.strict import StrictProtocol, strict_protocol

STROKE = Path(__file__).parents[2] / ".." / "shared" / "data" / "cstar_stroke"


@pytest.fixture
def pair():
    """A head of noise in [-1, 1] on background -1, off the middle, and a noisy prediction of it."""
    rng = np.random.default_rng(0)
    target = np.full((14, 30, 36), -1.0)
    target[4:10, 3:20, 12:30] = rng.uniform(-0.8, 1, (6, 17, 18))
    target[5, 5, 15] = 1.0
    return target + rng.normal(0, 0.2, target.shape), target


@pytest.mark.parametrize("c", [0.01, 0.1, 0.5, -0.25])
def test_a_constant_offset_c_gives_minus_20_log10_c_decibel(c):
    target = np.random.default_rng(0).uniform(0, 1, (3, 16, 16))
    target[0, 0, :2] = 0, 1
    everywhere = np.ones(target.shape, dtype=bool)
    quality = strict_protocol(prediction=target + c, target=target, foreground=everywhere)
    assert quality["psnr"] == pytest.approx(-20 * np.log10(abs(c)), abs=1e-9)
    assert quality["mae"] == pytest.approx(abs(c), abs=1e-12)
    assert quality["nmse"] == pytest.approx(c**2 / np.mean(target**2), rel=1e-9)
    assert quality["hfen"] == pytest.approx(0, abs=1e-3)
    assert quality["gms"] == pytest.approx(1, abs=1e-9)


def test_equal_volumes_are_perfect(pair):
    perfect = {"psnr": np.inf, "ssim": pytest.approx(1), "nmse": 0, "mae": 0, "hfen": 0, "gms": pytest.approx(1)}
    assert strict_protocol(prediction=pair[1], target=pair[1]) == perfect


def test_noise_of_a_known_strength_is_measured():
    target = np.full((20, 60, 60), -1.0)
    target[2:18, 5:55, 5:55] = 0.0
    target[10, 30, 30] = 1.0
    noise = np.random.default_rng(0).normal(0, 0.1, target.shape)  # 0.05 on the scale of [0, 1]
    quality = strict_protocol(prediction=target + noise, target=target)
    assert quality["psnr"] == pytest.approx(-20 * np.log10(0.05), abs=0.1)
    assert quality["mae"] == pytest.approx(0.05 * np.sqrt(2 / np.pi), rel=0.01)
    assert quality["nmse"] == pytest.approx(0.05**2 / 0.5**2, rel=0.02)


def test_all_six_numbers_are_those_computed_by_hand(pair):
    p, t = ((volume + 1) / 2 for volume in pair)
    mask = np.zeros(t.shape, dtype=bool)
    mask[[4, 8], 3:20, 12:30] = True

    grid = np.indices((15, 15, 15)) - 7
    square, gauss = (grid**2).sum(0), np.exp(-(grid**2).sum(0) / 4.5)
    log = gauss / gauss.sum() * (square - 6.75) / 1.5**4
    log_p, log_t = (convolve(volume, log, mode="reflect")[mask] for volume in (p, t))
    window = np.where(np.abs(grid).max(0) <= 5, gauss, 0)
    window /= window.sum()
    mean_p, mean_t, pp, tt, pt = (convolve(x, window, mode="reflect")[mask] for x in (p, t, p * p, t * t, p * t))
    ssim = (2 * mean_p * mean_t + 1e-4) * (2 * (pt - mean_p * mean_t) + 9e-4)
    ssim /= (mean_p**2 + mean_t**2 + 1e-4) * (pp - mean_p**2 + tt - mean_t**2 + 9e-4)
    difference = np.broadcast_to(np.array([1, 0, -1]) / 9, (3, 3, 3))
    g_p, g_t = (
        np.sqrt(sum(convolve(x, np.moveaxis(difference, 2, axis), mode="reflect") ** 2 for axis in range(3)))[mask]
        for x in (p, t)
    )
    c = 170 / 255**2
    expected = {
        "psnr": -10 * np.log10(((p - t)[mask] ** 2).mean()),
        "ssim": ssim.mean(),
        "nmse": ((p - t)[mask] ** 2).sum() / (t[mask] ** 2).sum(),
        "mae": np.abs(p - t)[mask].mean(),
        "hfen": np.sqrt(((log_p - log_t) ** 2).sum() / (log_t**2).sum()),
        "gms": ((2 * g_p * g_t + c) / (g_p**2 + g_t**2 + c)).mean(),
    }
    head = pair[1] > -1
    got = strict_protocol(prediction=pair[0], target=pair[1], foreground=head, evaluated_slices=[4, 8])
    assert got == pytest.approx(expected, rel=1e-9)


def test_its_ssim_is_scikit_images_averaged_over_the_mask(pair):
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "full": True, "data_range": 1}
    p, t = ((volume + 1) / 2 for volume in pair)
    _, oracle = structural_similarity(t, p, **options)
    mask = foreground(target=pair[1])
    assert strict_protocol(prediction=pair[0], target=pair[1])["ssim"] == pytest.approx(oracle[mask].mean(), abs=1e-9)


@pytest.mark.parametrize(("a", "b"), [(0.5, 0.5), (1000.0, -3.0), (1e-3, 5.0)])
def test_one_scale_of_both_volumes_changes_nothing(pair, a, b):
    scaled = strict_protocol(prediction=a * pair[0] + b, target=a * pair[1] + b)
    assert scaled == pytest.approx(strict_protocol(prediction=pair[0], target=pair[1]), rel=1e-6)


def test_a_wrong_contrast_is_an_error(pair):
    quality = strict_protocol(prediction=0.5 * pair[1] - 0.5, target=pair[1])  # half the contrast above -1
    assert quality["hfen"] == pytest.approx(0.5, abs=1e-3)
    assert quality["nmse"] == pytest.approx(0.25)
    assert quality["psnr"] < 15


def test_values_beyond_the_range_are_not_clipped(pair):
    brightest = pair[1].copy()
    brightest[brightest == 1] = 9
    assert np.isfinite(strict_protocol(prediction=brightest, target=pair[1])["psnr"])


@pytest.mark.parametrize("slices", [None, [4, 7], [9]])
def test_cropping_to_what_the_filters_reach_changes_nothing(pair, monkeypatch, slices):
    cropped = strict_protocol(prediction=pair[0], target=pair[1], evaluated_slices=slices)
    box = strict._box_with_reach(foreground(target=pair[1]))
    assert pair[1][box].size < pair[1].size, "the crop is in use"
    monkeypatch.setattr(strict, "_box_with_reach", lambda mask: (slice(None),) * 3)
    whole = strict_protocol(prediction=pair[0], target=pair[1], evaluated_slices=slices)
    assert cropped == pytest.approx(whole, rel=1e-10)


def test_with_less_than_the_reach_of_the_filters_the_numbers_would_change(pair, monkeypatch):
    right = strict_protocol(prediction=pair[0], target=pair[1], evaluated_slices=[6])
    monkeypatch.setattr(strict, "REACH", 4)
    assert strict_protocol(prediction=pair[0], target=pair[1], evaluated_slices=[6]) != pytest.approx(right, rel=1e-10)


def test_garbage_in_the_background_does_not_change_what_voxels_tell(pair):
    garbage = np.where(foreground(target=pair[1]), pair[0], 50.0)
    once, other = (strict_protocol(prediction=p, target=pair[1]) for p in (pair[0], garbage))
    for name in ("psnr", "mae", "nmse"):
        assert other[name] == once[name]
    for name in ("ssim", "hfen"):
        assert other[name] != pytest.approx(once[name], rel=0.01), "filters see what surrounds the mask"


def test_garbage_in_slices_that_are_not_evaluated_does_not_change_what_voxels_tell(pair):
    garbage = pair[0].copy()
    garbage[[5, 7, 8]] = 50.0
    once, other = (
        strict_protocol(prediction=p, target=pair[1], evaluated_slices=np.array([4, 6, 9])) for p in (pair[0], garbage)
    )
    everything = strict_protocol(prediction=pair[0], target=pair[1])
    for name in ("psnr", "mae", "nmse"):
        assert other[name] == once[name] != everything[name]


def test_the_order_and_repetition_of_slices_do_not_matter(pair):
    once = strict_protocol(prediction=pair[0], target=pair[1], evaluated_slices=[5, 7])
    assert once == strict_protocol(prediction=pair[0], target=pair[1], evaluated_slices=[7, 5, 7])


@pytest.mark.parametrize("depth", [1, 2, 5])
def test_volumes_of_few_slices_are_measured(depth):
    rng = np.random.default_rng(0)
    target = np.full((depth, 20, 20), -1.0)
    target[:, 4:16, 4:16] = rng.uniform(-0.8, 1, (depth, 12, 12))
    quality = strict_protocol(prediction=target + rng.normal(0, 0.1, target.shape), target=target)
    assert np.isfinite(list(quality.values())).all()
    assert 0 < quality["ssim"] < 1
    assert 0 < quality["hfen"] < 1


def test_a_foreground_where_the_target_is_flat_and_dark_has_neither_nmse_nor_hfen(pair):
    corner = np.zeros(pair[1].shape, dtype=bool)
    corner[0, -1, 0] = True
    quality = strict_protocol(prediction=pair[0], target=pair[1], foreground=corner)
    assert np.isnan(quality["nmse"])
    assert np.isnan(quality["hfen"])
    assert np.isfinite([quality[name] for name in ("psnr", "ssim", "mae", "gms")]).all()


def test_tensors_are_measured_like_arrays_and_nothing_is_changed(pair):
    kept = [volume.copy() for volume in pair]
    mask = torch.from_numpy(pair[1] > -1)
    once = strict_protocol(prediction=pair[0], target=pair[1])
    tensors = strict_protocol(prediction=torch.from_numpy(pair[0]), target=MetaTensor(pair[1]), foreground=mask)
    assert tensors == once
    assert all(np.array_equal(volume, before) for volume, before in zip(pair, kept, strict=True))


VOLUME = np.random.default_rng(0).uniform(-1, 1, (4, 8, 8))
MASK = np.ones((4, 8, 8), dtype=bool)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"prediction": VOLUME[:3]}, "same grid"),
        ({"prediction": np.where(VOLUME > 0, np.nan, 0)}, r"prediction: \d+ of 256 values are NaN"),
        ({"target": np.zeros((4, 8, 8))}, r"target is constant \(0\)"),
        ({"foreground": MASK[:3]}, "foreground is bool of shape"),
        ({"foreground": MASK.astype(float)}, "foreground is float64"),
        ({"foreground": ~MASK}, "foreground is empty"),
        ({"evaluated_slices": [0, 4, -1]}, r"evaluated_slices holds \[4, -1\].* 0 to 3"),
        ({"evaluated_slices": []}, "one or more slice indices"),
        ({"evaluated_slices": MASK[:, 0, 0]}, "np.flatnonzero"),
        ({"evaluated_slices": [1.0]}, "evaluated_slices is float64"),
        ({"foreground": MASK & (np.arange(4) > 1)[:, None, None], "evaluated_slices": [0, 1]}, "leave this case out"),
    ],
)
def test_what_cannot_be_measured_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        strict_protocol(**{"prediction": VOLUME, "target": VOLUME, "foreground": MASK, **changes})


def test_the_measure_fills_its_columns_from_the_cases_foreground_and_slices(pair):
    head = pair[1] > 0
    case = CaseVolumes(prediction=pair[0], target=pair[1], foreground=head, evaluated_slices=np.array([5, 6]))
    measure = StrictProtocol()
    numbers = measure(case)
    assert tuple(numbers) == tuple(strict_protocol(prediction=pair[0], target=pair[1]))
    assert set(numbers) == {column.name for column in measure.columns}
    assert measure.note == ""
    assert numbers == strict_protocol(prediction=pair[0], target=pair[1], foreground=head, evaluated_slices=[5, 6])
    assert {c.name for c in measure.columns if c.better == "lower"} == {"nmse", "mae", "hfen"}


def test_of_a_real_brain_more_blur_is_worse_in_every_number():
    path = STROKE / "T1.nii.gz"
    if not path.is_file():
        pytest.skip(f"the real scans are not there: {path}")
    volume = np.asarray(nibabel.load(path).dataobj, dtype=np.float64).T[60:76, ::2, ::2]
    target = 2 * volume / volume.max() - 1
    results = []
    for width in (1, 3, 5):
        kernel = np.full((1, width, width), 1 / width**2)
        results.append(strict_protocol(prediction=convolve(target, kernel), target=target))
    for better, worse in zip(results, results[1:], strict=False):
        assert all(better[name] > worse[name] for name in ("psnr", "ssim", "gms"))
        assert all(better[name] < worse[name] for name in ("nmse", "mae", "hfen"))
