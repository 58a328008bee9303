import errno
import os
import pickle
import socket
import stat
import time

import pytest

from unicoal_components.files.atomic import atomic_path
from unicoal_components.files.atomic_folder import atomic_folder
from unicoal_components.files.partial import (
    STRANGER_KEEPS,
    cannot_write,
    is_left_behind,
    is_running,
    partial_of,
    remove_leftovers_in,
    remove_leftovers_of,
)

NOBODY = 2**22 + 1
"""Above the largest process id."""


def by(process, host=None, name="a.txt", kind=""):
    return f".{name}.{host or socket.gethostname()}-{process}{kind}.partial"


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def open_umask():
    before = os.umask(0o002)
    yield
    os.umask(before)


def test_only_the_user_may_read_what_is_unfinished_and_the_umask_rules_what_is_finished(tmp_path, open_umask):
    with atomic_path(tmp_path / "a.txt") as partial:
        partial.write_text("image of a patient")
        assert mode(partial) == 0o600
    with atomic_folder(tmp_path / "series") as partial:
        (partial / "1").touch()
        assert mode(partial) == 0o700
    assert (mode(tmp_path / "a.txt"), mode(tmp_path / "series")) == (0o664, 0o775)
    os.umask(0o077)
    with atomic_path(tmp_path / "a.txt"):
        pass
    assert mode(tmp_path / "a.txt") == 0o600


def test_the_next_writer_removes_what_a_killed_one_left_and_nothing_else(tmp_path):
    kept = [by(os.getppid()), by(1, "elsewhere"), by(NOBODY, name="b.txt"), ".a.txt.notes", "a.txt.1.partial"]
    for name in [*kept, by(NOBODY), by(os.getpid())]:
        (tmp_path / name).touch()
    (tmp_path / by(NOBODY - 1)).mkdir()
    with atomic_path(tmp_path / "a.txt") as partial:
        partial.write_text("new")
    assert names(tmp_path) == sorted([*kept, "a.txt"])


def test_a_file_of_another_host_is_left_behind_when_nobody_has_written_for_a_day(tmp_path):
    path = tmp_path / by(os.getpid(), "elsewhere")
    path.touch()
    assert not is_left_behind(path)
    os.utime(path, (time.time() - STRANGER_KEEPS - 60,) * 2)
    assert is_left_behind(path)


def test_in_a_folder_of_its_own_a_process_removes_all_that_is_unfinished(tmp_path):
    unfinished = [by(os.getppid()), by(1, "elsewhere"), ".p0.h5.123.partial"]
    kept = [by(NOBODY, kind=".old"), ".mine.partial", "a-1.partial"]
    for name in [*unfinished, *kept]:
        (tmp_path / name).touch()
    remove_leftovers_in(tmp_path, alone=False)
    assert names(tmp_path) == sorted([*unfinished, *kept])
    remove_leftovers_in(tmp_path, alone=True)
    assert names(tmp_path) == sorted(kept)
    remove_leftovers_in(tmp_path / "missing", alone=True)


def test_a_folder_moved_aside_by_a_killed_process_is_put_back_unless_there_is_a_new_one(tmp_path):
    aside = tmp_path / by(NOBODY, name="series", kind=".old")
    aside.mkdir()
    (aside / "old").touch()
    remove_leftovers_of(tmp_path / "series")
    assert names(tmp_path) == ["series"] and names(tmp_path / "series") == ["old"]
    aside.mkdir()
    remove_leftovers_of(tmp_path / "series")
    assert names(tmp_path) == ["series"]


def test_the_name_tells_host_and_process_which_runs(tmp_path):
    assert partial_of(tmp_path / "a.txt").name == by(os.getpid())
    assert is_running(os.getpid()) and not is_running(NOBODY)


def test_the_error_has_path_and_cause_also_from_another_process_and_the_innermost_file_counts(tmp_path):
    error = cannot_write(tmp_path / "a.txt", OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
    for one in (error, pickle.loads(pickle.dumps(error)), cannot_write(tmp_path, error)):
        assert (one.errno, one.filename, one.concerns_all) == (errno.ENOSPC, str(tmp_path / "a.txt"), True)
        assert f"cannot write '{tmp_path / 'a.txt'}': No space left on device" in str(one)
    assert not cannot_write(tmp_path, OSError("odd")).concerns_all
    assert "odd" in str(cannot_write(tmp_path, OSError("odd")))
