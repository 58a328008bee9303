"""Image quality against closed forms and scikit-image."""

import numpy as np
import pytest
import torch
from monai.bundle import ConfigParser
from monai.data import DataLoader, MetaTensor
from monai.engines import SupervisedEvaluator
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from unicoal_components.metrics.image_quality import PSNR, image_quality, prediction_and_label


@pytest.fixture
def pair():
    rng = np.random.default_rng(0)
    target = rng.uniform(-1, 1, (20, 24, 18)).astype(np.float32)
    return np.clip(target + rng.normal(0, 0.2, target.shape), -1, 1).astype(np.float32), target


@pytest.mark.parametrize("offset", [0.01, 0.1, 0.5])
def test_a_constant_offset_c_gives_minus_20_log10_c_decibel(offset):
    target = torch.full((3, 16, 16), -0.5)
    quality = image_quality(prediction=target + 2 * offset, target=target)
    assert quality["psnr"] == pytest.approx(-20 * np.log10(offset), abs=1e-4)
    assert quality["mae"] == pytest.approx(offset, abs=1e-6)


def test_equal_volumes_are_perfect(pair):
    assert image_quality(prediction=pair[1], target=pair[1]) == {"psnr": np.inf, "ssim": pytest.approx(1), "mae": 0}


def test_it_agrees_with_scikit_image(pair):
    predicted, true = ((x.astype(np.float64) + 1) / 2 for x in pair)
    options = {"data_range": 1, "gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    ssim = np.mean([structural_similarity(p, t, **options) for p, t in zip(predicted, true, strict=True)])
    quality = image_quality(prediction=pair[0], target=pair[1])
    assert quality["psnr"] == pytest.approx(peak_signal_noise_ratio(true, predicted, data_range=1), abs=1e-4)
    assert quality["ssim"] == pytest.approx(ssim, abs=1e-5)
    assert quality["mae"] == pytest.approx(np.abs(predicted - true).mean(), abs=1e-6)


def test_values_beyond_the_range_are_clipped(pair):
    target = np.where(pair[1] > 0, 1, -1)
    assert image_quality(prediction=3 * target, target=target)["psnr"] == np.inf


def test_tensors_with_metadata_are_measured_like_arrays(pair):
    with_meta = image_quality(prediction=MetaTensor(pair[0]), target=torch.from_numpy(pair[1]))
    assert with_meta == image_quality(prediction=pair[0], target=pair[1])


@pytest.mark.parametrize(
    ("prediction", "target", "message"),
    [
        (np.zeros((2, 16, 16)), np.zeros((3, 16, 16)), "same grid"),
        (np.zeros((16, 16)), np.zeros((16, 16)), r"\(K, H, W\)"),
        (np.zeros((2, 8, 16)), np.zeros((2, 8, 16)), "window of SSIM"),
        (np.full((2, 16, 16), np.nan), np.zeros((2, 16, 16)), "prediction: 512 of 512"),
        (np.zeros((2, 16, 16)), np.full((2, 16, 16), np.inf), "target: 512 of 512"),
    ],
)
def test_volumes_that_cannot_be_compared_are_refused(prediction, target, message):
    with pytest.raises(ValueError, match=message):
        image_quality(prediction=prediction, target=target)


def test_engine_outputs_are_read_decollated_or_not(pair):
    predicted, true = (torch.from_numpy(x)[None, None] for x in pair)
    batched = prediction_and_label({"pred": predicted, "label": true, "image": None})
    listed = prediction_and_label([{"pred": predicted[0], "label": true[0]}])
    for one, other in zip(batched, listed, strict=True):
        assert len(one) == len(other) == 1
        assert torch.equal(one[0], other[0])
        assert one[0].shape == (1, 20, 24, 18)


@pytest.mark.parametrize("decollate", [True, False])
def test_an_evaluator_reports_the_mean_over_volumes_of_different_depth(pair, decollate):
    volumes = [torch.from_numpy(x) for x in (pair[1], pair[1][:7])]
    cases = [{"image": v[None] * 0.9, "label": v[None]} for v in volumes]
    metric = ConfigParser({"m": {"psnr": {"_target_": "unicoal_components.metrics.image_quality.PSNR"}}})
    evaluator = SupervisedEvaluator(
        device=torch.device("cpu"),
        val_data_loader=DataLoader(cases, batch_size=1),
        network=torch.nn.Identity(),
        key_val_metric=metric.get_parsed_content("m"),
        decollate=decollate,
    )
    evaluator.run()
    expected = np.mean([image_quality(prediction=0.9 * v, target=v)["psnr"] for v in volumes])
    assert evaluator.state.metrics["psnr"] == pytest.approx(expected, abs=1e-3)
    assert len(evaluator.state.metric_details["psnr"]) == 2


def test_the_key_metric_takes_another_output_transform():
    assert PSNR(output_transform=lambda x: x)._output_transform(3) == 3
