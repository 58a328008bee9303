"""One command of the campaign: run to its end, or stopped, and judged by what it leaves."""

import logging
import os
import shutil
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from interrupt_cases import CASES, Case
from interrupt_checks import content, damaged, files_of, unfinished
from interrupt_process import Running

logger = logging.getLogger("interrupt_commands")

SECONDS = 300.0
"""After which a command counts as one that does not end."""
OTHERS_END = 20.0
"""Seconds within which the other processes of a command have to end after it."""
Start = Callable[[Sequence[str], Path], Running]


class Command:
    """One command with its inputs, and the results of a run that was not stopped.

    Args:
        name: key of `CASES`.
        start: starts a command.
        inputs: folder of the inputs.
        place: folder in which the output folder is made anew for each try, always with the same path.
    """

    def __init__(self, name: str, start: Start, inputs: Path, place: Path) -> None:
        self.name = name
        self.case: Case = CASES[name]
        self.out, self.log = place / "out", place / "log.txt"
        self.words = self.case.words(inputs, self.out)
        self._start = start
        began = time.monotonic()
        reason = self.run()
        self.seconds = time.monotonic() - began
        if reason:
            raise RuntimeError(f"{name} fails without being stopped: {reason}\n{self.said()[-2000:]}")
        self.expected = self._content()
        self.size = sum(path.stat().st_blocks * 512 for path in files_of(self.out))
        if not self.expected:
            raise RuntimeError(f"{name} wrote nothing that is compared")

    def start(self, log: Path | None = None) -> Running:
        """Start it."""
        return self._start(self.words, log or self.log)

    def run(self) -> str:
        """Run it to its end; return what is wrong, "" if nothing is."""
        status = self.end(self.start())
        return f"status {status}" if status else ""

    def end(self, running: Running, seconds: float = SECONDS) -> int:
        """Wait for the end, and return the status; a command that does not end is killed."""
        if not running.ends_within(seconds):
            logger.warning("%s does not end", self.name)
            os.kill(running.pid, signal.SIGKILL)
        return running.status()

    def said(self) -> str:
        """Return what it said last."""
        return self.log.read_text(errors="replace")

    def left(self, running: Running, *, whole: bool) -> str:
        """Return what is wrong with what it left: processes, half-written files, and if `whole` unfinished ones."""
        reasons = [] if running.others_end_within(OTHERS_END) else ["a process stays"]
        reasons += damaged(self.out) + (unfinished(self.out) if whole else [])
        return ", ".join(reasons)

    def is_done(self) -> bool:
        """Return whether all results are there, and nothing unfinished."""
        return self._content() == self.expected and not unfinished(self.out)

    def again(self) -> dict[str, str]:
        """Run it again; return what is wrong for the goals `resumed` and `same`."""
        resumed = self.run()
        if resumed:
            last = self.said().rstrip().rpartition("\n")[2]
            return {"resumed": f"{resumed}, {last[:200]}", "same": "not resumed"}
        found = self._content()
        names = [name for name in found.keys() | self.expected.keys() if found.get(name) != self.expected.get(name)]
        return {"resumed": "", "same": ", ".join(sorted(names) + unfinished(self.out))}

    def _content(self) -> dict[str, str]:
        return content(self.out, self.case.same, as_bytes=self.case.as_bytes)

    def afresh(self) -> None:
        """Remove what earlier tries left."""
        shutil.rmtree(self.out, ignore_errors=True)
