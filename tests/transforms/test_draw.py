import json
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest

from unicoal_components.data.slice_group import slice_position
from unicoal_components.transforms.draw import DrawSliceTaskd

MODALITIES = ["t1", "t2", "pd", "flair"]
GOLDEN = [  # target, source, factor, anchor, window, flip of seed 3, as before there was a phase
    ("pd", "flair", 2.0, 12, (3, 35, 8, 40), False),
    ("t2", "t2", 2.0, 12, (10, 42, 21, 53), True),
    ("pd", "t1", 4.0, 12, (29, 61, 14, 46), False),
]


def item(modalities=("t1", "t2", "pd", "flair"), shape=(30, 64, 64), box=(0, 30, 0, 64, 0, 64), index=12):
    return {
        "subject": "p07",
        "path": "/data/p07.h5",
        "slice_index": index,
        "modalities": modalities,
        "shape": shape,
        "foreground_box": box,
    }


def draws(count=400, data=None, seed=0, **arguments):
    draw = DrawSliceTaskd(**{"modalities": MODALITIES, "resolution": 32, **arguments})
    draw.set_random_state(seed=seed)
    return [draw(data or item()) for _ in range(count)]


def test_all_tasks_come_equally_often_and_the_identity_never():
    count = 6000
    found = Counter((d["target"], d["source"], d["factor"]) for d in draws(count))
    assert len(found) == 4 * 4 * 4 - 4
    assert not [task for task in found if task[0] == task[1] and task[2] == 1]
    expected = count / len(found)
    assert all(abs(n - expected) < 5 * expected**0.5 for n in found.values())


def test_the_identity_is_drawn_where_nothing_else_is_possible():
    (only,) = {(d["target"], d["source"], d["factor"]) for d in draws(20, item(modalities=("t1",)), factors=[1])}
    assert only == ("t1", "t1", 1.0)


def test_only_modalities_of_the_file_and_of_the_arguments_are_drawn():
    found = draws(data=item(modalities=("flair", "t1", "t2")), targets=["t2", "pd"], sources=["t1", "flair"])
    assert {d["target"] for d in found} == {"t2"} and {d["source"] for d in found} == {"t1", "flair"}


def test_source_and_target_can_be_kept_different():
    assert all(d["source"] != d["target"] for d in draws(same_modality=False))


def test_source_and_target_can_be_kept_the_same():
    found = draws(cross_modality=False, factors=[2, 4])
    assert {(d["source"], d["target"]) for d in found} == {(name, name) for name in MODALITIES}


def test_indices_follow_the_order_of_the_modalities():
    for d in draws(50):
        assert (MODALITIES[d["modality"]], MODALITIES[d["source_modality"]]) == (d["target"], d["source"])


@pytest.mark.parametrize(("factor", "offsets"), [(1, 1), (4, 4), (2.5, 3), (3.2, 4)])
def test_anchors_are_uniform_over_all_positions_below_one(factor, offsets):
    found = Counter(12 - d["anchor"] for d in draws(2000, factors=[factor]))
    assert sorted(found) == list(range(offsets)) and (offsets - 1) / factor < 1
    assert min(found.values()) > 0.8 * 2000 / offsets


@pytest.mark.parametrize("factor", [1.2, 2.5, 4])
def test_a_random_phase_gives_every_position_equally_often(factor):
    found = draws(2000, factors=[factor], phase="random")
    positions = np.array([slice_position(12, d["anchor"], factor) for d in found])
    assert 0 <= positions.min() < 0.01 and 0.99 < positions.max() < 1
    assert np.histogram(positions, 5, (0, 1))[0].min() > 300


def test_the_largest_random_offset_still_has_a_position_below_one(monkeypatch):
    draw = DrawSliceTaskd(modalities=MODALITIES, resolution=32, factors={"min": 1, "max": 9}, phase="random")
    for factor in np.random.default_rng(0).uniform(1, 9, 1000):
        monkeypatch.setattr(draw, "R", SimpleNamespace(uniform=lambda low, high: np.nextafter(high, low)))
        assert 0.999 < slice_position(150, 150 - draw._offset(factor), factor) < 1


def test_at_a_factor_of_one_source_and_target_have_one_grid_at_any_phase():
    assert {d["anchor"] for d in draws(50, factors=[1], phase="random")} == {12}


def test_the_phase_on_the_grid_draws_what_it_always_drew():
    found = [(d["target"], d["source"], d["factor"], d["anchor"], d["window"], d["flip"]) for d in draws(3, seed=3)]
    assert found == GOLDEN


def test_a_range_gives_every_real_factor_equally_often_and_numbers_beside_it_keep_their_share():
    factors = np.array([d["factor"] for d in draws(3000, factors={"min": 2.0, "max": 6.0})])
    assert 2 <= factors.min() < 2.05 and 5.95 < factors.max() <= 6
    assert np.histogram(factors, 4, (2, 6))[0].min() > 600
    mixed = [d["factor"] for d in draws(3000, factors=[1, {"min": 2.0, "max": 6.0}], same_modality=False)]
    assert 0.45 < np.mean(np.array(mixed) == 1) < 0.55 and len(set(mixed)) > 1000


def test_windows_lie_inside_a_larger_foreground_box():
    windows = np.array([d["window"] for d in draws(data=item(box=(0, 30, 4, 60, 10, 50)))])
    assert windows[:, 0].min() == 4 and windows[:, 1].max() == 60
    assert windows[:, 2].min() == 10 and windows[:, 3].max() == 50
    assert (windows[:, 1] - windows[:, 0] == 32).all() and (windows[:, 3] - windows[:, 2] == 32).all()


def test_windows_cover_a_smaller_foreground_box_and_stay_in_the_slice():
    windows = np.array([d["window"] for d in draws(data=item(box=(0, 30, 2, 22, 30, 50)))])
    assert windows[:, 0].min() == 0 and windows[:, 0].max() == 2 and (windows[:, 1] >= 22).all()
    assert windows[:, 2].min() == 18 and windows[:, 2].max() == 30 and (windows[:, 3] >= 50).all()


def test_smaller_slices_are_put_in_the_middle():
    assert {d["window"] for d in draws(20, item(shape=(30, 20, 31)))} == {(-6, 26, 0, 32)}


def test_center_and_no_flip_leave_only_the_task_to_chance():
    found = draws(50, crop="center", flip=False)
    assert {d["window"] for d in found} == {(16, 48, 16, 48)} and not any(d["flip"] for d in found)


def test_half_of_the_items_are_flipped():
    assert 0.4 < np.mean([d["flip"] for d in draws()]) < 0.6


def test_the_draw_is_plain_values_and_repeats_with_the_seed():
    first = draws(5, seed=7, intensity_jitter=0.3)
    assert json.dumps(first) == json.dumps(draws(5, seed=7, intensity_jitter=0.3))
    assert json.dumps(first) != json.dumps(draws(5, seed=8, intensity_jitter=0.3))


def test_jitter_is_off_by_default_and_within_its_range_otherwise():
    assert "gamma" not in draws(1)[0]
    found = draws(intensity_jitter=0.3)
    gammas = np.log([d["gamma"] for d in found])
    bias = np.array([d["bias"] for d in found])
    assert -0.3 <= gammas.min() < -0.25 and 0.25 < gammas.max() <= 0.3
    assert np.abs(bias).max() <= 0.3 and bias.shape[1] == 5


def test_a_subject_without_a_usable_modality_is_named_with_its_file_and_what_it_has():
    with pytest.raises(ValueError, match="'p07'.*p07.h5.*t1c, swi.*targets are t1"):
        draws(1, item(modalities=("t1c", "swi")))
    with pytest.raises(ValueError, match="never equal"):
        draws(1, item(modalities=("t1",)), same_modality=False)
    with pytest.raises(ValueError, match="always equal"):
        draws(1, item(modalities=("t1", "t2")), targets=["t1"], sources=["t2"], cross_modality=False)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"modalities": []}, "modalities"),
        ({"modalities": ["t1", "t1"]}, "each once"),
        ({"targets": ["t3"]}, r"targets is \['t3'\].*flair"),
        ({"sources": []}, "sources"),
        ({"factors": [0.5]}, "factor is 0.5"),
        ({"factors": []}, "factors is empty"),
        ({"factors": {"min": 0.5, "max": 2}}, "factor is 0.5"),
        ({"factors": [1, {"min": 4, "max": 2}]}, "min must be below max"),
        ({"factors": {"from": 2, "to": 4}}, "keys min and max"),
        ({"phase": "center"}, "phase is 'center'"),
        ({"same_modality": False, "cross_modality": False}, "same_modality and cross_modality are both false"),
        ({"resolution": 0}, "resolution is 0"),
        ({"resolution": 32.0}, "resolution is 32.0"),
        ({"crop": "corner"}, "crop is 'corner'"),
        ({"intensity_jitter": -0.1}, "intensity_jitter is -0.1"),
    ],
)
def test_wrong_arguments_are_refused_by_name_and_value(arguments, message):
    with pytest.raises(ValueError, match=message):
        DrawSliceTaskd(**{"modalities": MODALITIES, "resolution": 32, **arguments})
