"""Files with thick scans, simulated from a thin one."""

import runpy
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "make_thick.py"
AFFINE = np.array([[-0.9, 0, 0, 10], [0, 0.05, 1.2, -4], [0, 1.0, -0.06, 7], [0, 0, 0, 1]])  # to L, S and A


@pytest.fixture
def make(monkeypatch, tmp_path):
    """Run the script on a ramp along the world's axis through the plane; return the image that it writes."""

    def call(*options, axis=2):
        shape = (11, 22, 13)
        world = np.einsum("j,jxyz->xyz", AFFINE[axis, :3], np.indices(shape)) + AFFINE[axis, 3]
        nib.save(nib.Nifti1Image(world.astype(np.float32), AFFINE), tmp_path / "thin.nii.gz")
        paths = ["--input", str(tmp_path / "thin.nii.gz"), "--output", str(tmp_path / "thick.nii.gz")]
        monkeypatch.setattr("sys.argv", [str(SCRIPT), *paths, *map(str, options)])
        runpy.run_path(str(SCRIPT), run_name="__main__")
        return nib.load(tmp_path / "thick.nii.gz")

    return call


def off_the_ramp(image, axis):
    """Return the position errors in mm according to the ramp along one axis, without the ends."""
    voxels = image.get_fdata()
    world = np.einsum("j,jxyz->xyz", image.affine[axis, :3], np.indices(voxels.shape)) + image.affine[axis, 3]
    inside = slice(1, -1)
    return np.abs(voxels - world)[inside, inside, inside].max()


@pytest.mark.parametrize(("plane", "axis"), [("axial", 2), ("coronal", 1), ("sagittal", 0)])
@pytest.mark.parametrize("options", [("--factor", 2), ("--factor", 2.5, "--phase", 1.1), ("--factor", 3, "--seed", 5)])
@pytest.mark.parametrize("profile", ["drop", "gaussian"])
def test_thick_slices_have_the_position_of_their_thin_slices(make, plane, axis, options, profile):
    phase = ("--phase", "random") if "--seed" in options else ()
    image = make(*options, *phase, "--profile", profile, "--through_plane", plane, axis=axis)
    assert off_the_ramp(image, axis) < (1e-4 if profile == "drop" else 0.1)


def test_thickness_and_gap_give_the_spacing_and_a_gap_gives_thinner_slices(make):
    image = make("--slice_thickness", 3, "--slice_gap", 1, "--profile", "box")
    np.testing.assert_allclose(image.header.get_zooms(), (0.9, 4, 1.2), rtol=2e-3)
    assert "factor 3.995" in str(image.header["descrip"]) and "thickness 3 mm" in str(image.header["descrip"])


def test_a_factor_may_come_with_a_gap_or_a_thickness(make):
    by_gap = make("--factor", 4, "--slice_gap", 1).get_fdata()
    thickness = 4 * np.hypot(1, 0.05) - 1
    by_thickness = make("--factor", 4, "--slice_thickness", thickness).get_fdata()
    np.testing.assert_allclose(by_gap, by_thickness, atol=1e-4)
    assert not np.allclose(by_gap, make("--factor", 4).get_fdata(), atol=1e-3)


def test_the_random_phase_depends_on_the_seed(make):
    first, again, other = (make("--factor", 4, "--phase", "random", "--seed", n).affine for n in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.01


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "factor and slice_thickness are both missing"),
        (("--slice_gap", 1), "factor and slice_thickness are both missing"),
        (("--slice_thickness", 0.4, "--slice_gap", 0.2), "0.4 \\+ slice_gap 0.2 mm is less than the 1.00"),
        (("--factor", 4, "--slice_thickness", 3, "--slice_gap", 1), "give one of them"),
        (("--factor", 4, "--phase", 5), "phase is 5 mm"),
        (("--factor", 4, "--phase", "any"), "phase is 'any'"),
        (("--factor", 4, "--profile", "hat"), "profile is 'hat'"),
        (("--factor", 0.5), "factor is 0.5"),
        (("--factor", 22), "factor is 22, but the input has 22 axial slices.*at most 21"),
    ],
)
def test_invalid_options_are_refused(make, options, message):
    with pytest.raises(SystemExit, match=message):
        make(*options)


def test_a_full_disk_is_named_and_leaves_the_file_of_before(make, tmp_path, full_disk):
    before = make("--factor", 2).get_fdata()
    with full_disk("thick.nii.gz"), pytest.raises(SystemExit, match=r"thick\.nii\.gz': No space left on device"):
        make("--factor", 3)
    np.testing.assert_array_equal(nib.load(tmp_path / "thick.nii.gz").get_fdata(), before)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["thick.nii.gz", "thin.nii.gz"]
