import math
from collections import Counter
from dataclasses import asdict
from types import SimpleNamespace

import numpy as np
import pytest

from unicoal_components.slices.slice_group import slice_position
from unicoal_components.training.draw import DrawSliceTaskd

MODALITIES = ["t1", "t2", "pd", "flair"]
ALL_THIN = dict.fromkeys(MODALITIES, (0, 1, 2))


def item(modalities=("t1", "t2", "pd", "flair"), shape=(30, 64, 64), box=(0, 30, 0, 64, 0, 64), index=12, thin=None):
    return {
        "subject": "p07",
        "path": "/data/p07.h5",
        "slice_index": index,
        "modalities": modalities,
        "thin_axes": dict.fromkeys(modalities, (0,)) if thin is None else thin,
        "shape": shape,
        "foreground_box": box,
    }


def draws(count=400, data=None, seed=0, **arguments):
    draw = DrawSliceTaskd(**{"modalities": MODALITIES, "resolution": 32, **arguments})
    draw.set_random_state(seed=seed)
    return [draw(data or item()) for _ in range(count)]


def plain(draw):
    """A draw as values that compare, the contrast curve among them."""
    values = asdict(draw)
    if values["intensity"] is not None:
        values["intensity"]["curve"] = values["intensity"]["curve"].tolist()
    return values


def test_all_tasks_come_equally_often_and_the_identity_never():
    count = 6000
    found = Counter((d["draw"].target, d["draw"].source, d["draw"].factor) for d in draws(count))
    assert len(found) == 4 * 4 * 4 - 4
    assert not [task for task in found if task[0] == task[1] and task[2] == 1]
    expected = count / len(found)
    assert all(abs(n - expected) < 5 * expected**0.5 for n in found.values())


def test_the_identity_is_drawn_where_nothing_else_is_possible():
    (only,) = {
        (d["draw"].target, d["draw"].source, d["draw"].factor) for d in draws(20, item(modalities=("t1",)), factors=[1])
    }
    assert only == ("t1", "t1", 1.0)


def test_only_modalities_of_the_file_and_of_the_arguments_are_drawn():
    found = draws(data=item(modalities=("flair", "t1", "t2")), targets=["t2", "pd"], sources=["t1", "flair"])
    assert {d["draw"].target for d in found} == {"t2"} and {d["draw"].source for d in found} == {"t1", "flair"}


def test_source_and_target_can_be_kept_different():
    assert all(d["draw"].source != d["draw"].target for d in draws(same_modality=False))


def test_source_and_target_can_be_kept_the_same():
    found = draws(cross_modality=False, factors=[2, 4])
    assert {(d["draw"].source, d["draw"].target) for d in found} == {(name, name) for name in MODALITIES}


def test_indices_follow_the_order_of_the_modalities():
    for d in draws(50):
        assert (MODALITIES[d["modality"]], MODALITIES[d["source_modality"]]) == (d["draw"].target, d["draw"].source)


@pytest.mark.parametrize(("factor", "offsets"), [(1, 1), (4, 4), (2.5, 3), (3.2, 4)])
def test_anchors_are_uniform_over_all_positions_below_one(factor, offsets):
    found = Counter(d["draw"].offset for d in draws(2000, factors=[factor]))
    assert sorted(found) == list(range(offsets)) and (offsets - 1) / factor < 1
    assert min(found.values()) > 0.8 * 2000 / offsets


@pytest.mark.parametrize("factor", [1.2, 2.5, 4])
def test_a_random_phase_gives_every_position_equally_often(factor):
    found = draws(2000, factors=[factor], phase="random")
    positions = np.array([slice_position(12, 12 - d["draw"].offset, factor) for d in found])
    assert 0 <= positions.min() < 0.01 and 0.99 < positions.max() < 1
    assert np.histogram(positions, 5, (0, 1))[0].min() > 300


def test_the_largest_random_offset_still_has_a_position_below_one(monkeypatch):
    draw = DrawSliceTaskd(modalities=MODALITIES, resolution=32, factors={"min": 1, "max": 9}, phase="random")
    for factor in np.random.default_rng(0).uniform(1, 9, 1000):
        monkeypatch.setattr(draw, "R", SimpleNamespace(uniform=lambda low, high: np.nextafter(high, low)))
        assert 0.999 < slice_position(150, 150 - draw._offset(factor), factor) < 1


def test_at_a_factor_of_one_source_and_target_have_one_grid_at_any_phase():
    assert {d["draw"].offset for d in draws(50, factors=[1], phase="random")} == {0}


def test_a_range_gives_every_real_factor_equally_often_and_numbers_next_to_it_keep_their_share():
    factors = np.array([d["draw"].factor for d in draws(3000, factors={"min": 2.0, "max": 6.0})])
    assert 2 <= factors.min() < 2.05 and 5.95 < factors.max() <= 6
    assert np.histogram(factors, 4, (2, 6))[0].min() > 600
    mixed = [d["draw"].factor for d in draws(3000, factors=[1, {"min": 2.0, "max": 6.0}], same_modality=False)]
    assert 0.45 < np.mean(np.array(mixed) == 1) < 0.55 and len(set(mixed)) > 1000


def test_windows_lie_inside_a_larger_foreground_box():
    windows = np.array([d["draw"].window for d in draws(data=item(box=(0, 30, 4, 60, 10, 50)))])
    assert windows[:, 0].min() == 4 and windows[:, 1].max() == 60
    assert windows[:, 2].min() == 10 and windows[:, 3].max() == 50
    assert (windows[:, 1] - windows[:, 0] == 32).all() and (windows[:, 3] - windows[:, 2] == 32).all()


def test_windows_cover_a_smaller_foreground_box_and_stay_in_the_slice():
    windows = np.array([d["draw"].window for d in draws(data=item(box=(0, 30, 2, 22, 30, 50)))])
    assert windows[:, 0].min() == 0 and windows[:, 0].max() == 2 and (windows[:, 1] >= 22).all()
    assert windows[:, 2].min() == 18 and windows[:, 2].max() == 30 and (windows[:, 3] >= 50).all()


def test_smaller_slices_are_put_in_the_middle():
    assert {d["draw"].window for d in draws(20, item(shape=(30, 20, 31)))} == {(-6, 26, 0, 32)}


def test_center_and_no_flip_leave_only_the_task_to_chance():
    found = [d["draw"] for d in draws(50, crop="center", flip="none")]
    assert {d.window for d in found} == {(16, 48, 16, 48)}
    assert {(d.flips, d.transposed, d.rotation, d.zoom) for d in found} == {((False,) * 3, False, 0, 1)}


def test_the_defaults_are_axial_slices_on_the_grid_mirrored_left_right_in_half_of_the_items():
    found = [d["draw"] for d in draws(data=item(thin=ALL_THIN))]
    assert {(d.axis, d.index, d.profile, d.thickness, d.rotation, d.zoom) for d in found} == {(0, 12, None, None, 0, 1)}
    assert all(d.intensity is None and not d.transposed and d.offset == int(d.offset) for d in found)
    assert {d.flips[:2] for d in found} == {(False, False)}
    assert 0.4 < np.mean([d.flips[2] for d in found]) < 0.6


def test_left_right_is_the_order_of_the_slices_along_the_last_axis():
    found = [d["draw"] for d in draws(1500, item(thin=ALL_THIN), axes="thin")]
    for axis, place in ((0, 2), (1, 2), (2, 0)):
        flips = np.mean([d.flips for d in found if d.axis == axis], axis=0)
        assert 0.4 < flips[place] < 0.6 and flips.sum() == flips[place], axis


def test_all_flips_give_each_of_the_sixteen_equally_often():
    found = Counter((*d["draw"].flips, d["draw"].transposed) for d in draws(1600, flip="all"))
    assert len(found) == 16 and min(found.values()) > 60


def test_slices_are_thick_only_along_axes_along_which_both_volumes_are_thin():
    thin = {"t1": (0, 1), "t2": (1, 2), "pd": (2,), "flair": (0, 1, 2)}
    found = [d["draw"] for d in draws(4000, item(thin=thin), axes="thin")]
    thick = {(d.target, d.source): set() for d in found if d.factor > 1}
    for d in found:
        if d.factor > 1:
            thick[d.target, d.source].add(d.axis)
    assert ("t1", "pd") not in thick and ("pd", "t1") not in thick
    assert all(axes == set(thin[target]) & set(thin[source]) for (target, source), axes in thick.items())
    assert {d.axis for d in found if d.factor == 1 and {d.target, d.source} == {"t1", "pd"}} == {0, 1, 2}


def test_axial_draws_leave_out_what_is_not_thin_along_the_first_axis():
    thin = {"t1": (0, 1), "t2": (1, 2), "pd": (2,), "flair": (0,)}
    found = [d["draw"] for d in draws(data=item(thin=thin))]
    assert {d.axis for d in found} == {0}
    assert {name for d in found if d.factor > 1 for name in (d.target, d.source)} == {"t1", "flair"}


def test_along_other_axes_the_slice_is_any_of_the_foreground_box_and_the_window_lies_in_the_other_two():
    data = item(shape=(40, 50, 60), box=(1, 39, 10, 45, 20, 26), thin=ALL_THIN)
    found = [d["draw"] for d in draws(3000, data, axes="thin", resolution=8)]
    assert {d.index for d in found if d.axis == 0} == {12}
    assert {d.index for d in found if d.axis == 1} == set(range(10, 45))
    assert {d.index for d in found if d.axis == 2} == set(range(20, 26))
    for axis, (rows, columns) in enumerate([((10, 45), (18, 28)), ((1, 39), (18, 28)), ((1, 39), (10, 45))]):
        windows = np.array([d.window for d in found if d.axis == axis])
        assert (windows[:, 0].min(), windows[:, 1].max()) == rows and (
            windows[:, 2].min(),
            windows[:, 3].max(),
        ) == columns


def test_profiles_and_thickness_are_drawn_equally_often():
    found = [d["draw"] for d in draws(1000, profiles=["gaussian", "box"], thickness=[0.6, 1.3])]
    assert 0.4 < np.mean([d.profile == "box" for d in found]) < 0.6
    thickness = np.array([d.thickness for d in found])
    assert thickness.min() >= 0.6 and thickness.max() <= 1.3 and np.histogram(thickness, 4, (0.6, 1.3))[0].min() > 190


def test_half_of_the_stacks_at_factor_one_are_thick_and_no_others():
    found = [d["draw"] for d in draws(2000, factors=[1, 2], stack_spacing=6.0)]
    assert {draw.stack_spacing for draw in found if draw.factor == 2} == {1.0}
    spacings = np.array([draw.stack_spacing for draw in found if draw.factor == 1])
    assert np.mean(spacings == 1) == pytest.approx(0.5, abs=0.06)
    assert np.histogram(spacings[spacings > 1], bins=5, range=(1, 6))[0] == pytest.approx(np.full(5, 80), abs=40)


def test_only_slices_of_another_modality_are_turned_and_zoomed():
    found = [d["draw"] for d in draws(1000, rotation=15, zoom=0.2)]
    for d in found:
        assert d.source != d.target or (d.rotation, d.zoom) == (0, 1)
    angles = np.degrees([d.rotation for d in found if d.source != d.target])
    zooms = np.log([d.zoom for d in found if d.source != d.target])
    assert -15 <= angles.min() < -14 and 14 < angles.max() <= 15
    assert -0.2 <= zooms.min() < -0.18 and 0.18 < zooms.max() <= 0.2


def test_another_contrast_comes_within_one_modality_only_and_has_a_random_index():
    found = draws(3000, contrast=0.25)
    within = [d for d in found if d["draw"].source == d["draw"].target]
    changed = [d for d in within if d["draw"].intensity is not None]
    assert 0.2 < len(changed) / len(within) < 0.3
    assert all(d["draw"].intensity is None for d in found if d not in within)
    assert {d["modality"] for d in changed} == {0, 1, 2, 3}
    assert all(d["modality"] == d["source_modality"] for d in changed)
    assert any(MODALITIES[d["modality"]] != d["draw"].target for d in changed)
    unchanged = [d for d in within if d["draw"].intensity is None]
    assert all(MODALITIES[d["modality"]] == d["draw"].target for d in unchanged)


def test_the_draw_repeats_with_the_seed():
    everything = {"axes": "thin", "phase": "random", "thickness": [0.6, 1.3], "profiles": ["box"], "flip": "all"}
    everything |= {"rotation": 15, "zoom": 0.2, "gamma": 0.4, "gain": 0.2, "bias": 0.2, "noise": 0.03, "contrast": 0.3}
    first, second, other = (
        [plain(d["draw"]) for d in draws(20, item(thin=ALL_THIN), seed=seed, **everything)] for seed in (7, 7, 8)
    )
    assert first == second and first != other


def test_intensities_are_within_their_ranges():
    found = [d["draw"].intensity for d in draws(gamma=0.3, bias=0.2, noise=0.05)]
    middle = np.array([d.curve[128] for d in found])
    gammas = np.log(np.log(middle) / math.log(128 / 255))
    assert -0.3 <= gammas.min() < -0.25 and 0.25 < gammas.max() <= 0.3 + 1e-9
    bias = np.array([d.bias for d in found])
    assert 0.19 < np.abs(bias).max() <= 0.2 and bias.shape[1] == 5
    noise = np.array([d.noise for d in found])
    assert 0.4 < (noise == 0).mean() < 0.6 and 0.045 < noise.max() <= 0.05


def test_a_subject_without_a_usable_modality_is_named_with_its_file_and_what_it_has():
    with pytest.raises(ValueError, match="'p07'.*p07.h5.*t1c .thin along .0.., swi.*targets are t1"):
        draws(1, item(modalities=("t1c", "swi")))
    with pytest.raises(ValueError, match="never equal"):
        draws(1, item(modalities=("t1",)), same_modality=False)
    with pytest.raises(ValueError, match="always equal"):
        draws(1, item(modalities=("t1", "t2")), targets=["t1"], sources=["t2"], cross_modality=False)
    with pytest.raises(ValueError, match=r"t1 \(thin along \[2\]\).*along \[0\] of the axes"):
        draws(1, item(modalities=("t1",), thin={"t1": (2,)}), factors=[4])


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
        ({"flip": True}, "flip is True; it must be one of 'none', 'left_right', 'all'"),
        ({"axes": "sagittal"}, "axes is 'sagittal'"),
        ({"thickness": [1.3, 0.6]}, r"thickness is \[1.3, 0.6\]"),
        ({"thickness": [1]}, r"thickness is \[1\]"),
        ({"thickness": 1.0}, r"thickness is 1.0; it must be \[lowest, highest\]"),
        ({"thickness": ["a", "b"]}, r"thickness is \['a', 'b'\]"),
        ({"profiles": ["hat"]}, "hat"),
        ({"stack_spacing": 0.5}, "stack_spacing.*0.5"),
        ({"rotation": 181}, "rotation is 181"),
        ({"zoom": 2}, "zoom is 2"),
        ({"gamma": -0.1}, "gamma is -0.1"),
        ({"gain": "1"}, "gain is '1'"),
        ({"bias": True}, "bias is True"),
        ({"noise": 0.6}, "noise is 0.6"),
        ({"contrast": 1.5}, r"contrast is 1.5; it must be in \[0, 1\]"),
    ],
)
def test_wrong_arguments_are_refused_by_name_and_value(arguments, message):
    with pytest.raises(ValueError, match=message):
        DrawSliceTaskd(**{"modalities": MODALITIES, "resolution": 32, **arguments})
