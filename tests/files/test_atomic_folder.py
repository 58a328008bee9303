import errno
from pathlib import Path

import pytest

from unicoal_components.files.atomic_folder import atomic_folder


def test_a_folder_appears_when_it_is_complete(tmp_path):
    target = tmp_path / "deep" / "series"
    with atomic_folder(target) as partial:
        (partial / "1").write_text("one")
        assert not target.exists() and partial.name.startswith(".") and partial.name.endswith(".partial")
    assert (target / "1").read_text() == "one"
    assert [path.name for path in target.parent.iterdir()] == ["series"]


def test_an_old_folder_is_replaced_as_a_whole(tmp_path):
    target = tmp_path / "series"
    target.mkdir()
    (target / "old").touch()
    with atomic_folder(target) as partial:
        (partial / "new").touch()
        assert (target / "old").exists()
    assert [path.name for path in target.iterdir()] == ["new"]
    assert [path.name for path in tmp_path.iterdir()] == ["series"]


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "No space left on device"), ValueError("no"), KeyboardInterrupt()]
)
def test_nothing_changes_when_it_fails(tmp_path, error):
    target = tmp_path / "series"
    target.mkdir()
    (target / "old").touch()
    with pytest.raises(type(error)) as raised, atomic_folder(target) as partial:
        (partial / "new").touch()
        raise error
    assert [path.name for path in target.iterdir()] == ["old"]
    assert [path.name for path in tmp_path.iterdir()] == ["series"]
    if isinstance(error, OSError):
        assert f"'{target}': No space left" in str(raised.value)


def test_the_old_folder_is_restored_when_the_new_one_cannot_replace_it(tmp_path, monkeypatch):
    target = tmp_path / "series"
    target.mkdir()
    (target / "old").touch()
    rename = Path.rename

    def refuse(self, to):
        if Path(to) == target and ".old." not in self.name:
            raise OSError(errno.EACCES, "Permission denied")
        return rename(self, to)

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(OSError, match="Permission denied"), atomic_folder(target) as partial:
        (partial / "new").touch()
    assert [path.name for path in target.iterdir()] == ["old"]


def test_a_parent_that_is_a_file_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file/series"), atomic_folder(tmp_path / "file" / "series"):
        pass
