"""Dice and volumes of two segmentations against sets counted by hand."""

import numpy as np
import pytest
import torch

from unicoal_components.metrics.downstream import DownstreamDice, compare_labels
from unicoal_components.metrics.measure import CaseVolumes

A = np.array([0, 1, 1, 1, 2, 2, 0, 4]).reshape(2, 2, 2)
B = np.array([1, 1, 1, 0, 2, 0, 0, 3]).reshape(2, 2, 2)


def test_dice_and_volumes_are_those_of_the_sets():
    rows = compare_labels(prediction=A, target=B, spacing=(2.0, 5.0, 10.0))
    expected = []
    for label in (1, 2, 3, 4):
        a, b = ({tuple(i) for i in np.argwhere(x == label)} for x in (A, B))
        expected.append((label, 2 * len(a & b) / (len(a) + len(b)), len(a) * 0.1, len(b) * 0.1))
    found = [(r["class"], r["dice"], r["volume_prediction_ml"], r["volume_truth_ml"]) for r in rows]
    np.testing.assert_allclose(found, expected)


def test_a_map_agrees_with_itself_and_classes_that_nobody_has_are_not_listed():
    labels = np.array([0, 3, 3, 7]).reshape(1, 2, 2)
    assert [(r["class"], r["dice"]) for r in compare_labels(prediction=labels, target=labels)] == [(3, 1), (7, 1)]


class Counting:
    """Bands of intensity, and how often somebody asked."""

    count = 0

    def __call__(self, volume):
        self.count += 1
        return (volume * 3.99).long()


def case_of(prediction, target):
    return CaseVolumes(prediction, target, np.ones(target.shape, bool), spacing=(1.0, 2.0, 5.0))


def test_the_mean_is_over_the_classes_of_the_truth():
    target = np.array([-1, -0.4, -0.4, 0.2, 0.2, 0.2]).reshape(1, 2, 3).astype(np.float32)
    prediction = np.array([-1, -0.4, -1, 0.2, 0.2, 0.8]).reshape(1, 2, 3).astype(np.float32)
    measure = DownstreamDice(segmenter=Counting())
    numbers = measure(case_of(prediction, target))
    assert numbers["dice"] == pytest.approx((2 / 3 + 4 / 5) / 2)
    assert numbers["volume_error"] == pytest.approx(100 * (1 / 2 + 1 / 3) / 2)
    assert [row["class"] for row in measure.details] == [1, 2, 3]
    assert measure.details[1]["volume_truth_ml"] == pytest.approx(0.03)


def test_the_truth_of_a_case_is_segmented_once():
    segmenter = Counting()
    measure = DownstreamDice(segmenter=segmenter)
    target = np.zeros((2, 3, 4), np.float32)
    for shift in (0.0, 0.1, 0.2):
        measure(case_of(target + np.float32(shift), target))
    assert segmenter.count == 4
    measure(case_of(target, target.copy()))
    assert segmenter.count == 6


def test_a_truth_without_a_class_has_no_number():
    black = np.full((1, 2, 2), -1, np.float32)
    numbers = DownstreamDice(segmenter=Counting())(case_of(np.zeros_like(black), black))
    assert np.isnan(list(numbers.values())).all()


def test_without_a_segmenter_the_columns_say_why_they_are_empty():
    measure = DownstreamDice()
    numbers = measure(case_of(np.zeros((1, 2, 2)), np.zeros((1, 2, 2))))
    assert list(numbers) == [column.name for column in measure.columns]
    assert np.isnan(list(numbers.values())).all()
    assert "segmenter was not given" in measure.note and measure.details == []


def test_a_torch_function_is_a_segmenter():
    target = np.linspace(-1, 1, 8, dtype=np.float32).reshape(2, 2, 2)
    measure = DownstreamDice(segmenter=lambda v: torch.cat([1 - v, v], dim=1))
    assert measure(case_of(target, target)) == {"dice": 1, "volume_error": 0}
