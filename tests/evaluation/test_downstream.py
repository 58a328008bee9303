"""Dice and volumes of segmentations: by hand, by MONAI, and on a real scan with a real network."""

import importlib.util
import math
import warnings
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.metrics import compute_dice

from unicoal_components.evaluation.downstream import DownstreamDice, compare_labels
from unicoal_components.metrics.measure import CaseVolumes
from unicoal_components.slices.interpolation import cubic_interpolation
from unicoal_components.slices.slice_profile import thick_volume

DATA = Path(__file__).parents[2] / ".." / "shared" / "data"


def thirds(volume):
    """Three classes by intensity in [0, 1]."""
    return (volume * 2.999).floor().long()


def case(prediction, target, **options):
    return CaseVolumes(prediction, target, np.ones(target.shape, dtype=bool), **options)


@pytest.fixture
def maps():
    rng = np.random.default_rng(0)
    target = rng.integers(0, 4, (5, 6, 7))
    return {
        "prediction": np.where(rng.random(target.shape) < 0.3, rng.integers(0, 4, target.shape), target),
        "target": target,
    }


def test_dice_is_monais(maps):
    one_hot = [torch.nn.functional.one_hot(torch.from_numpy(m), 4).movedim(-1, 0)[None] for m in maps.values()]
    expected = compute_dice(*one_hot, include_background=False)[0].tolist()
    rows = compare_labels(**maps)
    assert [row["class"] for row in rows] == [1, 2, 3]
    assert [row["dice"] for row in rows] == pytest.approx(expected, rel=1e-6)


def test_volumes_are_in_milliliters(maps):
    for row in compare_labels(**maps, spacing=(5.0, 0.5, 2.0)):
        for name, key in (("prediction", "volume_prediction_ml"), ("target", "volume_truth_ml")):
            assert row[key] == pytest.approx((maps[name] == row["class"]).sum() * 5.0 / 1000)


def test_a_class_that_one_map_alone_has_gets_0_and_one_that_neither_has_is_left_out():
    rows = compare_labels(prediction=np.array([[[0, 1, 5]]]), target=np.array([[[0, 1, 3]]]))
    assert [(row["class"], row["dice"]) for row in rows] == [(1, 1), (3, 0), (5, 0)]


@pytest.mark.parametrize("other", [np.zeros((5, 6, 1), dtype=int), np.zeros((5, 6, 7)), np.full((5, 6, 7), -1)])
def test_anything_but_a_pair_of_label_maps_is_an_error(maps, other):
    with pytest.raises(ValueError, match="integer labels >= 0 of one shape"):
        compare_labels(prediction=other, target=maps["target"])


def test_the_means_are_over_the_classes_of_the_truth():
    target = np.array([[[-1.0, -1.0, 0.0, 0.0, 0.0, 0.0, -1.0, -1.0]]])  # 4 voxels of class 1, none of class 2
    prediction = np.array([[[-1.0, 0.0, 0.0, 0.0, -1.0, -1.0, 1.0, 1.0]]])  # 3 of class 1, 2 common; 2 of class 2
    measure = DownstreamDice(segmenter=thirds)
    assert measure(case(prediction, target)) == {"dice": pytest.approx(4 / 7), "volume_error": pytest.approx(25)}
    assert [(row["class"], row["dice"]) for row in measure.details] == [(1, pytest.approx(4 / 7)), (2, 0)]


def test_the_error_of_volumes_is_relative_whether_they_grow_or_shrink():
    target = np.array([[[0.0] * 4 + [1.0] * 2 + [-1.0] * 2]])
    prediction = np.array([[[0.0] * 3 + [1.0] * 3 + [-1.0] * 2]])
    assert DownstreamDice(segmenter=thirds)(case(prediction, target))["volume_error"] == pytest.approx((25 + 50) / 2)


def test_the_details_are_those_of_the_last_case_in_its_spacing():
    measure = DownstreamDice(segmenter=thirds)
    target = np.array([[[0.0, 0.0, -1.0]]])
    measure(case(np.ones_like(target), target))
    measure(case(target.copy(), target, spacing=(4.0, 2.5, 1.0)))
    assert measure.details == [{"class": 1, "dice": 1, "volume_prediction_ml": 0.02, "volume_truth_ml": 0.02}]


def test_a_truth_is_segmented_once_for_all_methods():
    seen = []
    measure = DownstreamDice(segmenter=lambda volume: seen.append(volume.sum().item()) or thirds(volume))
    first, second = np.zeros((1, 2, 3)), np.zeros((1, 2, 3))
    dice = [measure(case(first + offset, first))["dice"] for offset in (0.0, 0.1, 1.0)]
    assert dice == [1, 1, 0]
    assert len(seen) == 4
    measure(case(first, second))  # equal, but another truth
    assert len(seen) == 6


def test_where_the_truth_has_no_class_the_columns_are_empty():
    result = DownstreamDice(segmenter=thirds)(case(np.ones((1, 2, 3)), -np.ones((1, 2, 3))))
    assert result.keys() == {"dice", "volume_error"} and all(math.isnan(x) for x in result.values())


def test_without_a_segmenter_the_columns_are_empty_and_the_note_says_how_to_fill_them():
    measure = DownstreamDice(segmenter=None)
    result = measure(case(np.ones((1, 2, 3)), np.ones((1, 2, 3))))
    assert [column.name for column in measure.columns] == list(result) == ["dice", "volume_error"]
    assert all(math.isnan(x) for x in result.values()) and measure.details == []
    assert measure.note.startswith("give --segmenter") and "path/file.py:function" in measure.note
    assert DownstreamDice(segmenter=thirds).note == ""


@pytest.fixture(scope="module")
def meshnet():
    """The white and gray matter of brainchop's MeshNet for a T1 in [0, 1], axes to superior, posterior, left."""
    folder = DATA / "nets"
    if not folder.is_dir():
        pytest.skip(f"the networks are not there: {folder}")
    spec = importlib.util.spec_from_file_location("meshnet_loader", folder / "meshnet_loader.py")
    loader = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loader)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # it leaves its files open
        network = loader.load(str(folder / "brainchop" / "model20chan3cls"))

    def segment(volume):
        left_inferior_anterior = volume[0, 0].permute(2, 0, 1).flip(1, 2).contiguous()
        return network(left_inferior_anterior[None, None])[0].argmax(dim=0).flip(1, 2).permute(1, 2, 0)

    return segment


@pytest.fixture(scope="module")
def scan():
    """A deep part of the healthy hemisphere of a real, thin T1.

    The network was trained on scans in a box of 256 mm, scaled to their quantile of 98 %; of a stripped brain of 1.09 l
    31 % lie above that.
    """
    path = DATA / "cstar_stroke" / "T1.nii.gz"
    if not path.is_file():
        pytest.skip(f"the real scan is not there: {path}")
    intensities = nib.load(path).get_fdata(dtype=np.float32)  # axes to right, anterior, superior
    unit = np.clip(intensities / np.quantile(intensities[intensities > 0], 0.69), 0, 1)
    return (2 * unit.transpose(2, 1, 0)[:, ::-1, ::-1] - 1)[44:92, 56:128, 4:64].copy()


def test_a_real_network_segments_less_of_a_real_brain_the_thicker_its_slices(meshnet, scan):
    measure = DownstreamDice(segmenter=meshnet)
    dice = {1: measure(case(scan.copy(), scan))["dice"]}
    labels = measure._segment_truth(scan)
    for factor in (4, 6):
        cubic = cubic_interpolation(thick_volume(scan, factor, "gaussian"), factor, np.arange(len(scan)))
        dice[factor] = measure(case(np.asarray(cubic), scan))["dice"]
    white, gray = ((labels == label).mean() for label in (1, 2))
    assert 0.15 < white < 0.35 and 0.1 < gray < 0.3  # of a block that holds ventricles and thalamus
    assert scan[labels == 1].mean() > scan[labels == 2].mean() > scan[labels == 0].mean()
    assert dice[1] == 1
    assert 0.6 < dice[4] < 0.9
    assert 0.4 < dice[6] < dice[4] - 0.03
