import pytest

from unicoal_components.files.atomic import atomic_path


def test_a_block_that_fails_leaves_the_old_file_and_no_partial_one(tmp_path):
    target = tmp_path / "result.txt"
    target.write_text("old")
    with pytest.raises(RuntimeError, match="stop"), atomic_path(target) as partial:
        partial.write_text("half")
        raise RuntimeError("stop")
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_the_file_is_not_there_before_the_block_ends(tmp_path):
    target = tmp_path / "new" / "result.txt"
    with atomic_path(target) as partial:
        partial.write_text("whole")
        assert not target.exists()
        assert partial.parent == target.parent
    assert target.read_text() == "whole"


def test_a_target_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(OSError, match="cannot write .*result.txt.*folder that you may write"),
        atomic_path(tmp_path / "file" / "result.txt"),
    ):
        pass
