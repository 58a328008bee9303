import errno
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from filelock import FileLock

from unicoal_components.files import claim as module
from unicoal_components.files.claim import HOLDER, LOCK, claim_until_exit, claimed

HOLD = """
import sys, time
from unicoal_components.files.claim import claimed
with claimed(sys.argv[1]):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_folder_is_made_and_nothing_stays_in_it(tmp_path):
    with claimed(tmp_path / "new" / "out") as claim:
        assert claim.folder == tmp_path / "new" / "out"
        assert json.loads((claim.folder / HOLDER).read_text())["pid"] == os.getpid()
    assert not list((tmp_path / "new" / "out").iterdir())


def test_a_living_process_is_named_and_a_killed_one_replaced_with_what_it_left(tmp_path):
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]
    )
    assert holder.stdout.readline() == "held\n"
    before = sorted(tmp_path.iterdir())
    told = f"'{tmp_path}' is in use: process {holder.pid} on {socket.gethostname()} .since"
    with pytest.raises(OSError, match=told), claimed(tmp_path):
        pass
    assert sorted(tmp_path.iterdir()) == before
    holder.kill()
    holder.communicate()
    (tmp_path / ".p0.h5.elsewhere-1.partial").touch()
    (tmp_path / "p1.h5").touch()
    with claimed(tmp_path) as claim:
        claim.check(["p1.h5"])
    assert [path.name for path in tmp_path.iterdir()] == ["p1.h5"]


def test_the_folder_is_free_again_after_an_error(tmp_path):
    with pytest.raises(KeyboardInterrupt), claimed(tmp_path):
        (tmp_path / f".p0.h5.{socket.gethostname()}-{os.getpid()}.partial").touch()
        raise KeyboardInterrupt
    assert not list(tmp_path.iterdir())


def test_a_lock_that_workers_of_a_killed_process_still_hold_is_waited_for(tmp_path, monkeypatch):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    (tmp_path / HOLDER).write_text(json.dumps({"pid": ended.pid, "host": socket.gethostname(), "since": "1999"}))
    worker = FileLock(tmp_path / LOCK, thread_local=False)
    worker.acquire()
    monkeypatch.setattr(module, "WORKERS_END", 0.1)
    with pytest.raises(OSError, match=f"in use: process {ended.pid} "), claimed(tmp_path):
        pass
    monkeypatch.setattr(module, "WORKERS_END", 20)
    threading.Timer(0.1, worker.release).start()
    with claimed(tmp_path):
        assert json.loads((tmp_path / HOLDER).read_text())["pid"] == os.getpid()


def test_a_folder_stays_claimed_until_it_is_closed_or_the_process_ends(tmp_path):
    claim = claim_until_exit(tmp_path)
    assert claim_until_exit(tmp_path) is claim
    with pytest.raises(OSError, match=f"in use: process {os.getpid()} "), claimed(tmp_path):
        pass
    claim.close()
    assert not list(tmp_path.iterdir())
    code = f"from unicoal_components import claim_until_exit; claim_until_exit({str(tmp_path)!r}); raise ValueError"
    subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2], stderr=subprocess.DEVNULL, check=False)
    assert not list(tmp_path.iterdir())


def test_missing_files_and_a_missing_or_replaced_folder_are_named(tmp_path):
    with claimed(tmp_path / "out") as claim:
        (tmp_path / "out" / "a").touch()
        with pytest.raises(OSError, match="out' are gone, such as 'b'"):
            claim.check(["a", "b"])
        shutil.rmtree(tmp_path / "out")
        for _ in range(2):
            with pytest.raises(OSError, match="out' was removed or replaced"):
                claim.check()
            (tmp_path / "out").mkdir(exist_ok=True)


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    told = f"cannot write '{tmp_path / 'file' / 'out'}': Not a directory"
    with pytest.raises(OSError, match=told), claimed(tmp_path / "file" / "out"):
        pass


def test_a_disk_without_locks_is_a_warning(tmp_path, monkeypatch, caplog):
    def fail(self, **options):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(FileLock, "acquire", fail)
    with claimed(tmp_path) as claim:
        claim.check()
    assert str(tmp_path) in caplog.text and "No locks available" in caplog.text
    assert not (tmp_path / LOCK).exists()
