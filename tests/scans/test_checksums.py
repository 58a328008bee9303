import hashlib

import pytest

from unicoal_components.scans.checksums import checksum, files_of, sha256_of


def test_a_file_has_the_checksum_of_its_bytes(tmp_path):
    (tmp_path / "t1.nii").write_bytes(b"voxels")
    assert sha256_of(tmp_path / "t1.nii") == hashlib.sha256(b"voxels").hexdigest()


def test_a_header_counts_with_its_data(tmp_path):
    for name in ("t1.mhd", "t1.raw", "t2.raw"):
        (tmp_path / name).write_bytes(b"a")
    assert [path.name for path in files_of(tmp_path / "t1.mhd")] == ["t1.mhd", "t1.raw"]
    before = sha256_of(tmp_path / "t1.mhd")
    (tmp_path / "t2.raw").write_bytes(b"b")
    assert sha256_of(tmp_path / "t1.mhd") == before
    (tmp_path / "t1.raw").write_bytes(b"b")
    assert sha256_of(tmp_path / "t1.mhd") != before


def test_the_checksum_of_a_folder_does_not_depend_on_its_location(tmp_path):
    for place in ("a", "b/c"):
        (tmp_path / place / "series").mkdir(parents=True)
        for name in ("IM1", "IM2"):
            (tmp_path / place / "series" / name).write_text(name)
    first = sha256_of(tmp_path / "a")
    assert first == sha256_of(tmp_path / "b" / "c") == sha256_of(f"{tmp_path / 'a'}::1.2.840")
    (tmp_path / "a" / "series" / "IM2").write_text("changed")
    assert sha256_of(tmp_path / "a") != first


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.nii' does not exist"):
        sha256_of(tmp_path / "none.nii")


def test_the_checksum_of_one_file_is_its_own_and_that_of_several_does_not_depend_on_their_names(tmp_path):
    for name, content in {"a": b"one", "b": b"two", "c": b"one"}.items():
        (tmp_path / name).write_bytes(content)
    assert checksum([tmp_path / "a"]) == hashlib.sha256(b"one").hexdigest()
    assert checksum([tmp_path / "a", tmp_path / "b"]) == checksum([tmp_path / "b", tmp_path / "c"])
    assert checksum([tmp_path / "a", tmp_path / "b"]) != checksum([tmp_path / "a", tmp_path / "c"])
