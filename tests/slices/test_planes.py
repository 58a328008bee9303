import pytest

from unicoal_components.geometry.orientation import PLANES as DIRECTIONS
from unicoal_components.slices.planes import PLANES, axis_of, planes_of


def test_axes_and_planes_are_each_others_inverse_and_the_planes_are_those_of_a_stack():
    assert planes_of(axis_of(plane) for plane in PLANES) == PLANES
    assert set(PLANES) == set(DIRECTIONS)
    for plane in PLANES:  # axis 0 of an axial stack points to S, axis 1 to P, axis 2 to L; slices lie across
        assert DIRECTIONS[plane][2] == "SPL"[axis_of(plane)]


@pytest.mark.parametrize("plane", ["Axial", "S", 0, ""])
def test_other_names_are_refused(plane):
    with pytest.raises(ValueError, match="axial, coronal, sagittal"):
        axis_of(plane)
