import numpy as np
import pytest
from pydicom import Dataset

from unicoal_components.scans.dicom.geometry import SlicePlane, slice_plane, stack_geometry

TURN = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))[0]
NORMAL = np.cross(TURN[0], TURN[1])


def planes(distances, shear=(0, 0)):
    side = shear[0] * TURN[0] + shear[1] * TURN[1]
    return [
        SlicePlane(np.array([5, -7, 9]) + d * (NORMAL + side), TURN[0], TURN[1], np.array([0.7, 0.9]))
        for d in distances
    ]


def test_the_affine_follows_the_equation_of_the_standard():
    given = planes([8.0, 0.0, 4.0])
    order, affine, _ = stack_geometry(given, name="s")
    assert order == [1, 2, 0]
    for z, index in enumerate(order):
        plane, (column, row) = given[index], (3, 5)
        lps = plane.position + plane.row * 0.7 * column + plane.column * 0.9 * row  # PS3.3 C.7.6.2.1.1
        ras = affine @ [column, row, z, 1]
        np.testing.assert_allclose(ras[:3], lps * [-1, -1, 1], atol=1e-9)


def test_the_axes_make_a_right_handed_system_in_patient_space():
    affine = stack_geometry(planes([0, 1, 2]), name="s").affine
    assert np.linalg.det(affine[:3, :3]) > 0


@pytest.mark.parametrize("distances", [[0, 1, 2, 4, 5], [0, 3, 4, 5, 6]])
def test_missing_slices_are_named_with_their_position(distances):
    first = TURN.T[0] @ np.zeros(3) + np.array([5, -7, 9]) @ NORMAL
    gone = [d for d in range(7) if d not in distances and d < max(distances)]
    with pytest.raises(ValueError, match=f"series s lacks {len(gone)} slices at") as error:
        stack_geometry(planes(distances), name="s")
    for d in gone:
        assert f"{first + d:.2f}" in str(error.value)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (planes([0]), "single slice"),
        (planes([0, 1, 1, 2]), "1 slices at the position of another, such as slice 1 and slice 2"),
        (planes([0, 1, 2.4, 3.4]), "varying distances.*1.000 to 1.400"),
        (planes([0, 1, 2], shear=(0.2, 0)), "sheared.*20.0 %"),
        (
            [*planes([0, 1]), planes([2])[0]._replace(position=planes([2])[0].position + 0.03 * TURN[0])],
            "sheared|one line",
        ),
        ([*planes([0, 1]), planes([2])[0]._replace(row=-TURN[0])], "ImageOrientationPatient: slice 2 differs"),
        ([*planes([0, 1]), planes([2])[0]._replace(spacing=np.array([0.7, 0.8]))], "PixelSpacing: slice 2"),
    ],
)
def test_an_irregular_stack_is_refused(given, message):
    with pytest.raises(ValueError, match=f"series s.*({message})"):
        stack_geometry(given, name="s")


def test_jitter_of_a_hundredth_of_a_millimeter_is_no_error():
    given = [
        plane._replace(position=plane.position + 0.004 * (-1) ** i * TURN[0])
        for i, plane in enumerate(planes(range(5)))
    ]
    affine = stack_geometry(given, name="s").affine
    there = affine[:3, 3] + np.arange(5)[:, None] * affine[:3, 2]
    assert np.abs(there * [-1, -1, 1] - [plane.position for plane in given]).max() < 0.01


@pytest.mark.parametrize("spacing", [1.25, 3.3, 5.0])
def test_positions_rounded_to_a_tenth_of_a_millimeter_are_a_regular_stack_with_a_warning(spacing):
    exact = planes(np.arange(20) * spacing)
    given = [plane._replace(position=np.round(plane.position, 1)) for plane in exact]
    order, affine, warnings = stack_geometry(given, name="s")
    there = affine[:3, 3] + np.arange(20)[:, None] * affine[:3, 2]
    off = np.linalg.norm(there * [-1, -1, 1] - [plane.position for plane in exact], axis=1)
    assert order == list(range(20)) and off.max() < 0.08
    assert len(warnings) == 1 and f"even spacing of {np.linalg.norm(affine[:3, 2]):.3f} mm" in warnings[0]
    assert np.linalg.norm(affine[:3, 2]) == pytest.approx(spacing, abs=0.005)


@pytest.mark.parametrize(("jitter", "warned"), [(5e-5, False), (5e-4, True)])
def test_orientations_that_nearly_agree_are_one_stack(jitter, warned):
    given = [plane._replace(row=plane.row + jitter * (i % 2)) for i, plane in enumerate(planes(range(6)))]
    warnings = stack_geometry(given, name="s").warnings
    assert any("orientations differ" in warning for warning in warnings) == warned
    with pytest.raises(ValueError, match="ImageOrientationPatient"):
        stack_geometry([*given[:5], given[5]._replace(row=given[5].row + 4e-3)], name="s")


def test_rounded_orientations_are_made_perpendicular_unit_vectors():
    header = Dataset()
    header.ImagePositionPatient, header.PixelSpacing = [1, 2, 3], [1, 1]
    header.ImageOrientationPatient = [1.000247, -0.000414, -0.000826, -0.00087, 1.000564, 0.000743]
    plane = slice_plane(header, name="a")
    directions = np.stack([plane.row, plane.column])
    np.testing.assert_allclose(directions @ directions.T, np.eye(2), atol=1e-12)
    np.testing.assert_allclose(directions.ravel(), header.ImageOrientationPatient, atol=2e-3)


def test_the_column_spacing_is_the_second_of_pixel_spacing():
    header = Dataset()
    header.ImagePositionPatient, header.ImageOrientationPatient = [1, 2, 3], [1, 0, 0, 0, 1, 0]
    header.PixelSpacing = [0.9, 0.7]
    assert slice_plane(header, name="a").spacing.tolist() == [0.7, 0.9]


@pytest.mark.parametrize("keyword", ["ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"])
@pytest.mark.parametrize("value", [None, [], [1]])
def test_missing_positions_are_named(keyword, value):
    header = Dataset()
    header.ImagePositionPatient, header.ImageOrientationPatient = [1, 2, 3], [1, 0, 0, 0, 1, 0]
    header.PixelSpacing = [0.9, 0.7]
    if value is None:
        delattr(header, keyword)
    else:
        setattr(header, keyword, value)
    with pytest.raises(ValueError, match=f"'a' has {keyword}"):
        slice_plane(header, name="a")


@pytest.mark.parametrize("spacing", [[0, 0.7], [0.7, -1]])
def test_a_pixel_spacing_that_is_not_positive_is_refused(spacing):
    header = Dataset()
    header.ImagePositionPatient, header.ImageOrientationPatient = [1, 2, 3], [1, 0, 0, 0, 1, 0]
    header.PixelSpacing = spacing
    with pytest.raises(ValueError, match="PixelSpacing.*above 0"):
        slice_plane(header, name="a")
    header.ImageOrientationPatient = [1, 0, 0, 1, 0, 0]
    with pytest.raises(ValueError, match="perpendicular"):
        slice_plane(header, name="a")
