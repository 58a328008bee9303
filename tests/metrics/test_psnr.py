"""The PSNR of an engine against closed forms and scikit-image."""

import numpy as np
import pytest
import torch
from monai.bundle import ConfigParser
from monai.data import DataLoader, MetaTensor
from monai.engines import SupervisedEvaluator
from skimage.metrics import peak_signal_noise_ratio

from unicoal_components.metrics.psnr import PSNR, prediction_and_label, unit_range


@pytest.fixture
def pair():
    rng = np.random.default_rng(0)
    target = rng.uniform(-1, 1, (20, 24, 18)).astype(np.float32)
    return np.clip(target + rng.normal(0, 0.2, target.shape), -1, 1).astype(np.float32), target


def evaluate(cases, *, decollate=True, network=None):
    metric = ConfigParser({"m": {"psnr": {"_target_": "unicoal_components.metrics.psnr.PSNR"}}})
    evaluator = SupervisedEvaluator(
        device=torch.device("cpu"),
        val_data_loader=DataLoader(cases, batch_size=1),
        network=torch.nn.Identity() if network is None else network,
        key_val_metric=metric.get_parsed_content("m"),
        decollate=decollate,
    )
    evaluator.run()
    return evaluator.state


def test_values_beyond_the_range_are_clipped():
    assert unit_range(np.array([-3.0, -1.0, 0.5, 1.0, 9.0])).tolist() == [0, 0, 0.75, 1, 1]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_finite_are_refused_and_counted(value):
    with pytest.raises(ValueError, match="pred: 1 of 6"):
        unit_range(np.array([0, 0, value, 0, 0, 0]), name="pred")


def test_engine_outputs_are_read_decollated_or_not(pair):
    predicted, true = (torch.from_numpy(x)[None, None] for x in pair)
    batched = prediction_and_label({"pred": predicted, "label": true, "image": None})
    listed = prediction_and_label([{"pred": MetaTensor(predicted[0]), "label": true[0]}])
    for one, other in zip(batched, listed, strict=True):
        assert len(one) == len(other) == 1
        assert torch.equal(one[0], other[0])
        assert one[0].shape == (1, 20, 24, 18)


@pytest.mark.parametrize("decollate", [True, False])
def test_an_evaluator_reports_the_mean_over_volumes_of_different_depth(pair, decollate):
    volumes = [pair[1], pair[1][:7]]
    cases = [{"image": torch.from_numpy(v)[None] * 0.9, "label": torch.from_numpy(v)[None]} for v in volumes]
    state = evaluate(cases, decollate=decollate)
    expected = [peak_signal_noise_ratio((v + 1) / 2, (0.9 * v + 1) / 2, data_range=1) for v in volumes]
    assert state.metrics["psnr"] == pytest.approx(np.mean(expected), abs=1e-3)
    assert len(state.metric_details["psnr"]) == 2


@pytest.mark.parametrize("decollate", [True, False])
def test_a_standard_deviation_beside_the_prediction_does_not_count(pair, decollate):
    cases = [{"image": torch.from_numpy(pair[0])[None], "label": torch.from_numpy(pair[1])[None]}]
    alone = evaluate(cases, decollate=decollate).metrics["psnr"]
    beside = evaluate(cases, decollate=decollate, network=lambda x: torch.cat([x, torch.ones_like(x)], dim=1))
    assert beside.metrics["psnr"] == alone


def test_the_key_metric_takes_another_output_transform():
    assert PSNR(output_transform=lambda x: x)._output_transform(3) == 3


def test_a_perfect_image_counts_100_db_and_leaves_the_mean_finite(pair):
    prediction, target = pair
    perfect = {"image": target[None], "label": target[None]}
    good = {"image": prediction[None], "label": target[None]}
    expected = peak_signal_noise_ratio((target + 1) / 2, (prediction + 1) / 2, data_range=1)
    assert evaluate([perfect, good]).metrics["psnr"] == pytest.approx((100 + expected) / 2, abs=1e-3)
