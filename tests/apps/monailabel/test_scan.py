"""The scan of a request: one, at an allowed place, of a known modality."""

import nibabel as nib
import numpy as np
import pytest

KNOWN = ["t1", "t2", "pd", "flair"]


@pytest.fixture
def scan(part):
    return part("lib.scan")


@pytest.fixture
def find(scan):
    return lambda path, modality="auto": scan.find_scan(path, modality=modality, known=KNOWN)


@pytest.fixture
def nifti(tmp_path):
    def save(name):
        nib.save(nib.Nifti1Image(np.ones((4, 4, 4), np.float32), np.eye(4)), tmp_path / name)
        return str(tmp_path / name)

    return save


def test_only_files_below_the_folders_are_allowed(scan, tmp_path):
    (tmp_path / "studies").mkdir()
    (tmp_path / "secret.nii").touch()
    (tmp_path / "studies" / "link.nii").symlink_to(tmp_path / "secret.nii")
    folders = ["", str(tmp_path / "studies")]
    assert scan.is_inside(str(tmp_path / "studies" / "a.nii"), folders)
    for path in ("secret.nii", "studies/../secret.nii", "studies/link.nii", "studies_of_others/a.nii"):
        assert not scan.is_inside(str(tmp_path / path), folders)


def test_a_request_has_one_scan(find, nifti, tmp_path):
    path = nifti("t1.nii.gz")
    assert (find(path).path, find(path).modality) == (path, "t1")
    nifti("t2.nii.gz")
    with pytest.raises(ValueError, match="2 scans"):
        find(str(tmp_path))
    (tmp_path / "list.txt").write_text(path)
    with pytest.raises(ValueError, match=r"list\.txt"):
        find(str(tmp_path / "list.txt"))
    with pytest.raises(OSError, match=r"gone\.nii"):
        find(str(tmp_path / "gone.nii"))


def test_the_modality_is_that_of_the_request_or_of_the_scan(find, nifti, dicom_series):
    assert find(nifti("sub_T2w.nii.gz")).modality == "t2"
    assert find(nifti("sub_T2w.nii.gz"), "pd").modality == "pd"
    assert find(str(dicom_series())).modality == "t1"
    with pytest.raises(ValueError, match="source_modality, one of t1, t2, pd, flair") as error:
        find(nifti("scan.nii.gz"))
    assert "--" not in str(error.value)
