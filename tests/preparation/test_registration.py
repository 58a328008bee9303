from pathlib import Path

import nibabel
import numpy as np
import pytest
from scipy import ndimage
from scipy.spatial.transform import Rotation

from unicoal_components.preparation.registration import _check_plausible, register_rigid

LESJAK = Path(__file__).parents[2] / ".." / "shared" / "data" / "lesjak_ms_longitudinal"
FIXED_SHAPE = (48, 56, 40)
FIXED_AFFINE = np.array([[-2.0, 0, 0, 50], [0, -2.0, 0, 40], [0, 0, 2.0, -30], [0, 0, 0, 1]])
MOVING_SHAPE = (96, 56, 20)
MOVING_AFFINE = np.array([[0, 2.0, 0, -52], [1.0, 0, 0, -60], [0, 0, 4.0, -35], [0, 0, 0, 1]])


def rigid(degrees, shift, center=(3.0, -15.0, 9.0), axis=(1.0, 2.0, -1.0)):
    """Return the map that turns about an axis through `center`, then shifts by mm."""
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_rotvec(np.deg2rad(degrees) * np.array(axis) / np.linalg.norm(axis)).as_matrix()
    matrix[:3, 3] = center - matrix[:3, :3] @ center + np.array(shift)
    return matrix


def apply(matrix, points):
    return points @ matrix[:3, :3].T + matrix[:3, 3]


def world(shape, affine):
    return apply(affine, np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1))


def head(points, contrast=(300.0, 100.0, 180.0, 40.0)):
    """Return intensities of a head at world points: ellipsoids (scalp, brain, ventricles, nuclei) and gyri."""
    x, y, z = np.moveaxis(points - (3.0, -15.0, 9.0), -1, 0)
    scalp, brain, fluid, noise = contrast
    bowl = (x / 36) ** 2 + (y / 44) ** 2 + (z / 33) ** 2
    image = np.where(bowl < 1, scalp, 0.0)
    gyri = 1 + 0.25 * np.sin(x / 3.1) * np.cos(y / 3.7 + 0.5) * np.sin(z / 4.3 + 1)
    image = np.where(bowl < 0.75, brain * gyri, image)
    image = np.where(((x - 6) / 5) ** 2 + ((y + 4) / 14) ** 2 + ((z - 3) / 9) ** 2 < 1, fluid, image)
    image = np.where(((x + 9) / 7) ** 2 + ((y - 8) / 8) ** 2 + (z / 6) ** 2 < 1, 0.5 * (fluid + brain), image)
    return image + np.abs(np.random.default_rng(1).normal(0, 0.05 * noise, image.shape))


def scans(truth, contrast=(300.0, 100.0, 180.0, 40.0)):
    """Return a fixed scan and a moving one with anisotropic voxels; `truth` maps world points of fixed to moving."""
    fixed = head(world(FIXED_SHAPE, FIXED_AFFINE))
    offsets = [MOVING_AFFINE[:3, 2] * part for part in (-0.375, -0.125, 0.125, 0.375)]  # slices are thick, not points
    points = world(MOVING_SHAPE, MOVING_AFFINE)
    moving = np.mean([head(apply(np.linalg.inv(truth), points + offset), contrast) for offset in offsets], axis=0)
    return {"fixed": fixed, "fixed_affine": FIXED_AFFINE, "moving": moving, "moving_affine": MOVING_AFFINE}


def mean_error(matrix, truth, points):
    return np.linalg.norm(apply(matrix, points) - apply(truth, points), axis=-1).mean()


BRAIN = world(FIXED_SHAPE, FIXED_AFFINE)[head(world(FIXED_SHAPE, FIXED_AFFINE)) > 60]


SAME, INVERTED = (300.0, 100.0, 180.0, 40.0), (60.0, 220.0, 90.0, 40.0)


@pytest.mark.parametrize(
    ("degrees", "shift", "contrast"),
    [(0, (0, 0, 0), INVERTED), (8, (7, -9, 4), SAME), (8, (7, -9, 4), INVERTED)],
    ids=["still_inverted", "moved_same", "moved_inverted"],
)
def test_a_known_motion_is_recovered_whatever_the_contrast(degrees, shift, contrast):
    truth = rigid(degrees, shift)
    result = register_rigid(**scans(truth, contrast))
    assert mean_error(result.matrix, truth, BRAIN) < 0.3
    np.testing.assert_allclose(result.matrix[:3, :3] @ result.matrix[:3, :3].T, np.eye(3), atol=1e-9)
    assert result.metric > 0.2 and result.overlap > 0.9


def test_the_seed_decides_the_result_bit_for_bit_whatever_the_threads():
    import itk

    both = scans(rigid(3, (2, 1, -1)))
    first = register_rigid(**both, seed=3)
    threads = itk.MultiThreaderBase.GetGlobalDefaultNumberOfThreads()
    itk.MultiThreaderBase.SetGlobalDefaultNumberOfThreads(3)
    try:
        again = register_rigid(**both, seed=3)
    finally:
        itk.MultiThreaderBase.SetGlobalDefaultNumberOfThreads(threads)
    np.testing.assert_array_equal(again.matrix, first.matrix)
    assert again.metric == first.metric
    assert not np.array_equal(register_rigid(**both, seed=4).matrix, first.matrix)


def test_scans_far_apart_start_from_their_centers_of_mass():
    truth = rigid(4, (0, 180, -40))
    both = scans(rigid(0, (0, 0, 0)))
    both["moving_affine"] = truth @ MOVING_AFFINE
    result = register_rigid(**both)
    assert mean_error(result.matrix, truth, BRAIN) < 0.3


@pytest.mark.parametrize(
    ("moved", "overlap"), [(rigid(50, (0, 0, 0)), 1.0), (rigid(0, (0, 90, 90)), 1.0), (np.eye(4), 0.2)]
)
def test_an_implausible_result_is_an_error(moved, overlap):
    _check_plausible(rigid(40, (0, 50, 50)), np.array((3.0, -15.0, 9.0)), 0.3)
    with pytest.raises(ValueError, match=rf"not plausible.* 100 and 45.*overlap {overlap:.0%} .*25%"):
        _check_plausible(moved, np.array((3.0, -15.0, 9.0)), overlap)


def test_bad_input_is_an_error():
    both = scans(np.eye(4))
    with pytest.raises(ValueError, match="seed is -1"):
        register_rigid(**both, seed=-1)
    with pytest.raises(ValueError, match="no foreground"):
        register_rigid(**{**both, "moving": np.zeros(MOVING_SHAPE)})
    with pytest.raises(ValueError, match=r"\[48, 56, 40\] and \[3, 3, 3\] voxels cannot be registered"):
        register_rigid(**{**both, "moving": both["moving"][30:33, 20:23, 9:12]})


def insight_transform(path):
    """Read an Insight transform file (LPS, with center) as a matrix for RAS+ points."""
    fields = dict(line.split(": ") for line in path.read_text().splitlines() if ": " in line)
    values = np.array(fields["Parameters"].split(), dtype=float)
    center = np.array(fields["FixedParameters"].split(), dtype=float)
    matrix = np.eye(4)
    matrix[:3, :3] = values[:9].reshape(3, 3)
    matrix[:3, 3] = values[9:] + center - matrix[:3, :3] @ center
    lps = np.diag([-1.0, -1.0, 1.0, 1.0])
    return lps @ matrix @ lps


def load(name):
    image = nibabel.load(LESJAK / name)
    return image.get_fdata(dtype=np.float32), image.affine


def edge_agreement(fixed, points, voxels, moving, affine, matrix):
    """Return the correlation of in-plane edge strengths at points of the brain, independent of mutual information."""
    edges = [ndimage.gaussian_gradient_magnitude(scan, (1.5, 1.5, 0.01)) for scan in (fixed, moving)]
    indices = apply(np.linalg.inv(affine) @ matrix, points).T
    return np.corrcoef(edges[0][tuple(voxels.T)], ndimage.map_coordinates(edges[1], indices, order=1, mode="nearest"))[
        0, 1
    ]


@pytest.mark.slow
@pytest.mark.skipif(not LESJAK.is_dir(), reason="the scans of ../shared/data are not here")
@pytest.mark.parametrize("modality", ["T1W", "T2W"])
def test_thick_scans_of_a_subject_are_registered_to_a_millimeter_in_the_brain(modality):
    fixed, fixed_affine = load("raw/p01_s1_FLAIR.nii.gz")
    moving, affine = load(f"raw/p01_s1_{modality}.nii.gz")
    voxels = np.argwhere(load("coreg_FLAIRspace/p01_s1_brainmask.nii.gz")[0] > 0)[::11]
    brain = apply(fixed_affine, voxels)
    truth = insight_transform(LESJAK / "raw" / f"p01_s1_{modality}_intrastudy_to_FLAIR.txt")
    agreement = [
        edge_agreement(fixed, brain, voxels, moving, affine, matrix) for matrix in (truth, np.linalg.inv(truth))
    ]
    assert agreement[0] > agreement[1]  # the files map points of the FLAIR to points of the other scan
    motion = rigid(8, (9, -7, 4), brain.mean(0))
    result = register_rigid(fixed=fixed, fixed_affine=fixed_affine, moving=moving, moving_affine=motion @ affine)
    assert mean_error(result.matrix, motion @ truth, brain) < 1.0
