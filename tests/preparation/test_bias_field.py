from pathlib import Path

import nibabel
import numpy as np
import pytest

from unicoal_components.preparation.bias_field import correct_bias_field

CSTAR = Path(__file__).parents[2] / ".." / "shared" / "data" / "cstar_stroke"
SHAPE = (50, 60, 30)
AFFINE = np.diag([-3.0, 3.0, 5.0, 1.0])
AXES = np.meshgrid(*(np.linspace(-1, 1, n) for n in SHAPE), indexing="ij")
BIAS = np.exp(0.35 * AXES[0] - 0.3 * AXES[1] ** 2 + 0.2 * AXES[0] * AXES[2])
BRAIN = sum(axis**2 for axis in AXES) < 0.85**2
WHITE = sum(axis**2 for axis in AXES) < 0.6**2


def scan(bias=BIAS):
    """Return a stripped brain of gray around white matter, with 2 % noise."""
    tissue = np.where(WHITE, 200.0, np.where(BRAIN, 120.0, 0)) * bias
    return (tissue * (1 + 0.02 * np.random.default_rng(0).standard_normal(SHAPE))).astype(np.float32)


def variation(values):
    return values.std() / values.mean()


@pytest.fixture(scope="module")
def corrected():
    """Return a scan, its correction, and the array given to the correction."""
    before = scan()
    given = before.copy()
    return before, correct_bias_field(given, AFFINE), given


def test_a_smooth_field_is_removed_up_to_a_constant(corrected):
    before, after, _ = corrected
    assert variation(after[WHITE]) < variation(before[WHITE]) / 4
    remaining = after[BRAIN] / scan(bias=1.0)[BRAIN]
    assert variation(remaining) < variation(BIAS[BRAIN]) / 4


def test_mean_zeros_type_and_input_are_kept(corrected):
    before, after, given = corrected
    np.testing.assert_array_equal(given, before)
    np.testing.assert_array_equal(after == 0, before == 0)
    assert after.dtype == np.float32 and after.shape == SHAPE
    assert after[BRAIN].mean() == pytest.approx(before[BRAIN].mean(), rel=1e-4)


def test_a_scan_without_a_field_stays_nearly_as_it_is():
    before = scan(bias=1.0)
    after = correct_bias_field(before, AFFINE)
    assert variation(after[WHITE] / before[WHITE]) < 0.02


def test_the_result_does_not_depend_on_threads_or_on_the_unit():
    import itk

    first = correct_bias_field(scan(), AFFINE, iterations=(5, 5))
    threads = itk.MultiThreaderBase.GetGlobalDefaultNumberOfThreads()
    itk.MultiThreaderBase.SetGlobalDefaultNumberOfThreads(3)
    try:
        again = correct_bias_field(scan(), AFFINE, iterations=(5, 5))
    finally:
        itk.MultiThreaderBase.SetGlobalDefaultNumberOfThreads(threads)
    np.testing.assert_array_equal(again, first)
    scaled = correct_bias_field(scan() * 64, AFFINE, iterations=(5, 5))
    np.testing.assert_allclose(scaled[BRAIN] / 64, first[BRAIN], rtol=0.02)


def test_thin_slabs_work():
    after = correct_bias_field(scan()[:, :, 14:18], AFFINE, iterations=(5, 5))
    assert np.isfinite(after).all()


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match=r"mask of shape \(50, 60, 30\) has no voxel above 0"):
        correct_bias_field(scan(), AFFINE, mask=np.zeros(SHAPE))
    with pytest.raises(ValueError, match=r"mask of shape \(2, 2, 2\)"):
        correct_bias_field(scan(), AFFINE, mask=np.ones((2, 2, 2)))
    with pytest.raises(ValueError, match="spacing is 0"):
        correct_bias_field(scan(), AFFINE, spacing=0)
    with pytest.raises(ValueError, match="no foreground"):
        correct_bias_field(np.zeros(SHAPE), AFFINE)


@pytest.mark.slow
@pytest.mark.skipif(not CSTAR.is_dir(), reason="the scans of ../shared/data are not here")
@pytest.mark.parametrize(("name", "factor"), [("T1", 3), ("FLAIR", 3)])
def test_the_octants_of_a_real_brain_become_similar(name, factor):
    image = nibabel.load(CSTAR / f"{name}.nii.gz")
    before = image.get_fdata(dtype=np.float32)
    after = correct_bias_field(before, image.affine)
    assert octant_variation(after, before > 0) < octant_variation(before, before > 0) / factor


def octant_variation(volume, mask):
    """Return the variation of the upper quartile between the eight octants of a brain."""
    center = np.argwhere(mask).mean(0)
    side = (np.indices(mask.shape) > center[:, None, None, None]).astype(int)
    octant = side[0] * 4 + side[1] * 2 + side[2]
    return variation(np.array([np.percentile(volume[mask & (octant == index)], 75) for index in range(8)]))
