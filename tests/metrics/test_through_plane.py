"""Change from slice to slice against closed forms and plain loops."""

import numpy as np
import pytest
import torch

from unicoal_components.metrics.measure import CaseVolumes
from unicoal_components.metrics.through_plane import (
    ThroughPlane,
    banding,
    sweep_roughness,
    through_plane_consistency,
)
from unicoal_components.slices.interpolation import nearest_slices

SHAPE = (40, 24, 20)
EVERYWHERE = np.ones(SHAPE, bool)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def slices_of(values):
    """Slices of one voxel each."""
    return np.asarray(values, dtype=np.float64).reshape(-1, 1, 1)


def consistency(prediction, target, foreground=EVERYWHERE):
    return through_plane_consistency(prediction=prediction, target=target, foreground=foreground)


def test_the_truth_is_as_rough_as_itself_and_has_no_error_to_jitter(rng):
    result = consistency(*[rng.normal(size=SHAPE)] * 2)
    assert result["roughness"] == 1
    assert np.isnan(result["error_jitter"])


@pytest.mark.parametrize("scale", [0.5, 3.0])
def test_the_roughness_is_linear_in_the_prediction_and_blind_to_an_offset(rng, scale):
    target = rng.normal(size=SHAPE)
    assert consistency(scale * target + 0.7, target)["roughness"] == pytest.approx(scale)


def test_a_blur_through_plane_of_white_noise_has_the_roughness_of_its_filter(rng):
    target = rng.normal(size=(42, 24, 20))
    blurred = (target[:-2] + target[1:-1] + target[2:]) / 3
    # second difference of the mean of three: taps (1, -1, 0, -1, 1) / 3 against (1, -2, 1)
    expected = np.sqrt(4 / 9) / np.sqrt(6)
    assert consistency(blurred, target[1:-1])["roughness"] == pytest.approx(expected, rel=0.03)


def test_flicker_from_slice_to_slice_raises_the_roughness(rng):
    target = np.cumsum(rng.normal(size=SHAPE), axis=0)
    flicker = target + np.where(np.arange(40) % 2, 1.0, -1.0)[:, None, None]
    assert consistency(flicker, target)["roughness"] > 1.5


@pytest.mark.parametrize(
    ("error", "expected"),
    [(np.full(40, 0.3), 0.0), (np.where(np.arange(40) % 2, 0.3, -0.3), 2.0), (np.repeat([1, 0], 20), 1 / 39)],
    ids=["constant", "alternating", "one step"],
)
def test_the_jitter_of_simple_errors(rng, error, expected):
    target = rng.normal(size=SHAPE)
    assert consistency(target + error[:, None, None], target)["error_jitter"] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("correlation", [-0.5, 0.0, 0.8])
def test_the_jitter_is_one_minus_the_correlation_between_neighbors(rng, correlation):
    error = rng.normal(size=SHAPE)
    for d in range(1, 40):
        error[d] = correlation * error[d - 1] + np.sqrt(1 - correlation**2) * error[d]
    assert consistency(error, np.zeros(SHAPE))["error_jitter"] == pytest.approx(1 - correlation, abs=0.03)


def test_only_neighbors_that_are_all_foreground_count(rng):
    prediction, target, foreground = rng.normal(size=SHAPE), rng.normal(size=SHAPE), rng.random(SHAPE) < 0.6
    bends, true_bends, changes, energies = 0.0, 0.0, 0.0, 0.0
    for d, h, w in np.argwhere(foreground):
        p, t, inside = prediction[:, h, w], target[:, h, w], foreground[:, h, w]
        if d + 1 < len(p) and inside[d + 1]:
            e = p - t
            changes, energies = changes + (e[d + 1] - e[d]) ** 2, energies + e[d + 1] ** 2 + e[d] ** 2
            if d and inside[d - 1]:
                bends += abs(p[d + 1] - 2 * p[d] + p[d - 1])
                true_bends += abs(t[d + 1] - 2 * t[d] + t[d - 1])
    prediction[~foreground] = np.nan
    result = consistency(prediction, target, foreground)
    assert result == pytest.approx({"roughness": bends / true_bends, "error_jitter": changes / energies})


@pytest.mark.parametrize(("depth", "roughness", "jitter"), [(1, True, True), (2, True, False), (3, False, False)])
def test_two_slices_make_a_jitter_and_three_a_roughness(rng, depth, roughness, jitter):
    prediction, target = rng.normal(size=(2, depth, 4, 4))
    result = consistency(prediction, target, EVERYWHERE[:depth, :4, :4])
    assert np.isnan(result["roughness"]) == roughness
    assert np.isnan(result["error_jitter"]) == jitter


def test_without_foreground_or_with_a_straight_truth_there_is_no_roughness(rng):
    prediction = rng.normal(size=SHAPE)
    assert np.isnan(list(consistency(prediction, -prediction, ~EVERYWHERE).values())).all()
    ramp = np.broadcast_to(np.arange(40.0)[:, None, None], SHAPE)
    assert np.isnan(consistency(prediction, ramp)["roughness"])


def test_the_measure_gives_its_columns_and_looks_at_all_slices(rng):
    prediction, target = rng.normal(size=(2, *SHAPE)).astype(np.float32)
    case = CaseVolumes(prediction, target, EVERYWHERE, evaluated_slices=np.array([3, 9]), factor=3.0)
    measure = ThroughPlane()
    bands = banding(prediction=prediction, target=target, foreground=EVERYWHERE, factor=3.0)
    expected = consistency(torch.from_numpy(prediction), target, torch.from_numpy(EVERYWHERE)) | {"banding": bands}
    assert measure(case) == expected
    assert [(column.name, column.better) for column in measure.columns] == [
        ("roughness", "one"),
        ("banding", "one"),
        ("error_jitter", "none"),
    ]
    assert measure.note == ""


@pytest.mark.parametrize("factor", [2, 3.0, 5])
def test_a_staircase_has_all_its_change_at_one_place(factor):
    ramp = slices_of(np.arange(30))
    copy = nearest_slices(ramp[:: int(factor)], factor, np.arange(30))
    assert banding(prediction=copy, target=ramp, foreground=ramp >= 0, factor=factor) == pytest.approx(factor)


def test_what_changes_like_the_truth_has_no_bands(rng):
    target = np.cumsum(rng.normal(size=SHAPE), axis=0)
    assert banding(prediction=0.3 * target, target=target, foreground=EVERYWHERE, factor=4) == pytest.approx(1)
    noise = rng.normal(size=SHAPE)
    for factor in (2, 2.5, 4, 6.3):
        assert banding(prediction=noise, target=target, foreground=EVERYWHERE, factor=factor) < 1.1


def test_bands_are_found_at_their_own_period_whatever_the_first_slice(rng):
    target = np.cumsum(rng.normal(size=SHAPE), axis=0)
    banded = target + np.where(np.arange(40) % 4 == 1, 3.0, 0.0)[:, None, None]
    values = {f: banding(prediction=banded, target=target, foreground=EVERYWHERE, factor=f) for f in (3, 4)}
    assert values[4] > 1.2 > 1.1 > values[3]
    moved = banding(prediction=banded[1:], target=target[1:], foreground=EVERYWHERE[1:], factor=4)
    assert moved == pytest.approx(values[4], rel=0.05)


def test_bands_of_a_period_that_is_no_integer_are_found(rng):
    target = np.broadcast_to(np.arange(40.0)[:, None, None], SHAPE)
    copy = nearest_slices(np.ascontiguousarray(np.arange(0, 40, 2.5)[:, None, None]), 2.5, np.arange(40))
    copy = np.broadcast_to(copy, SHAPE)
    assert banding(prediction=copy, target=target, foreground=EVERYWHERE, factor=2.5) == pytest.approx(3)


def test_without_a_period_or_a_change_there_are_no_bands(rng):
    noise = rng.normal(size=SHAPE)
    for prediction, target, factor in ((noise, noise, 1), (noise, 0 * noise, 4), (0 * noise, noise, 4)):
        assert np.isnan(banding(prediction=prediction, target=target, foreground=EVERYWHERE, factor=factor))
    assert np.isnan(banding(prediction=noise[:2], target=noise[:2], foreground=EVERYWHERE[:2], factor=4))
    with pytest.raises(ValueError, match="factor is 0.5"):
        banding(prediction=noise, target=noise, foreground=EVERYWHERE, factor=0.5)


@pytest.mark.parametrize("shapes", [((4, 3, 3), (5, 3, 3)), ((3, 3), (3, 3)), ((0, 3, 3), (0, 3, 3))])
def test_volumes_of_different_or_other_shape_are_refused(shapes):
    volumes = {"prediction": np.zeros(shapes[0]), "target": np.zeros(shapes[1]), "foreground": np.zeros(shapes[1])}
    for measure in (through_plane_consistency, lambda **v: banding(**v, factor=1)):
        with pytest.raises(ValueError, match=r"\(D, H, W\), the same grid"):
            measure(**volumes)


def test_an_even_sweep_is_straight(rng):
    start, end = rng.normal(size=(2, 16, 16))
    sweep = start + np.linspace(0, 1, 11)[:, None, None] * (end - start)
    result = sweep_roughness(torch.from_numpy(sweep))
    assert result["step"] == pytest.approx(np.abs(end - start).mean() / 10)
    assert result["bend"] == pytest.approx(0, abs=1e-12)
    assert result["largest_step"] == pytest.approx(1)


def test_a_sweep_of_white_noise_bends_by_the_square_root_of_three(rng):
    # standard deviations of the differences are sqrt(6) and sqrt(2)
    result = sweep_roughness(2 * rng.normal(size=(20, 64, 64)))
    assert result["bend"] == pytest.approx(np.sqrt(3), rel=0.01)
    assert result["step"] == pytest.approx(2 * np.sqrt(2) * np.sqrt(2 / np.pi), rel=0.01)
    assert result["largest_step"] == pytest.approx(1, abs=0.05)


def test_a_jump_in_a_sweep_stands_out():
    sweep = slices_of([0, 1, 2, 3, 13, 14, 15])
    assert sweep_roughness(sweep) == {"step": 2.5, "bend": pytest.approx(18 / 5 / 2.5), "largest_step": 10}
    assert sweep_roughness(slices_of([0, 0, 0, 1]))["largest_step"] == np.inf


@pytest.mark.parametrize(("values", "empty"), [([1], 3), ([1, 2], 1), ([1, 1, 1], 2)])
def test_a_sweep_too_short_or_without_a_move_has_no_bend(values, empty):
    result = sweep_roughness(slices_of(values))
    assert np.isnan(list(result.values())).sum() == empty
    assert np.isnan(result["bend"])


def test_a_sweep_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"\(P, H, W\)"):
        sweep_roughness(np.zeros((3, 3)))
