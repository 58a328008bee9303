"""Measure networks, training, loading, inference and preparation, each against its lower limit.

    python tools/benchmark.py [--cases "generator,training_step*"] [--repeats 5] [--threads 2] [--output FILE.json]
        [--compare EARLIER.json [--against LATER.json]]

Every repeat times the case and then its limit, under the same conditions; the table has medians, spreads
and the ratio. Every case runs in a separate process, so that its peak memory can be measured. The cases, and with
`training_step_mid` and `training_step_paper` the same for larger networks:

    generator                    forward of the paper's generator, float32 | its dense convolutions, channels-last
    generator_bfloat16           the same in bfloat16, and its PSNR to float32 | the same in bfloat16
    generator_compiled           the same in float32, compiled (not unless asked for)
    training_step                an iteration of the trainer, the bundle's default networks | its dense convolutions
    training_step_r1             with the R1 penalty | and one more forward and backward of the discriminator's
    training_step_sam            with the SAM loss on a small random encoder | and the matrix products
    training_step_checkpointing  with activations computed again instead of kept | as without
    training_step_compiled       with the generator compiled (not unless asked for) | as without
    training_step_alone[_compiled]  without a discriminator, with the predicted error | as without
    loading, loading_many        images from few and from many subjects, by workers | bare reads by h5py, one process
    loading_axial, _coronal, _sagittal  images of one plane, changed as in the trainings | the same
    volume, volume_double        a volume with the compact network, and one of twice the slices | its convolutions
    volume_same                  a volume of the same modality | the same
    preparation                  NIfTI scans to a subject file | writing the arrays by h5py
"""

import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from benchmark_cases import CASES, Options
from benchmark_measure import describe_row, measure
from tqdm import tqdm

from unicoal_components import __version__
from unicoal_components.command_line import Words, run_command
from unicoal_components.files.atomic import atomic_path
from unicoal_components.files.writable import check_writable
from unicoal_components.runtime.memory import keep_freed_memory

SCHEMA_VERSION = 1
NOT_UNLESS_ASKED = ("*_compiled", "training_step_paper*")
MAY_BE_ZERO = ("workers",)


def main(
    *,
    cases: Words = (),
    repeats: int = 5,
    threads: int | None = None,
    batch: int | None = None,
    resolution: int | None = None,
    channel_base: int | None = None,
    channel_max: int | None = None,
    num_layers: int | None = None,
    slices: int = 160,
    slice_edge: int = 200,
    images: int = 512,
    workers: int = 2,
    subjects: int = 10,
    subjects_many: int = 500,
    subject_edge: int = 160,
    subject_depth: int = 32,
    scan_edge: int = 160,
    output: str = "",
    compare: str = "",
    against: str = "",
    case: str = "",
) -> None:
    """Run the benchmark and print a table.

    Args:
        cases: names separated by commas, * stands for anything; all but compiled and paper-size ones by default.
        repeats: number of runs of every case and its limit.
        threads: threads of the arithmetic; torch's own choice by default.
        batch: batch size of networks and loader, instead of each case's own (generator 1, compact 8, mid and paper 4).
        resolution: resolution of the networks, instead of each case's own, as the next three.
        channel_base: channel base of generator and discriminator.
        channel_max: largest number of channels of generator and discriminator.
        num_layers: layers of the generator.
        slices: thin slices of the volume.
        slice_edge: height and width of its slices.
        images: images per run of the loader.
        workers: workers of the loader.
        subjects: subjects in the case loading.
        subjects_many: subjects in the case loading_many.
        subject_edge: height and width of their volumes in voxels.
        subject_depth: number of their slices; many subjects need about depth · edge² bytes each on the disk.
        scan_edge: edge of the scans to prepare, in voxels.
        output: JSON file for the results.
        compare: JSON file of an earlier run, to print next to this one.
        against: JSON file that replaces this run; nothing is run.
        case: one name; measure it in this process and write its row alone (every case is started so).
    """
    given = locals()
    options = Options(**{field.name: given[field.name] for field in fields(Options)})
    _check_numbers(options)
    earlier = read_results(compare) if compare else None
    if against:
        if earlier is None:
            raise ValueError(f"against is {against} but compare is missing; give both files, the earlier as --compare.")
        print(comparison(earlier, read_results(against)))
        return
    chosen = choose_cases(case or cases)
    if output:
        check_writable(Path(output).absolute().parent)
    if threads:
        torch.set_num_threads(threads)
    if case:
        write_json(output, run_case(chosen[0], options))
        return
    results = describe_run(options)
    results["cases"], failed = run_apart(chosen, options)
    print(table_of(results["cases"]))
    if output:
        write_json(output, results)
    if earlier is not None:
        print("\n" + comparison(earlier, results))
    if failed:
        raise ValueError(f"{len(failed)} of {len(chosen)} cases could not be measured: {'; '.join(failed)}.")


def _check_numbers(options: Options) -> None:
    for name, value in asdict(options).items():
        lowest = 0 if name in MAY_BE_ZERO else 1
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < lowest):
            raise ValueError(f"{name} is {value!r}; it must be an integer of at least {lowest}.")


def choose_cases(names: str | Sequence[str]) -> list[str]:
    """Return the names of cases that match patterns, without repetition.

    Raises:
        ValueError: a pattern matches none; the message lists the cases.
    """
    patterns = [str(part).strip() for part in (names.split(",") if isinstance(names, str) else names)]
    if not any(patterns):
        return [name for name in CASES if not any(fnmatchcase(name, pattern) for pattern in NOT_UNLESS_ASKED)]
    chosen: dict[str, None] = {}
    for pattern in patterns:
        found = [name for name in CASES if fnmatchcase(name, pattern)]
        if not found:
            raise ValueError(f"cases: there is no case '{pattern}'; there are {', '.join(CASES)}.")
        chosen |= dict.fromkeys(found)
    return list(chosen)


def run_case(name: str, options: Options) -> dict[str, Any]:
    """Measure one case in this process and return its row."""
    keep_freed_memory()
    torch.manual_seed(0)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    with tempfile.TemporaryDirectory(prefix="benchmark_", ignore_cleanup_errors=True) as folder:
        return measure(
            lambda: CASES[name](options, Path(folder), device), repeats=options.repeats, device=device, name=name
        )


def run_apart(names: Sequence[str], options: Options) -> tuple[list[dict[str, Any]], list[str]]:
    """Measure each case in a separate process; return the rows, and the reasons of failures."""
    rows, failed = [], []
    words = [f"--{name}={value}" for name, value in asdict(options).items() if value is not None]
    with tempfile.TemporaryDirectory(prefix="benchmark_") as folder:
        for name in tqdm(names, desc="cases", unit="case"):
            result = Path(folder) / "row.json"
            command = [sys.executable, __file__, f"--case={name}", f"--output={result}", *words]
            status = subprocess.run(command, check=False).returncode
            if status == 0:
                rows.append(json.loads(result.read_text(encoding="utf-8")))
            elif status < 0:
                failed.append(f"{name} was ended by signal {-status} (9: by the system, for want of memory)")
            else:
                failed.append(f"{name}, see above")
    return rows, failed


def describe_run(options: Options) -> dict[str, Any]:
    """Return date, machine, software and options of this run."""
    cuda = torch.cuda.is_available()
    return {
        "schema": SCHEMA_VERSION,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {
            "processor": processor_name(),
            "cores": os.cpu_count(),
            "threads": torch.get_num_threads(),
            "load": [round(value, 2) for value in os.getloadavg()],
            "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
            "device": torch.cuda.get_device_name() if cuda else "cpu",
        },
        "versions": {
            "unicoal_components": __version__,
            "python": platform.python_version(),
            **{name: version(name) for name in ("torch", "monai", "numpy", "h5py")},
        },
        "options": asdict(options),
    }


def processor_name() -> str:
    """Return the name of the processor as Linux knows it, else its architecture."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def write_json(path: str, content: Mapping[str, Any]) -> None:
    """Write a JSON file atomically; without a path print it."""
    text = json.dumps(content, indent=4)
    if not path:
        print(text)
        return
    with atomic_path(path) as partial:
        partial.write_text(text + "\n", encoding="utf-8")


def read_results(path: str) -> dict[str, Any]:
    """Read the JSON of an earlier run.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not one of this script.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"there are no results at '{path}'; give the file of an earlier --output.")
    try:
        results = json.loads(Path(path).read_text(encoding="utf-8"))
        for row in results["cases"]:
            row["case"], row["label"], row["seconds"]["median"], row["ratio"]["median"], row["peak_memory_gb"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"'{path}' does not hold results of this benchmark ({type(error).__name__}: {error}); give the file of an "
            "earlier --output, or run again."
        ) from error
    return results


def table_of(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the rows as a table."""
    head = ["case", "seconds", "CPU s", "limit s", "ratio", "peak GB (before)", "remark"]
    lines = [
        [
            row["case"],
            _spread(row["seconds"]),
            _short(row["cpu_seconds"]["median"]),
            _short(row["limit_seconds"]["median"]),
            _spread(row["ratio"]),
            f"{row['peak_memory_gb']:.2f} ({row['memory_before_gb']:.2f})",
            describe_row(row),
        ]
        for row in rows
    ]
    return _aligned([head, *lines])


def comparison(earlier: Mapping[str, Any], later: Mapping[str, Any]) -> str:
    """Return a table of two runs side by side; a quotient below 1 means that the later one is better.

    The quotient of the ratios is more reliable than that of the seconds if the machines, or their load, differ.
    """
    old = {row["case"]: row for row in earlier["cases"]}
    new = {row["case"]: row for row in later["cases"]}
    head = ["case", "seconds", "earlier", "quotient", "ratio", "earlier", "quotient", "peak GB", "earlier", "remark"]
    lines = []
    for name in [*new, *(name for name in old if name not in new)]:
        if name not in old or name not in new:
            lines.append([name, *[""] * 8, "only in the later run" if name in new else "only in the earlier run"])
            continue
        now, then = new[name], old[name]
        numbers: list[str] = []
        for key in ("seconds", "ratio"):
            values = now[key]["median"], then[key]["median"]
            numbers += [*map(_short, values), _short(values[0] / values[1])]
        memory = [f"{row['peak_memory_gb']:.2f}" for row in (now, then)]
        same = now["label"] == then["label"]
        lines.append([name, *numbers, *memory, "" if same else f"not the same: earlier {then['label']}"])
    return "\n".join(
        [*(_origin(run, word) for run, word in ((later, "later"), (earlier, "earlier"))), _aligned([head, *lines])]
    )


def _origin(run: Mapping[str, Any], word: str) -> str:
    machine = run.get("machine", {})
    return (
        f"{word}: {run.get('date', 'unknown date')}, {machine.get('processor', 'unknown processor')}, "
        f"{machine.get('device', 'unknown device')}, {machine.get('threads', '?')} threads, "
        f"torch {run.get('versions', {}).get('torch', '?')}"
    )


def _spread(value: Mapping[str, float]) -> str:
    return f"{_short(value['median'])} [{_short(value['min'])}..{_short(value['max'])}]"


def _short(value: float) -> str:
    return f"{value:.3g}"


def _aligned(lines: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)


if __name__ == "__main__":
    run_command(main)
