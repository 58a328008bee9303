from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from unicoal_components.preparation.options import PreparationSteps
from unicoal_components.preparation.pipeline import apply_steps, correct_shading, crop_scans
from unicoal_components.scans.scan import Scan

AFFINE = np.array([[-1.5, 0, 0, 30], [0, -1.5, 0, 33], [0, 0, 3.0, -20], [0, 0, 0, 1]])


def head(seed=0, shape=(14, 44, 40)):
    """Return a stripped brain `(D, H, W)`: an ellipsoid of smooth structure on zeros."""
    structure = gaussian_filter(np.random.default_rng(seed).normal(size=shape), 2)
    grid = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
    inside = sum(axis**2 for axis in grid) < 0.6
    return np.where(inside, 100 + 900 * structure, 0).clip(0).astype(np.float32)


def scan(stack=None, affine=AFFINE, name="t1.nii", orientation="LPS"):
    return Scan(Path(name), head() if stack is None else stack, affine, orientation)


def moved(by):
    affine = AFFINE.copy()
    affine[:3, 3] += by
    return affine


def test_without_options_scans_stay_as_they_are():
    scans = {"t1": scan(orientation="RAS"), "t2": scan(head(1))}
    results, records = apply_steps(scans, PreparationSteps())
    assert results == scans
    assert records["t1"] == [{"step": "reorient", "from": "RAS", "to": "LPS"}]


def test_without_options_different_grids_are_an_error_with_both_remedies():
    scans = {"t1": scan(), "t2": scan(affine=moved([1, 0, 0]), name="t2.nii")}
    with pytest.raises(ValueError, match=r"'t1\.nii' and 't2\.nii' .*different grids.*--register_to.*--spacing"):
        apply_steps(scans, PreparationSteps())


def test_spacing_brings_all_to_the_first_in_world_coordinates():
    shifted = np.roll(head(), 4, axis=2)  # 4 voxels along W, whose axis points to -x
    scans = {"t1": scan(), "t2": scan(shifted, moved([6.0, 0, 0]), "t2.nii")}
    results, records = apply_steps(scans, PreparationSteps(spacing=2.0))
    one, other = results["t1"], results["t2"]
    assert one.stack.shape == other.stack.shape
    np.testing.assert_allclose(one.spacing, 2.0)
    np.testing.assert_array_equal(one.affine, other.affine)
    inner = (one.stack != 0) & (other.stack != 0)
    assert inner.sum() > 0.9 * (one.stack != 0).sum()
    assert np.quantile(np.abs(one.stack - other.stack)[inner], 0.99) < 1  # all except what np.roll wrapped around
    assert [record["step"] for record in records["t1"]] == ["reorient", "resample"]
    assert [record["step"] for record in records["t2"]] == ["reorient", "place", "resample"]
    assert "lie still relative to t1" in records["t2"][1]["by"]


def test_resampling_keeps_background_at_0_and_intensities_within_their_range():
    stack = np.where(head() != 0, 500.0, 0).astype(np.float32)
    stack[head() > 120] = 900
    result = apply_steps({"t1": scan(stack)}, PreparationSteps(spacing=1.0))[0]["t1"]
    assert result.stack.min() == 0
    assert result.stack.max() == 900
    assert (result.stack[0] == 0).all()
    assert 0.8 < (result.stack != 0).sum() / ((stack != 0).sum() * 1.5 * 1.5 * 3) < 1.2


def test_registration_finds_a_motion_and_is_recorded():
    scans = {"t1": scan(), "t2": scan(1000 - head(), moved([3.0, -2.0, 0]), "t2.nii")}
    scans["t2"].stack[head() == 0] = 0
    results, records = apply_steps(scans, PreparationSteps(register_to="t1"))
    assert results["t1"] is scans["t1"]
    np.testing.assert_array_equal(results["t2"].affine, AFFINE)
    record = next(record for record in records["t2"] if record["step"] == "register")
    assert record["to"] == "t1"
    assert np.array(record["matrix"])[:3, 3] == pytest.approx([3.0, -2.0, 0], abs=0.7)
    assert record["translation_mm"] == pytest.approx(np.hypot(3, 2), abs=0.5)
    assert record["rotation_deg"] < 2
    inner = (results["t2"].stack != 0) & (head() != 0)
    assert np.corrcoef(results["t2"].stack[inner], head()[inner])[0, 1] < -0.9


def test_a_large_motion_is_a_warning():
    scans = {"t1": scan(), "t2": scan(affine=moved([34.0, 0, 0]), name="t2.nii")}
    results, _ = apply_steps(scans, PreparationSteps(register_to="t1"))
    assert "registration moves it by 3" in results["t2"].warnings[0]


def test_a_field_of_view_that_misses_much_is_a_warning():
    half = np.ascontiguousarray(head()[:8])
    results, _ = apply_steps({"t1": scan(), "t2": scan(half)}, PreparationSteps(spacing=2.0))
    assert results["t1"].warnings == ()
    assert "% of the reference's foreground only" in results["t2"].warnings[0]


def test_a_subject_without_the_reference_is_an_error():
    with pytest.raises(ValueError, match=r"no scan of flair.*\['t1'\].*--register_to"):
        apply_steps({"t1": scan()}, PreparationSteps(register_to="flair"))


def test_shading_is_corrected_and_background_stays_0():
    stack = np.where(head() != 0, 500.0, 0).astype(np.float32)
    shaded = stack * np.linspace(0.7, 1.3, 40, dtype=np.float32)
    corrected = correct_shading(scan(shaded)).stack
    inside = stack != 0
    assert (corrected[~inside] == 0).all()
    assert np.std(corrected[inside]) / corrected[inside].mean() < np.std(shaded[inside]) / shaded[inside].mean()


def test_crop_to_the_foreground_keeps_world_coordinates():
    scans = {"t1": scan(), "t2": scan(head(1))}
    results, records = apply_steps(scans, PreparationSteps(crop="foreground", margin=3))
    result = results["t1"]
    assert result.stack.shape < head().shape
    assert result.stack.sum() == pytest.approx(head().sum())
    assert results["t2"].stack.shape == result.stack.shape
    after = np.argwhere(result.volume == result.volume.max())[0]
    before = np.argwhere(scans["t1"].volume == result.volume.max())[0]
    np.testing.assert_allclose(result.affine @ [*after, 1], AFFINE @ [*before, 1])
    box = records["t1"][-1]["box"]
    assert [stop - start for start, stop in box] == list(result.volume.shape)


def test_crop_to_the_brain_clears_what_the_mask_leaves_out():
    mask = np.zeros((28, 44, 40), np.float32)
    mask[8:18, 12:30, 10:30] = 1
    finer = AFFINE @ np.diag([1, 1, 0.5, 1])
    finer[2, 3] -= 0.75
    results, _ = apply_steps({"t1": scan()}, PreparationSteps(crop="brain", margin=6), scan(mask, finer, "mask.nii"))
    expected = head().copy()
    outside = np.ones_like(expected, bool)
    outside[4:9, 12:30, 10:30] = False
    expected[outside] = 0
    np.testing.assert_array_equal(results["t1"].stack, expected[2:11, 8:34, 6:34])


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (None, "--crop brain needs .*--mask"),
        (scan(affine=moved([500, 0, 0]), name="mask.nii"), r"mask 'mask\.nii' .*'t1\.nii'.*--mask"),
    ],
)
def test_a_missing_or_misplaced_mask_is_named(mask, message):
    with pytest.raises(ValueError, match=message):
        apply_steps({"t1": scan()}, PreparationSteps(crop="brain"), mask)


def test_an_empty_foreground_is_named():
    with pytest.raises(ValueError, match=r"scan 't1\.nii'.*no foreground"):
        crop_scans({"t1": scan(np.zeros((4, 5, 6), np.float32))}, "t1", PreparationSteps(crop="foreground"), None)
