"""Stop the commands at random moments, fill their disk, run two at once, and count what happens (Linux).

    python tools/interrupt_commands.py --tries 6 --seed 0 [--commands train,evaluate] [--output table.md]

Each command runs on a tiny cohort that is made first. One run that is not stopped gives its length and its results.
Then, per command:

    SIGKILL, SIGTERM, SIGINT   at `tries` moments spread over its length; SIGINT to all its processes, as of a terminal
    full disk                  on a tmpfs of several sizes (root only), which is then made larger
    two at once                a second run while the first is there; one that is refused has to write nothing

and after each the same command again, until it ends. The columns count the tries in which

    clean      no process is left and no file under a final name is half-written; but for SIGKILL nothing unfinished
               is left, and the terminal has one paragraph, which for a disk names file and cause; none is needed
               before anything is written, and when all is written
    status     the exit status is 128 + the signal's number; 1 of a full disk and of a run that is refused
    resumed    the same command ends with exit status 0
    same       then the results are those of the run that was not stopped, and nothing unfinished is left
"""

import logging
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from threading import Lock

import numpy as np
from interrupt_cases import CASES, make_inputs
from interrupt_checks import files_of, said_of_disk, said_of_stop, states
from interrupt_process import Running, Server, start_cold
from interrupt_run import Command

from unicoal_components.command_line import run_command
from unicoal_components.files.atomic import atomic_path

logger = logging.getLogger("interrupt_commands")

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
DISKS = (0.2, 0.6, 0.9)
"""Sizes of the disk, as parts of what the results take."""
GOALS = ("clean", "status", "resumed", "same")


@dataclass
class Row:
    """Counts of one command and one kind of trouble."""

    command: str
    kind: str
    tries: int = 0
    good: dict[str, int] = field(default_factory=lambda: dict.fromkeys(GOALS, 0))
    problems: list[str] = field(default_factory=list)

    def count(self, **reasons: str) -> None:
        """Count a try: for each goal what is wrong, "" if nothing is."""
        self.tries += 1
        for goal, reason in reasons.items():
            self.good[goal] += not reason
            if reason:
                self.problems.append(f"{goal}: {reason}")


def moments(tries: int, seed: Sequence[int]) -> list[float]:
    """Return a random moment in each of as many equal parts of [0, 1]."""
    return ((np.arange(tries) + np.random.default_rng(seed).uniform(size=tries)) / max(tries, 1)).tolist()


def _running_at(command: Command, moment: float) -> Running | None:
    """Start a command, and return at a moment of its length; `None` if it ends before, three times."""
    for _ in range(3):
        command.afresh()
        began, running = time.monotonic(), command.start()
        if not running.ends_within(moment * command.seconds):
            return running
        running.status()
        command.seconds = time.monotonic() - began  # on a busy machine the lengths differ
    return None


def interrupted(command: Command, number: signal.Signals, tries: int, seed: int) -> Row:
    """Send a signal at random moments."""
    row = Row(command.name, number.name)
    for moment in moments(tries, [seed, sum(command.name.encode()), number]):
        running = _running_at(command, moment)
        if running is None:
            continue
        (os.killpg if number == signal.SIGINT else os.kill)(running.pid, number)
        status = command.end(running, 60)
        kill = number == signal.SIGKILL
        words = "" if kill else said_of_stop(command.said(), number.name)
        if words == "silent" and (not files_of(command.out) or command.is_done()):  # while Python starts, or ends
            words = ""
        clean = ", ".join(filter(None, [command.left(running, whole=not kill), words]))
        if status == 0:  # its last work was done when the signal came
            clean, status = clean.removesuffix(words).rstrip(", "), 128 + number
        reason = "" if status == 128 + number else f"{status} at {moment:.2f}"
        row.count(clean=clean and f"{clean} at {moment:.2f}", status=reason, **command.again())
    return row


@contextmanager
def disk(folder: Path, size: int) -> Iterator[None]:
    """Make the folder a disk of its own of a size in bytes, during the block."""
    folder.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", folder], check=True)


def full(command: Command) -> Row:
    """Fill the disk: run on small ones."""
    row = Row(command.name, "full disk")
    for part in DISKS:
        command.afresh()
        with disk(command.out, max(4096, round(part * command.size))):
            running = command.start()
            status = command.end(running)
            if status == 0:
                continue
            words = said_of_disk(command.said(), command.out)
            clean = ", ".join(filter(None, [command.left(running, whole=True), words]))
            subprocess.run(["mount", "-o", "remount,size=512m", command.out], check=True)
            reason = "" if status == 1 else f"{status}"
            row.count(clean=clean and f"{clean} at {part:g}", status=reason, **command.again())
    return row


def together(command: Command) -> Row:
    """Run it twice at once: the second is refused if the command claims its folder, else both end."""
    row = Row(command.name, "two at once")
    command.afresh()
    first = command.start()
    if command.case.claims:
        holder = command.out / command.case.claims
        while not holder.is_file() and not first.ends_within(0.002):
            pass
    other_log = command.log.with_name("second.txt")
    if command.case.claims:
        os.kill(first.pid, signal.SIGSTOP)
        before = states(command.out)
    second = command.start(other_log)
    status = command.end(second)
    words, clean = other_log.read_text(errors="replace"), ""
    if command.case.claims:
        changed = before.items() ^ states(command.out).items()
        clean = ", ".join(sorted({f"{name} written by the second" for name, _ in changed}))
        if f"process {first.pid} on " not in words:
            clean = f"{clean}, process not named".removeprefix(", ")
        os.kill(first.pid, signal.SIGCONT)
    first_status = command.end(first)
    wanted = 1 if command.case.claims else 0
    reason = "" if (first_status, status) == (0, wanted) else f"{first_status} and {status}"
    left = ", ".join(filter(None, [clean, command.left(first, whole=True), command.left(second, whole=True)]))
    row.count(clean=left, status=reason, **command.again())
    return row


def can_mount() -> bool:
    """Return whether this process may make a disk in memory."""
    with tempfile.TemporaryDirectory() as place:
        try:
            with disk(Path(place) / "disk", 1 << 20):
                return True
        except (OSError, subprocess.CalledProcessError):
            return False


def table(rows: Sequence[Row]) -> str:
    """Return the counts as a table in Markdown, and below it the problems."""
    lines = [f"| command | trouble | tries | {' | '.join(GOALS)} |", "|---" * (len(GOALS) + 3) + "|"]
    for row in rows:
        lines.append(f"| {row.command} | {row.kind} | {row.tries} | {' | '.join(str(row.good[g]) for g in GOALS)} |")
    problems = [f"- {row.command}, {row.kind}: {problem}" for row in rows for problem in row.problems]
    return "\n".join([*lines, "", *(problems or ["No problems."])])


def interrupt_commands(
    *,
    tries: int = 6,
    seed: int = 0,
    commands: str | Sequence[str] | None = None,
    cold: bool = False,
    jobs: int = 1,
    output: str | None = None,
) -> None:
    """Stop commands at random moments, and count what they leave and whether they go on.

    Args:
        tries: signals of each kind for each command.
        seed: the same seed gives the same moments, as parts of the command's length.
        commands: names, separated by commas or semicolons; all if omitted.
        cold: start a new Python for each run, so that signals also come while it imports its libraries.
        jobs: commands that are tried at a time.
        output: file for the table, written after each row.
    """
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    os.environ |= {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "MONAI_FAIL_ON_DUPLICATE_CONFIG": "1"}
    chosen = ";".join(commands) if isinstance(commands, list | tuple) else str(commands or ";".join(CASES))
    names = [name for name in CASES if name.partition(",")[0] in chosen]
    mounts, rows = can_mount(), list[Row]()
    with (
        tempfile.TemporaryDirectory(prefix="interrupt_") as place,
        nullcontext() if cold else Server() as server,
        ThreadPoolExecutor(jobs) as pool,
    ):
        inputs, lock = Path(place) / "inputs", Lock()
        make_inputs(inputs)

        def troubles(name: str) -> None:
            folder = Path(place) / str(names.index(name))
            folder.mkdir()
            command = Command(name, start_cold if server is None else server.start, inputs, folder)
            kinds = [partial(full, command)] * mounts + [partial(together, command)]
            kinds += [partial(interrupted, command, number, tries, seed) for number in SIGNALS]
            for kind in kinds:
                began = time.monotonic()
                row = kind()
                logger.info("%s, %.0f s, a run %.1f s", row, time.monotonic() - began, command.seconds)
                with lock:
                    rows.append(row)
                    rows.sort(key=lambda row: names.index(row.command))
                    if output is not None:
                        with atomic_path(output) as unfinished_table:
                            unfinished_table.write_text(table(rows) + "\n", encoding="utf-8")
            command.afresh()

        list(pool.map(troubles, names))
    print(table(rows) + ("" if mounts else "\n\nFull disks were not tried: only root may mount them."))


if __name__ == "__main__":
    run_command(interrupt_commands)
