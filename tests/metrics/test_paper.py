"""The paper's protocol against numbers computed by hand, and its weaknesses shown."""

import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from unicoal_components.metrics.measure import CaseVolumes
from unicoal_components.metrics.paper import PaperProtocol, paper_protocol
from unicoal_components.metrics.strict import strict_protocol


@pytest.fixture
def pair():
    """A head of noise on background -1, and a noisy prediction, clipped; the first two slices are empty in both."""
    rng = np.random.default_rng(0)
    target = np.full((10, 12, 11), -1.0)
    target[2:, 2:10, 2:10] = rng.uniform(-0.9, 1, (8, 8, 8))
    prediction = np.clip(target + rng.normal(0, 0.2, target.shape), -1, 1)
    prediction[:2] = -1
    return prediction, target


def percentile(values, q):
    """Linear between order statistics."""
    ordered = np.sort(values.ravel())
    place = (len(ordered) - 1) * q
    low = int(place)
    return ordered[low] + (place - low) * (ordered[min(low + 1, len(ordered) - 1)] - ordered[low])


def rescaled(volume):
    low, high = max(percentile(volume + 1, 0.005), 0), percentile(volume + 1, 0.995)
    return (np.minimum(np.maximum(volume + 1, low), high) - low) / (high - low)


def ssim(p, t):
    """Uniform window of 7, sample covariance, mean over the places where the window fits."""
    axes = tuple(range(p.ndim, 2 * p.ndim))
    p, t = (np.lib.stride_tricks.sliding_window_view(x, (7,) * x.ndim) for x in (p, t))
    mp, mt, n = p.mean(axes), t.mean(axes), 7 ** len(axes)
    cov = (p * t).mean(axes) * n / (n - 1) - mp * mt * n / (n - 1)
    similarity = (2 * mp * mt + 1e-4) * (2 * cov + 9e-4)
    return (similarity / ((mp**2 + mt**2 + 1e-4) * (p.var(axes, ddof=1) + t.var(axes, ddof=1) + 9e-4))).mean()


def test_all_five_numbers_are_those_computed_by_hand(pair):
    p, t = rescaled(pair[0]), rescaled(pair[1])
    assert (p[:2] == 0).all()
    expected = {
        "psnr": -10 * np.log10(((p - t) ** 2).mean()),
        "ssim": ssim(p, t),
        "psnr_slice": np.mean([-10 * np.log10(((a - b) ** 2).mean()) for a, b in zip(p[2:], t[2:], strict=True)]),
        "ssim_slice": np.mean([ssim(a, b) for a, b in zip(p[2:], t[2:], strict=True)]),
        "mae": np.abs(p - t).mean(),
    }
    assert paper_protocol(prediction=pair[0], target=pair[1]) == pytest.approx(expected, abs=1e-5)


def test_both_percentiles_are_those_of_the_paper():
    rng = np.random.default_rng(0)
    prediction, target = rng.normal(0.5, 0.3, (2, 8, 9, 10))  # no background, no value below -1
    expected = np.abs(rescaled(prediction) - rescaled(target)).mean()
    assert paper_protocol(prediction=prediction, target=target)["mae"] == pytest.approx(expected, abs=1e-12)


def test_psnr_and_ssim_are_scikit_images_defaults_in_double_precision(pair):
    p, t = rescaled(pair[0]), rescaled(pair[1])
    quality = paper_protocol(prediction=pair[0], target=pair[1])
    assert quality["psnr"] == pytest.approx(peak_signal_noise_ratio(t, p, data_range=1), abs=1e-9)
    assert quality["ssim"] == pytest.approx(structural_similarity(t, p, data_range=1), abs=1e-5)


def test_slices_are_chosen_by_the_prediction_not_by_the_truth(pair):
    late = pair[0].copy()
    late[:5] = -1  # the truth has a head in slices 2 to 4
    p, t = rescaled(late), rescaled(pair[1])
    expected = np.mean([-10 * np.log10(((a - b) ** 2).mean()) for a, b in zip(p[5:], t[5:], strict=True)])
    assert paper_protocol(prediction=late, target=pair[1])["psnr_slice"] == pytest.approx(expected, abs=1e-9)

    early = pair[0].copy()
    early[0, 5, 5] = 0.5  # the truth is empty in slice 0
    p, t = rescaled(early), rescaled(pair[1])
    chosen = [0, *range(2, 10)]
    expected = np.mean([-10 * np.log10(((p[k] - t[k]) ** 2).mean()) for k in chosen])
    assert paper_protocol(prediction=early, target=pair[1])["psnr_slice"] == pytest.approx(expected, abs=1e-9)


def test_equal_volumes_are_perfect(pair):
    perfect = {"psnr": np.inf, "ssim": 1, "psnr_slice": np.inf, "ssim_slice": 1, "mae": 0}
    assert paper_protocol(prediction=pair[1], target=pair[1]) == pytest.approx(perfect)


def test_one_equal_slice_makes_the_mean_over_slices_infinite(pair):
    prediction = pair[1].copy()
    prediction[6] = prediction[6, ::-1]
    quality = paper_protocol(prediction=prediction, target=pair[1])
    assert quality["psnr_slice"] == np.inf
    assert np.isfinite(quality["psnr"])


@pytest.mark.parametrize("factor", [0.5, 0.1])
def test_it_is_blind_to_a_wrong_contrast_and_brightness_that_the_strict_protocol_sees(pair, factor):
    prediction = factor * pair[1] + 0.3
    blind = paper_protocol(prediction=prediction, target=pair[1])
    assert blind["psnr"] > 200
    assert blind["ssim"] == pytest.approx(1, abs=1e-5)
    assert blind["mae"] == pytest.approx(0, abs=1e-12)
    assert strict_protocol(prediction=prediction, target=pair[1])["psnr"] < 15


def test_more_background_raises_it_and_not_the_strict_protocol(pair):
    wide = [np.pad(volume, ((0, 0), (20, 20), (20, 20)), constant_values=-1) for volume in pair]
    once, more = (paper_protocol(prediction=p, target=t) for p, t in (pair, wide))
    assert more["psnr"] > once["psnr"] + 5
    head = pair[1] > -1
    options = {"foreground": head}, {"foreground": np.pad(head, ((0, 0), (20, 20), (20, 20)))}
    strict = [strict_protocol(prediction=p, target=t, **o) for (p, t), o in zip((pair, wide), options, strict=True)]
    assert strict[0]["psnr"] == pytest.approx(strict[1]["psnr"])


def test_the_shift_by_1_changes_nothing_for_a_target_that_is_not_negative(pair):
    intensities = 700 * (pair[1] + 1)
    direct = paper_protocol(prediction=pair[0], target=pair[1])
    assert paper_protocol(prediction=pair[0], target=intensities) == pytest.approx(direct, abs=1e-6)
    assert paper_protocol(prediction=pair[0], target=intensities - 1) == pytest.approx(direct, abs=1e-6)


def test_below_minus_1_the_lower_bound_cuts(pair):
    below = np.where(pair[0] == -1, -3.0, pair[0])
    assert np.percentile(below, 0.5) == -3
    assert paper_protocol(prediction=below, target=pair[1]) == paper_protocol(prediction=pair[0], target=pair[1])


@pytest.mark.parametrize("value", [0.7, -1.0, -5.0])
def test_a_constant_prediction_becomes_0_and_has_no_slice_that_counts(pair, value):
    quality = paper_protocol(prediction=np.full_like(pair[1], value), target=pair[1])
    t = rescaled(pair[1])
    assert np.isnan(quality["psnr_slice"])
    assert np.isnan(quality["ssim_slice"])
    assert quality["mae"] == pytest.approx(t.mean())
    assert quality["psnr"] == pytest.approx(-10 * np.log10((t**2).mean()))


def test_a_constant_target_becomes_0(pair):
    quality = paper_protocol(prediction=pair[0], target=np.zeros_like(pair[1]))
    assert quality["mae"] == pytest.approx(rescaled(pair[0]).mean())


def test_with_fewer_than_7_slices_only_the_3d_window_does_not_fit(pair):
    quality = paper_protocol(prediction=pair[0][4:10], target=pair[1][4:10])
    assert np.isnan(quality.pop("ssim"))
    assert np.isfinite(list(quality.values())).all()


@pytest.mark.parametrize(
    ("prediction", "target", "message"),
    [
        (np.zeros((8, 8, 8)), np.zeros((7, 8, 8)), "same grid"),
        (np.zeros((8, 8)), np.zeros((8, 8)), r"\(D, H, W\)"),
        (np.zeros((8, 6, 8)), np.zeros((8, 6, 8)), "H and W must be at least 7, the window of SSIM"),
        (np.full((8, 8, 8), np.nan), np.zeros((8, 8, 8)), "prediction: 512 of 512"),
        (np.zeros((8, 8, 8)), np.full((8, 8, 8), -np.inf), "target: 512 of 512"),
    ],
)
def test_volumes_that_cannot_be_compared_are_refused(prediction, target, message):
    with pytest.raises(ValueError, match=message):
        paper_protocol(prediction=prediction, target=target)


def test_tensors_are_measured_like_arrays_and_nothing_is_changed(pair):
    kept = [volume.copy() for volume in pair]
    once = paper_protocol(prediction=pair[0], target=pair[1])
    assert paper_protocol(prediction=MetaTensor(pair[0]), target=torch.from_numpy(pair[1])) == once
    assert all(np.array_equal(volume, before) for volume, before in zip(pair, kept, strict=True))


def test_the_measure_fills_its_columns_over_the_whole_volume(pair):
    nothing = np.zeros(pair[1].shape, dtype=bool)
    measure = PaperProtocol()
    case = CaseVolumes(prediction=pair[0], target=pair[1], foreground=nothing, evaluated_slices=np.array([3]))
    numbers = measure(case)
    assert list(numbers) == [column.name for column in measure.columns]
    assert list(numbers.values()) == list(paper_protocol(prediction=pair[0], target=pair[1]).values())
    assert [column.name for column in measure.columns if column.better == "lower"] == ["paper_mae"]
    assert measure.note == ""
