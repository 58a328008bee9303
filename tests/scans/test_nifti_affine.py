import nibabel as nib
import numpy as np
import pytest

from unicoal_components.scans.nifti_affine import nifti_affine, usable
from unicoal_components.scans.read_volume import read_image

AFFINE = np.array([[-1.0, 0, 0, 20], [0, 2.0, 0, -30], [0, 0, 3.0, 5], [0, 0, 0, 1]])
MOVED = AFFINE + np.array([[0, 0, 0, 4.0], [0, 0, 0, 0], [0, 0, 0, 3.0], [0, 0, 0, 0]])


def image(sform=None, scode=0, qform=None, qcode=0):
    volume = np.random.default_rng(0).integers(1, 1000, (5, 6, 7)).astype(np.float32)
    made = nib.Nifti1Image(volume, None)
    made.header.set_qform(qform, code=qcode)
    made.header.set_sform(sform, code=scode)
    return made


def read(made, path, thickness=None):
    """Read the image back, with another third spacing in its header (the float at byte 88)."""
    nib.save(made, path)
    content = bytearray(path.read_bytes())
    if thickness is not None:
        content[88:92] = np.float32(thickness).tobytes()
    path.write_bytes(content)
    return read_image(path)


@pytest.mark.parametrize(
    ("codes", "want"),
    [((1, 0), AFFINE), ((0, 1), MOVED), ((2, 1), AFFINE)],
)
def test_the_sform_is_used_if_it_has_a_code(codes, want):
    affine, _ = nifti_affine(image(AFFINE, codes[0], MOVED, codes[1]))
    np.testing.assert_allclose(affine, want, atol=1e-5)


def test_equal_sform_and_qform_give_no_warning():
    assert nifti_affine(image(AFFINE, 2, AFFINE, 1))[1] == []


def test_a_conflict_of_sform_and_qform_gives_a_warning_with_the_distance(tmp_path, caplog):
    volume = read(image(AFFINE, 4, MOVED, 1), tmp_path / "two.nii")
    np.testing.assert_allclose(volume.affine, AFFINE, atol=1e-5)
    (warning,) = volume.warnings
    assert "sform (code 4) and qform (code 1) differ by up to 5.0 mm; the sform was used" in warning
    assert "two.nii" in caplog.text and warning in caplog.text


def test_the_qform_replaces_a_singular_sform():
    flat = AFFINE.copy()
    flat[:, 2] = 0
    affine, warnings = nifti_affine(image(flat, 1, AFFINE, 1))
    np.testing.assert_allclose(affine, AFFINE, atol=1e-5)
    assert warnings == ["its sform is singular; the qform was used instead"]


@pytest.mark.parametrize("which", ["sform", "qform", "neither"])
def test_zero_spacing_is_refused_in_sform_and_qform(tmp_path, which):
    flat = AFFINE.copy()
    flat[:, 2] = 0
    made = image(flat, 1) if which == "sform" else image(None, 0, AFFINE, 1) if which == "qform" else image()
    with pytest.raises(ValueError, match=r"flat\.nii' has an unusable affine, voxel spacing \[.*0\.0\] mm.*correct"):
        read(made, tmp_path / "flat.nii", thickness=0)


def test_a_singular_affine_is_not_usable():
    assert usable(AFFINE) and usable(MOVED)
    for column in ([0, 0, 0], [1, 0, 0], [np.inf, 0, 0]):
        affine = np.eye(4)
        affine[:3, 2] = column
        assert not usable(affine)
