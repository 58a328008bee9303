"""Landmarks of a thin scan keep their position when it is made thick by a slice profile and restored."""

import importlib.util
from functools import cache
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from unicoal_components.geometry.orientation import from_stack, thick_affine, thin_affine, to_stack
from unicoal_components.slices.interpolation import cubic_interpolation
from unicoal_components.slices.slice_profile import thick_volume

SPEC = importlib.util.spec_from_file_location("landmarks", Path(__file__).with_name("landmarks.py"))
landmarks = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(landmarks)
REAL = Path(__file__).parents[1] / ".." / "shared" / "data" / "cstar_stroke"

SIGMA = 3.0  # mm
PLACES = 11.0 * np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) + [3.0, -20.0, 40.0]


@cache
def phantom():
    """Blobs on a grid with unequal spacing, turned against the world, with its axes to L, I and A."""
    shape, spacing = np.array([62, 58, 54]), np.array([0.9, 1.0, 1.1])
    affine = np.eye(4)
    turn = Rotation.from_euler("xyz", [8, -5, 11], degrees=True).as_matrix()
    affine[:3, :3] = turn @ np.array([[-1, 0, 0], [0, 0, 1], [0, -1, 0]]) @ np.diag(spacing)
    affine[:3, 3] = PLACES.mean(0) - affine[:3, :3] @ ((shape - 1) / 2)
    return landmarks.blobs(shape, affine, PLACES, SIGMA).astype(np.float32), affine


def make_thick(scan, plane, factor, profile, phase, thickness=None):
    stack = to_stack(*scan, plane)
    thick = thick_volume(stack.slices, factor, profile, phase=phase, thickness=thickness)
    affine = thick_affine(stack.affine, factor, phase)
    return from_stack(thick, affine, plane=stack.plane, orientation=stack.orientation)


def restore(thick, plane, factor):
    """Interpolate N thick slices to round(N k) thin ones on the grid of the bundle's outputs."""
    stack = to_stack(*thick, plane)
    slices = cubic_interpolation(stack.slices, factor, np.arange(round(len(stack.slices) * factor)))
    affine = thin_affine(stack.affine, factor)
    return from_stack(slices, affine, plane=stack.plane, orientation=stack.orientation)


@pytest.mark.parametrize("plane", ["axial", "coronal", "sagittal"])
@pytest.mark.parametrize("profile", ["gaussian", "box"])
@pytest.mark.parametrize(("factor", "phase"), [(2, 0), (2, 0.7), (2.5, 1.2), (4, 0), (4, 3.3)])
def test_blobs_stay_where_they_were_to_a_tenth_of_a_millimeter(plane, profile, factor, phase):
    restored = restore(make_thick(phantom(), plane, factor, profile, phase), plane, factor)
    assert np.abs(landmarks.centroids(restored, PLACES, radius=4 * SIGMA) - PLACES).max() < 0.1


@pytest.mark.parametrize("thickness", [1.2, 2.5, 5.5])
def test_blobs_stay_where_they_were_with_gaps_and_overlaps(thickness):
    restored = restore(make_thick(phantom(), "axial", 3.5, "box", 0.4, thickness), "axial", 3.5)
    assert np.abs(landmarks.centroids(restored, PLACES, radius=4 * SIGMA) - PLACES).max() < 0.1


def test_a_wrong_origin_would_be_seen():
    voxels, affine = restore(make_thick(phantom(), "axial", 4, "box", 0), "axial", 4)
    moved = affine.copy()
    moved[:3, 3] += [0.2, -0.3, 0.5]
    found = landmarks.centroids((voxels, moved), PLACES, radius=4 * SIGMA) - PLACES
    np.testing.assert_allclose(found, np.tile([0.2, -0.3, 0.5], (4, 1)), atol=0.1)


def test_a_known_shift_is_measured_also_in_another_intensity_scale():
    voxels, affine = phantom()
    moved = affine.copy()
    moved[:3, 3] += [0.2, -0.3, 0.5]
    found = landmarks.landmark_shift((40 * voxels + 7, moved), (voxels, affine), PLACES)
    np.testing.assert_allclose(found, np.tile([0.2, -0.3, 0.5], (4, 1)), atol=1e-3)


def real_scan(name):
    if not (REAL / f"{name}.nii.gz").is_file():
        pytest.skip(f"the thin scans of one person are not there: {REAL}")
    image = nib.load(REAL / f"{name}.nii.gz")
    return image.get_fdata(dtype=np.float32), image.affine


@pytest.mark.parametrize("name", ["T1", "FLAIR"])
def test_landmarks_of_a_real_brain_stay_where_they_were(name):
    """On average; single ones scatter about that at factor 4, where the interpolation lacks what thick slices lost."""
    scan = real_scan(name)
    places = landmarks.find_landmarks(scan, count=24, distance=12)
    assert len(places) == 24
    for plane, factor, profile, phase in (("axial", 2.5, "box", 1.2), ("coronal", 4, "gaussian", 2.6)):
        restored = restore(make_thick(scan, plane, factor, profile, phase), plane, factor)
        shift = landmarks.landmark_shift(restored, scan, places)
        assert np.abs(shift.mean(0)).max() < 0.1
        assert np.median(np.abs(shift), axis=0).max() < (0.1 if factor < 4 else 0.2)
