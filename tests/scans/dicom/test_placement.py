import numpy as np
import pytest

from unicoal_components.scans.dicom.placement import place_slices, plane_of
from unicoal_components.scans.dicom.series import choose_series
from unicoal_components.scans.dicom.volume import read_series


@pytest.fixture
def volume(dicom_series):
    return read_series(choose_series(dicom_series(4)))


def test_the_grid_of_the_source_is_placed_on_its_slices(volume):
    assert plane_of(volume.affine, volume.voxels.shape, volume.source).shared
    placed = place_slices(volume.affine, volume.voxels.shape, volume.source, shared=True)
    assert [(one.same, one.nearest) for one in placed] == [(z, (z,)) for z in range(4)]


def test_thin_slices_are_placed_between_their_neighbors(volume):
    affine = volume.affine.copy()
    affine[:3, 2] /= 2
    placed = place_slices(affine, (10 + 2, 10, 8), volume.source, shared=True)
    assert [one.same for one in placed] == [0, None, 1, None, 2, None, 3, None]
    assert [one.nearest for one in placed] == [(0,), (0, 1), (1,), (1, 2), (2,), (2, 3), (3,), (3,)]
    first, second = (np.asarray(header.ImagePositionPatient, float) for header in volume.source[:2])
    np.testing.assert_allclose(placed[1].position, (first + second) / 2, atol=1e-5)


def test_a_reversed_stack_is_placed_as_well(volume):
    affine = volume.affine @ np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, -1, 3], [0, 0, 0, 1.0]])
    assert plane_of(affine, volume.voxels.shape, volume.source).shared
    placed = place_slices(affine, volume.voxels.shape, volume.source, shared=True)
    assert [one.same for one in placed] == [3, 2, 1, 0]


@pytest.mark.parametrize("what", ["matrix", "flip", "spacing", "shift", "turn"])
def test_another_plane_crosses_all_slices_of_the_source(volume, what):
    affine, shape = volume.affine.copy(), list(volume.voxels.shape)
    if what == "matrix":
        shape[0] += 1
    elif what == "flip":
        affine[:3, 0] *= -1
    elif what == "spacing":
        affine[:3, 1] *= 1.02
    elif what == "shift":
        affine[:3, 3] += 0.3 * affine[:3, 0]
    else:
        affine, shape = affine[:, [1, 2, 0, 3]], [shape[1], shape[2], shape[0]]
    plane = plane_of(affine, shape, volume.source)
    assert not plane.shared
    lps = np.diag([-1, -1, 1]) @ affine[:3]
    np.testing.assert_allclose(plane.row * plane.spacing[1], lps[:, 0], atol=1e-9)
    np.testing.assert_allclose(plane.column * plane.spacing[0], lps[:, 1], atol=1e-9)
    placed = place_slices(affine, shape, volume.source, shared=False)
    assert len(placed) == shape[2] and all(one.same is None and one.nearest == (0, 1, 2, 3) for one in placed)
    np.testing.assert_allclose(placed[-1].position, lps[:, 3] + (shape[2] - 1) * lps[:, 2], atol=1e-9)


def test_axes_that_are_not_at_right_angles_are_refused(volume):
    affine = volume.affine.copy()
    affine[:3, 2] += 0.1 * affine[:3, 0]
    with pytest.raises(ValueError, match="not at right angles.*--output_format nifti"):
        plane_of(affine, volume.voxels.shape, volume.source)
