import os

import pytest

from unicoal_components.files.writable import check_replaceable, check_writable


def test_a_folder_that_could_be_made_passes_and_is_not_made(tmp_path):
    check_writable(tmp_path)
    check_writable(tmp_path / "new" / "folder")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("folder", ["file", "file/folder"])
def test_a_file_in_the_way_is_named(tmp_path, folder):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OSError, match=rf"cannot write '.*{folder}'.*Not a directory.*folder that you may write to"):
        check_writable(tmp_path / folder)


@pytest.mark.skipif(os.geteuid() == 0, reason="the administrator may write everywhere")
def test_a_folder_without_permission_is_named(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(OSError, match="Permission denied"):
        check_writable(tmp_path / "new")


def test_only_earlier_results_may_be_replaced(tmp_path):
    (tmp_path / "scan.nii").touch()
    paths = [tmp_path / "missing", tmp_path / "scan.nii"]
    check_replaceable(paths, lambda path: path.name == "scan.nii")
    with pytest.raises(ValueError, match=r"scan\.nii'.* Move it\.$"):
        check_replaceable(paths, lambda path: False, remedy="Move it.")
