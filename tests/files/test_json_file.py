import pytest

from unicoal_components.files import json_file
from unicoal_components.files.json_file import read_json


def test_content_is_returned(tmp_path):
    (tmp_path / "a.json").write_text('{"a": [1, null]}')
    assert read_json(tmp_path / "a.json") == {"a": [1, None]}


@pytest.mark.parametrize("content", [b"{", b"[" * 200_000, b"\xff\xfe", b"1" * 10_000])
def test_what_is_no_json_is_an_error_that_names_the_file(tmp_path, content):
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.json"):
        read_json(tmp_path / "a.json")


def test_large_files_are_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(json_file, "LARGEST", 10)
    (tmp_path / "a.json").write_text("[1, 2, 3, 4, 5]")
    with pytest.raises(ValueError, match=r"a\.json"):
        read_json(tmp_path / "a.json")
