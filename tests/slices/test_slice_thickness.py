import pytest

from unicoal_components.slices.slice_thickness import SliceThickness


def thickness(factor=4, spacing=1.25, **options):
    return SliceThickness(**options).in_thin_slices(factor, spacing=spacing, path="p01.h5")


def test_spacing_is_thickness_plus_gap():
    assert thickness() == 4
    assert thickness(slice_gap=1.25) == 3
    assert thickness(slice_gap=-1.25) == 5
    assert thickness(slice_thickness=2.5) == 2 == thickness(slice_thickness=2.5, factor=7.3)


def test_the_spacing_is_not_needed_where_slices_touch_or_none_are_made():
    assert thickness(2.5, spacing=None) == 2.5
    assert thickness(1, spacing=None, slice_gap=3) == 1 == thickness(1, slice_thickness=5)


def test_an_unknown_spacing_names_the_file_and_the_remedy():
    for options in ({"slice_gap": 1.0}, {"slice_thickness": 3.0}):
        with pytest.raises(ValueError, match="p01.h5.*does not tell.*unicoal prepare.*slice_gap to 0"):
            thickness(spacing=None, **options)


@pytest.mark.parametrize("gap", [5, 6])
def test_a_gap_that_leaves_nothing_is_refused_with_all_values(gap):
    with pytest.raises(ValueError, match=f"slice_gap is {gap} mm.*p01.h5.*factor 4.*1.25 mm = 5 mm apart.*smaller gap"):
        thickness(slice_gap=gap)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"profile": "hat"}, "profile is 'hat'"),
        ({"slice_gap": None}, "slice_gap is None"),
        ({"slice_gap": float("nan")}, "slice_gap is nan"),
        ({"slice_thickness": 0}, "slice_thickness is 0.*> 0"),
        ({"slice_thickness": "4"}, "slice_thickness is '4'"),
        ({"slice_gap": 1.0, "slice_thickness": 4.0}, "give one of them"),
        ({"profile": "drop", "slice_gap": 1.0}, "profile is 'drop', with slice_gap 1.0.*have no thickness"),
        ({"profile": "drop", "slice_thickness": 4.0}, "profile is 'drop'.*slice_thickness 4.0"),
    ],
)
def test_wrong_values_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        SliceThickness(**options)
