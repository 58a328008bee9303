"""Read damaged and crafted files, and count what happens.

    python tools/fuzz_readers.py --tries 300 --seed 0 [--readers "NIfTI,DICOM"] [--output fuzz.json] [--show true]

Each try changes a small valid file (`fuzz_files.py`) in one way: flipped bits, a truncation, a block of zeros or noise,
extreme numbers in its first bytes, a changed word or number of a text, an element of DICOM or an item of HDF5 with a
value of another kind. It is read in a process of its own with limits of time and memory. The outcomes:

    right    the values of the valid file, though something was changed that is not used
    error    ValueError or OSError with the name of the file
    other    other values, without an error
    unclear  another exception, or a message without the name
    crash, hang, memory   the process died, took too long, or took too much memory
"""

import gzip
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
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pydicom
import torch
from fuzz_files import KINDS, Kind

from unicoal_components.command_line import run_command
from unicoal_components.files.atomic import atomic_path

logger = logging.getLogger("fuzz_readers")

OUTCOMES = ("right", "error", "other", "unclear", "crash", "hang", "memory")
SECONDS = 60.0
MEGABYTES = 400
"""Memory that a try may take beyond what the process has before."""
HEADER = 400
"""First bytes of a file, in which numbers are changed."""
NUMBERS = (0, -1, 1, 255, 32767, -32768, 2**31 - 1, -(2**31), 2**40)
TEXTS = ("nan", "inf", "-1", "0", "1e300", "99999999999999999999", "text", "", "../../etc/hostname", "a" * 300)
VALUES: tuple[Any, ...] = (None, True, -1, 0, 1e308, "text", "", [], [1, "a"], {}, {"a": 1}, [[[]]], "x" * 5000)

Random = np.random.Generator


def flip(content: bytes, rng: Random) -> bytes:
    """Flip one to three bits."""
    changed = bytearray(content)
    for at in rng.integers(0, 8 * len(changed), rng.integers(1, 4)):
        changed[at // 8] ^= 1 << int(at % 8)
    return bytes(changed)


def truncate(content: bytes, rng: Random) -> bytes:
    """Keep the beginning."""
    return content[: int(rng.integers(0, len(content)))]


def block(content: bytes, rng: Random) -> bytes:
    """Replace a block by zeros or noise, as a bad sector does."""
    start, size = int(rng.integers(0, len(content))), int(2 ** rng.integers(3, 10))
    size = min(size, len(content) - start)
    new = bytes(size) if rng.random() < 0.5 else rng.bytes(size)
    return content[:start] + new + content[start + size :]


def number(content: bytes, rng: Random) -> bytes:
    """Write an extreme number somewhere into the first bytes."""
    kind = str(rng.choice([">i2", "<i2", ">i4", "<i4", "<f4", ">f4", "<f8"]))
    value = rng.choice([np.nan, np.inf, -1.0, 0.0, 1e30]) if "f" in kind else rng.choice(NUMBERS)
    if "i" in kind:
        value = int(value) & (2 ** (8 * int(kind[2])) - 1)
        kind = kind.replace("i", "u")
    new = np.array(value).astype(kind).tobytes()
    start = int(rng.integers(0, min(HEADER, len(content))))
    return content[:start] + new + content[start + len(new) :]


def word(content: bytes, rng: Random) -> bytes:
    """Replace a word or number of a text."""
    found = list(re.finditer(rb"[\w.+-]+", content[:4000]))
    if not found:
        return flip(content, rng)
    match = found[int(rng.integers(len(found)))]
    return content[: match.start()] + str(rng.choice(TEXTS)).encode() + content[match.end() :]


def json_value(content: bytes, rng: Random) -> bytes:
    """Replace a value of a JSON text, at any depth, or nest it deeply."""
    if rng.random() < 0.05:
        return b"[" * 100_000
    root = {"": json.loads(content)}
    places: list[tuple[Any, Any]] = []
    stack: list[Any] = [root]
    while stack:
        here = stack.pop()
        for key, value in here.items() if isinstance(here, dict) else enumerate(here):
            places.append((here, key))
            stack += [value] if isinstance(value, dict | list) else []
    parent, key = places[int(rng.integers(len(places)))]
    parent[key] = VALUES[int(rng.integers(len(VALUES)))]
    return json.dumps(root[""]).encode()


def dicom_element(path: Path, rng: Random) -> None:
    """Give an element of a DICOM file, also of its functional groups, a value of another kind, or remove it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        whole = pydicom.dcmread(path)
        places = [(dataset, element) for dataset in _datasets(whole) for element in dataset if element.keyword]
        dataset, element = places[int(rng.integers(len(places)))]
        if rng.random() < 0.2:
            del dataset[element.tag]
        elif element.VR == "SQ":
            element.value = []
        elif element.VR in ("US", "UL", "SS", "FD", "FL"):
            values = [0, 1, 65535, [1, 2], None]
            element.value = values[int(rng.integers(len(values)))]
        else:
            kinds = ["LO", "US", "UN"] if rng.random() < 0.3 else [element.VR]
            texts = [*TEXTS, "1\\2", "\\", "1\\a\\3", "1e400"]
            text = texts[int(rng.integers(len(texts)))].encode()
            kind = str(rng.choice(kinds))
            raw = pydicom.dataelem.RawDataElement(element.tag, kind, len(text), text, 0, False, True)
            dataset._dict[element.tag] = raw  # as read from a file: the value is not checked
        whole.save_as(path)


def _datasets(dataset: pydicom.Dataset) -> list[pydicom.Dataset]:
    inner = [item for element in dataset if element.VR == "SQ" for item in element.value]
    return [dataset, *(one for item in inner for one in _datasets(item))]


def hdf5_item(path: Path, rng: Random) -> None:
    """Change an attribute of an HDF5 file, or replace a dataset by another or by one in another file."""
    with h5py.File(path, "a") as file:
        items: list[Any] = [file]
        file.visititems(lambda name, item: items.append(item))
        item = items[int(rng.integers(len(items)))]
        names = list(item.attrs)
        if names and rng.random() < 0.6:
            name = names[int(rng.integers(len(names)))]
            del item.attrs[name]
            values = [np.nan, -1, 0, "text", [1.0, 2.0], np.zeros((2, 2)), h5py.Empty("f"), [b"a", b"b"], 1e300]
            if rng.random() < 0.8:
                item.attrs[name] = values[int(rng.integers(len(values)))]
        elif isinstance(item, h5py.Dataset):
            parent, name = item.parent, item.name.rsplit("/", 1)[1]
            attributes = dict(item.attrs)
            del parent[name]
            choice = int(rng.integers(6))
            if choice == 0:
                parent[name] = h5py.ExternalLink("/etc/hostname", "/")
            elif choice == 1:
                parent[name] = h5py.SoftLink("/elsewhere")
            elif choice == 2:
                parent.create_dataset(name, (10, 14, 12), np.uint8, external=[("/etc/hostname", 0, 1680)])
            elif choice == 3:
                shape = tuple(int(size) for size in rng.choice([1, 10, 5000], 3))
                parent.create_dataset(name, shape, np.uint8, chunks=(1, 1, 1), compression="gzip")
            elif choice == 4:
                parent[name] = "text"
            else:
                parent[name] = np.full((10, 14, 12), np.nan)
            if choice > 1:
                parent[name].attrs.update(attributes)


def changed(path: Path, packed: bool, rng: Random) -> str:
    """Change a file in one way; return the name of the change."""
    content = path.read_bytes()
    ways: list[Callable[[bytes, Random], bytes]] = [flip, flip, truncate, block, number]
    if path.suffix in (".mha", ".nrrd"):
        ways += [word, word]
    elif path.suffix == ".json":
        ways = [flip, truncate, word, json_value, json_value, json_value]
    elif path.suffix in (".dcm", ".h5", ".mnc") and rng.random() < 0.4 and not content.startswith(b"CDF"):
        way = dicom_element if path.suffix == ".dcm" else hdf5_item
        try:
            way(path, rng)
            return way.__name__
        except Exception:  # the library does not write what was asked for
            path.write_bytes(content)
    way_of_bytes = ways[int(rng.integers(len(ways)))]
    if packed:
        path.write_bytes(gzip.compress(way_of_bytes(gzip.decompress(content), rng)))
    else:
        path.write_bytes(way_of_bytes(content, rng))
    return way_of_bytes.__name__


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
    *, tries: int = 100, seed: int = 0, readers: Any = None, output: str | None = None, show: bool = True
) -> None:
    """Count what happens when damaged and crafted files are read.

    Args:
        tries: number of changed files of each kind.
        seed: the same seed gives the same files.
        readers: names of kinds, separated by commas; all if omitted.
        output: JSON file for the counts and the bad tries.
        show: log each try that ends badly.
    """
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    names = list(KINDS) if readers is None else _names(readers)
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


def _names(readers: Any) -> list[str]:
    """Return the names in a text; those with a comma of their own are matched first."""
    left = ",".join(readers) if isinstance(readers, list | tuple) else str(readers)
    found = []
    for name in sorted(KINDS, key=len, reverse=True):
        if re.search(rf"(^|,)\s*{re.escape(name)}\s*(,|$)", left):
            found.append(name)
            left = re.sub(rf"(^|,)\s*{re.escape(name)}\s*(?=,|$)", "", left)
    return [name for name in KINDS if name in found] + [name for name in left.split(",") if name.strip()]


if __name__ == "__main__":
    run_command(fuzz_readers)
