import math

import numpy as np
import pytest

from unicoal_components.slices.slice_group import slice_centers
from unicoal_components.slices.slice_profile import (
    PROFILES,
    profile_weights,
    thick_slices,
    thick_volume,
)


def anchor_of(thin_index, factor):
    """The center of the last thick slice that is not above a thin slice, where the first is at 0."""
    return round(math.floor(thin_index / factor + 1e-6) * factor, 8)


@pytest.fixture
def volume():
    return np.random.default_rng(0).uniform(-1, 1, (23, 5, 7)).astype(np.float32)


class Recorder:
    """A stack that records which slices were read."""

    def __init__(self, volume):
        self.volume, self.shape, self.rows = volume, volume.shape, []

    def __getitem__(self, rows):
        self.rows.extend(range(rows.start, rows.stop))
        return self.volume[rows]


@pytest.mark.parametrize("factor", [2, 3, 5])
def test_dropping_at_an_integer_factor_is_plain_indexing(volume, factor):
    np.testing.assert_array_equal(thick_volume(volume, factor, "drop"), volume[::factor])


def test_dropping_between_two_slices_interpolates_linearly(volume):
    np.testing.assert_allclose(
        thick_slices(volume, [7.25], 2.5, "drop")[0], 0.75 * volume[7] + 0.25 * volume[8], atol=1e-6
    )


@pytest.mark.parametrize("profile", PROFILES)
def test_a_factor_of_one_changes_nothing(volume, profile):
    np.testing.assert_array_equal(thick_volume(volume, 1, profile), volume)


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("factor", [1, 1.5, 2, 2.5, 4, 6.7])
def test_single_slices_agree_with_the_volume_to_the_bit(volume, profile, factor):
    stack = thick_volume(volume, factor, profile)
    for b in range(len(volume)):
        for center in slice_centers(anchor_of(b, factor), factor):
            n = round(center / factor)
            expected = stack[n] if 0 <= n < len(stack) else np.full(volume.shape[1:], -1)
            np.testing.assert_array_equal(thick_slices(Recorder(volume), [center], factor, profile)[0], expected)


@pytest.mark.parametrize("factor", [4, 8, 10.0])
def test_the_full_width_at_half_maximum_is_the_factor(factor):
    start, weights = profile_weights(50, factor, 101, "gaussian")
    at = {start + i: w / weights.max() for i, w in enumerate(weights)}
    assert at[50 + factor / 2] == pytest.approx(0.5) and at[50 - factor / 2] == pytest.approx(0.5)
    assert min(at) == 50 - 1.5 * factor and max(at) == 50 + 1.5 * factor


@pytest.mark.parametrize("center", [7, 7.3, 10.5])
@pytest.mark.parametrize("thickness", [1, 1.7, 2, 4, 5.5])
def test_a_box_weighs_thin_slices_by_how_much_of_them_it_covers(center, thickness):
    start, weights = profile_weights(center, thickness, 23, "box")
    fine = np.linspace(center - thickness / 2, center + thickness / 2, 200_001)
    covered = np.bincount(np.round(fine[1:-1]).astype(int), minlength=23) / len(fine)
    found = np.zeros(23)
    found[start : start + len(weights)] = weights
    np.testing.assert_allclose(found, covered, atol=1e-4)
    assert (weights > 0).all() and abs(found @ np.arange(23) - center) <= 1 / (8 * thickness) + 1e-9


def test_a_box_of_one_thin_slice_is_the_linear_interpolation_and_thinner_ones_too():
    for center, thickness in ((7, 1), (7.25, 1), (7.25, 0.4), (7.25, 1 + 1e-9)):
        np.testing.assert_allclose(
            profile_weights(center, thickness, 23, "box")[1], profile_weights(center, 1, 23, "drop")[1], atol=1e-6
        )


def test_a_profile_that_reaches_outside_is_cut_off():
    start, weights = profile_weights(0.5, 4, 23, "box")  # from -1.5 to 2.5, of which -0.5 to 2.5 is inside
    assert start == 0 and weights == pytest.approx([1 / 3, 1 / 3, 1 / 3])


def test_a_gap_makes_slices_thinner_and_an_overlap_thicker_without_moving_them(volume):
    assert len(profile_weights(10, 2, 23, "box")[1]) == 3 and len(profile_weights(10, 6, 23, "box")[1]) == 7
    thick = thick_volume(volume, 4, "box", thickness=2)
    expected = [volume[n - 1 : n + 2].T @ [0.25, 0.5, 0.25] for n in (4, 8, 12, 16, 20)]
    np.testing.assert_allclose(thick[1:], [image.T for image in expected], atol=1e-6)
    assert not np.allclose(thick_volume(volume, 4, "gaussian", thickness=3), thick_volume(volume, 4, "gaussian"))


@pytest.mark.parametrize("profile", PROFILES)
def test_a_phase_moves_all_slices(volume, profile):
    thick = thick_volume(volume, 2.5, profile, phase=1.3)
    centers = 1.3 + 2.5 * np.arange(9)
    assert len(thick) == 9 and centers[-1] < 22 < centers[-1] + 2.5
    np.testing.assert_array_equal(thick, thick_slices(volume, centers.round(8).tolist(), 2.5, profile))


@pytest.mark.parametrize(("phase", "depth"), [(-0.1, 23), (2.5, 23), (2.2, 3), (float("nan"), 23)])
def test_a_phase_that_leaves_a_slice_out_is_refused(volume, phase, depth):
    with pytest.raises(ValueError, match=f"phase is {phase}"):
        thick_volume(volume[:depth], 2.5, "box", phase=phase)


@pytest.mark.parametrize("thickness", [0, -1, float("inf"), True, "4"])
def test_a_thickness_that_is_none_is_refused(volume, thickness):
    with pytest.raises(ValueError, match=f"thickness is {thickness!r}"):
        thick_slices(volume, [4], thickness, "box")[0]


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("center", [0, 1, 10.5, 21.75, 22])
def test_weights_sum_to_one_also_at_the_ends(profile, center):
    start, weights = profile_weights(center, 3.5, 23, profile)
    assert weights.sum() == pytest.approx(1) and start >= 0 and start + len(weights) <= 23


@pytest.mark.parametrize("profile", PROFILES)
def test_a_constant_volume_stays_constant_and_a_ramp_keeps_its_slope_inside(profile):
    ramp = np.linspace(-1, 1, 41, dtype=np.float32).reshape(41, 1, 1)
    np.testing.assert_allclose(thick_volume(np.full((9, 2, 2), 0.3), 2.5, profile), 0.3, atol=1e-6)
    np.testing.assert_allclose(thick_slices(ramp, [20.5], 4, profile)[0], ramp[20:22].mean(0), atol=1e-6)


@pytest.mark.parametrize("center", [-1e-3, -4, 22.001, 30])
def test_slices_outside_the_volume_are_blank(volume, center):
    np.testing.assert_array_equal(thick_slices(volume, [center], 4, "gaussian")[0], np.full((5, 7), -1))


def test_only_the_slices_needed_are_read_and_each_once(volume):
    recorder = Recorder(volume)
    thick_slices(recorder, [4, 10, 16, 22], 6, "drop")
    assert recorder.rows == [4, 10, 16, 22]
    recorder = Recorder(volume)
    thick_slices(recorder, [8, 10, 12, 14], 2, "gaussian")
    assert recorder.rows == list(range(5, 18))


def test_an_unknown_profile_is_refused_and_the_known_ones_are_named(volume):
    with pytest.raises(ValueError, match="'hat'.*'drop', 'gaussian', 'box'"):
        thick_volume(volume, 2, "hat")
