"""Read damaged and crafted files, and count what happens.

    python tools/fuzz_readers.py --tries 300 --seed 0 [--readers NIfTI --readers DICOM] [--output fuzz.json] [--no-show]

Each try changes a small valid file (`fuzz_files.py`) in one way: flipped bits, a truncation, a block of zeros or noise,
extreme numbers in its first bytes, a changed word or number of a text, an element of DICOM or an item of HDF5 with a
value of another kind. It is read in a process of its own with limits of time and memory. The outcomes:

    right    the values of the valid file, though something was changed that is not used
    error    ValueError or OSError with the name of the file
    other    other values, without an error
    unclear  another exception, or a message without the name
    crash, hang, memory   the process died, took too long, or took too much memory
"""

import json
import logging
import os
import re
import resource
import select
import shutil
import signal
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from cyclopts import Parameter
from fuzz_changes import changed
from fuzz_files import KINDS, Kind

from unicoal_components.command_line import Switch, run_command
from unicoal_components.files.atomic import atomic_path

logger = logging.getLogger("fuzz_readers")

Readers = Annotated[Sequence[str], Parameter(n_tokens=1, metavar="KIND")]

OUTCOMES = ("right", "error", "other", "unclear", "crash", "hang", "memory")
SECONDS = 60.0
MEGABYTES = 400
"""Memory that a try may take beyond what the process has before."""


def digest(value: Any) -> Any:
    """Return a value in a form that can be compared and sent as text."""
    if isinstance(value, torch.Tensor):
        value = value.numpy()
    if isinstance(value, np.ndarray):
        return [list(value.shape), str(value.dtype), value.tobytes().hex()]
    if isinstance(value, dict):
        return [[str(key), digest(item)] for key, item in sorted(value.items(), key=lambda pair: str(pair[0]))]
    if isinstance(value, list | tuple):
        return [digest(item) for item in value]
    return repr(value)


def attempt(kind: Kind, path: Path, folder: Path) -> tuple[str, str]:
    """Read a file in a process of its own; return "value" with its digest, or an outcome with its reason."""
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read_end)
        _read(kind, path, folder, write_end)
    os.close(write_end)
    parts, deadline = [], time.monotonic() + SECONDS
    while (left := deadline - time.monotonic()) > 0:
        if select.select([read_end], [], [], left)[0]:
            part = os.read(read_end, 1 << 16)
            if not part:
                break
            parts.append(part)
    else:
        os.kill(child, signal.SIGKILL)
    os.close(read_end)
    _, status = os.waitpid(child, 0)
    if left <= 0:
        return "hang", f"more than {SECONDS:g} s"
    if os.WIFSIGNALED(status):
        return "crash", f"signal {os.WTERMSIG(status)}"
    outcome, _, reason = b"".join(parts).decode().partition("\n")
    return (outcome, reason) if outcome else ("crash", f"exit status {os.waitstatus_to_exitcode(status)}")


def _read(kind: Kind, path: Path, folder: Path, pipe: int) -> None:
    """Read in the child process, send the result and end."""
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    os.dup2(quiet, 2)
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resident = int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1024
    resource.setrlimit(resource.RLIMIT_AS, (size + (MEGABYTES << 21), size + (MEGABYTES << 21)))
    try:
        sent = "value\n" + json.dumps(digest(kind.read(path)))
    except (ValueError, OSError) as error:
        named = str(folder) in str(error)
        sent = f"{'error' if named else 'unclear'}\n{type(error).__name__}: {error}"
    except MemoryError:
        sent = "memory\nMemoryError"
    except BaseException as error:
        sent = f"unclear\n{type(error).__name__}: {error}"
    peak = _peak() - resident
    if peak > MEGABYTES << 10:
        sent = f"memory\n{peak / 1024:.0f} MB; {sent}"
    with os.fdopen(pipe, "w") as file:
        file.write(sent)
    os._exit(0)


def _peak() -> float:
    """Return the largest resident memory of this process in kB; that of getrusage is inherited by fork."""
    found = re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())
    return float(found[1]) if found else 0.0


def campaign(name: str, tries: int, seed: int, *, show: bool = False) -> tuple[Counter, list[dict[str, Any]]]:
    """Return how often each outcome occurred for a kind of file, and the tries that are no good outcome."""
    kind, counts, bad = KINDS[name], Counter[str](), []
    with tempfile.TemporaryDirectory(prefix="fuzz_") as place:
        valid = Path(place) / "valid"
        valid.mkdir()
        path = kind.make(valid).relative_to(valid)
        outcome, right = attempt(kind, valid / path, valid)
        if outcome != "value":
            raise RuntimeError(f"the valid file of '{name}' is not read: {outcome}, {right}")
        for number_of_try in range(tries):
            rng = np.random.default_rng([seed, sum(name.encode()), number_of_try])
            folder = Path(place) / f"try_{number_of_try}"
            shutil.copytree(valid, folder)
            files = [folder / path] if (folder / path).is_file() else sorted(folder.iterdir())
            if name == "Analyze":
                files = sorted(folder.iterdir())
            way = changed(files[int(rng.integers(len(files)))], kind.packed, rng)
            outcome, reason = attempt(kind, folder / path, folder)
            if outcome == "value":
                outcome = "right" if reason == right else "other"
            counts[outcome] += 1
            if outcome not in ("right", "error"):
                bad.append({"reader": name, "try": number_of_try, "way": way, "outcome": outcome})
                bad[-1]["reason"] = "" if outcome == "other" else reason[:300]
            if show and (outcome not in ("right", "error", "other")):
                logger.info("%s", bad[-1])
            shutil.rmtree(folder)
    return counts, bad


def table(results: dict[str, Counter]) -> str:
    """Return the counts as a table in Markdown."""
    lines = ["| file | tries | " + " | ".join(OUTCOMES) + " |", "|---" * (len(OUTCOMES) + 2) + "|"]
    for name, counts in results.items():
        cells = [str(counts.total()), *(str(counts[outcome]) for outcome in OUTCOMES)]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def fuzz_readers(
    *, tries: int = 100, seed: int = 0, readers: Readers = (), output: str | None = None, show: Switch = True
) -> None:
    """Count what happens when damaged and crafted files are read.

    Args:
        tries: number of changed files of each kind.
        seed: the same seed gives the same files.
        readers: names of kinds, such as `--readers "NIfTI, gzip" --readers DICOM`; all if omitted.
        output: JSON file for the counts and the bad tries.
        show: log each try that ends badly.
    """
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    names = list(readers or KINDS)
    unknown = sorted(set(names) - set(KINDS))
    if unknown:
        raise ValueError(f"readers has {unknown}; there are {list(KINDS)}.")
    results, bad = {}, []
    for name in names:
        started = time.monotonic()
        results[name], found = campaign(name, tries, seed, show=show)
        bad += found
        logger.info("%s: %s, %.0f s", name, dict(results[name]), time.monotonic() - started)
    print(table(results))
    if output is not None:
        with atomic_path(output) as partial:
            partial.write_text(json.dumps({"seed": seed, "counts": results, "bad": bad}, indent=1) + "\n")


if __name__ == "__main__":
    run_command(fuzz_readers)
