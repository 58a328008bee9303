"""Start commands in sessions of their own, signal them, and see what they leave running (Linux).

Run as a program this is a server: it imports what the commands need once, and forks a child for each command,
which goes on as `python script.py ...` or `python -m module ...` does. So a try takes no seconds of imports, and
signals come at moments in which something is done.
"""

import gc
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages
from threading import Lock
from typing import Any

import unicoal_components

ROOT = Path(__file__).parents[1]
LIBRARIES: tuple[str, ...] = (
    "monai.bundle",
    "monai.engines",
    "monai.handlers",
    "ignite.handlers",
    "h5py",
    "itk",
    "nibabel",
    "pydicom",
)
LIBRARIES += ("matplotlib.pyplot", "scipy.ndimage", "tensorboard", "nilearn", "fire")


@dataclass(frozen=True)
class Running:
    """A command that was started.

    Attributes:
        pid: its process, and its session.
        log: file with what it says.
        finish: wait for its end and return the exit status, negative if a signal ended it.
    """

    pid: int
    log: Path
    finish: Callable[[], int]

    def ends_within(self, seconds: float) -> bool:
        """Wait for the end; return whether it came."""
        return _wait(lambda: _state(self.pid) is None, seconds)

    def status(self) -> int:
        """Wait for the end; return the exit status as a shell tells it: 128 + the signal that ended it."""
        found = self.finish()
        return 128 - found if found < 0 else found

    def others_end_within(self, seconds: float) -> bool:
        """Wait for the end of all processes of the session; return whether it came, and kill those that stay."""
        if _wait(lambda: not session(self.pid), seconds):
            return True
        for process in session(self.pid):
            os.kill(process, signal.SIGKILL)
        return False


def _wait(is_true: Callable[[], bool], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while not is_true():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def _state(pid: int) -> tuple[str, int] | None:
    """Return the state and the session of a process that runs; `None` if it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in "ZX" else (fields[0], int(fields[3]))


def session(leader: int) -> list[int]:
    """Return the processes of a session that run."""
    found = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]
    return [pid for pid in found if (state := _state(pid)) is not None and state[1] == leader]


def start_cold(words: Sequence[str], log: Path) -> Running:
    """Start Python with a command."""
    with open(log, "wb") as file:
        process = subprocess.Popen(
            [sys.executable, *words],
            cwd=ROOT,
            stdout=file,
            stderr=file,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
    return Running(process.pid, log, process.wait)


class Server:
    """The process that has imported the libraries; ends with the block."""

    def __enter__(self) -> "Server":
        self.process = subprocess.Popen(
            [sys.executable, __file__],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.lock = Lock()
        return self

    def __exit__(self, *error: object) -> None:
        self.process.communicate()

    def start(self, words: Sequence[str], log: Path) -> Running:
        """Start a command in a copy of the process."""
        pid = self._ask(words=list(words), log=str(log))
        return Running(pid, log, lambda: self._ask(wait=pid))

    def _ask(self, **order: Any) -> int:
        assert self.process.stdin is not None and self.process.stdout is not None
        with self.lock:
            self.process.stdin.write(json.dumps(order) + "\n")
            self.process.stdin.flush()
            return int(self.process.stdout.readline())


def _serve() -> None:
    """Fork a child for each order; return in the child, which is then as Python with that command at its start."""
    modules = walk_packages(unicoal_components.__path__, "unicoal_components.")
    for name in (*LIBRARIES, *(module.name for module in modules)):
        import_module(name)
    gc.freeze()  # else each child looks through all of it, and copies it
    for line in iter(sys.stdin.readline, ""):
        order = json.loads(line)
        if "wait" in order:
            answer = os.waitstatus_to_exitcode(os.waitpid(order["wait"], 0)[1])
        else:
            answer = os.fork()
            if answer == 0:
                _become(order["words"], order["log"])
                return
        print(answer, flush=True)
    os._exit(0)


def _become(words: list[str], log: str) -> None:
    os.setsid()
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(file, 1)
    os.dup2(file, 2)
    sys.argv = words
    sys.path[0] = str(ROOT) if words[0] == "-m" else str((ROOT / words[0]).parent)


if __name__ == "__main__":
    from runpy import run_module, run_path

    _serve()
    if sys.argv[0] == "-m":
        sys.argv = sys.argv[1:]
        run_module(sys.argv[0], run_name="__main__", alter_sys=True)
    else:
        run_path(sys.argv[0], run_name="__main__")
