"""Measurement of a case: time of the work and its limit in turns, and peak memory."""

import multiprocessing
import os
import resource
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from tqdm import trange

ATEN = torch.ops.aten
WEIGHT_AND_GROUPS = {ATEN.convolution.default: (1, 8), ATEN.convolution_backward.default: (2, 9)}
"""Of the convolutions: at which place their arguments have the weight and the groups."""
PRODUCTS = {ATEN.mm.default, ATEN.addmm.default, ATEN.bmm.default, ATEN.baddbmm.default}


@dataclass
class Work:
    """Work that a case measures.

    Attributes:
        label: description with sizes.
        run: function that does the work.
        limit: returns a function that does only the necessary part of the work; called after the work has been run.
        items: number of slices, images or scans per run.
        unit: their name in the plural.
        warm_ups: runs before the first measured one; the peak memory is theirs.
        details: returns further numbers, from the measured row; called last.
    """

    label: str
    run: Callable[[], Any]
    limit: Callable[[], Callable[[], Any]]
    items: int
    unit: str
    warm_ups: int = 1
    details: Callable[[dict], dict[str, float]] = lambda row: {}


def measure(build: Callable[[], Work], *, repeats: int, device: torch.device, name: str) -> dict[str, Any]:
    """Run the work and its limit alternately, under the same conditions.

    Args:
        build: makes the work; the memory before counts from here.
        repeats: of both.
        device: on which the work runs.
        name: of the case.

    Returns:
        The row of the case: label, items, unit; median, min and max of the seconds (wall and CPU) and of their ratios;
        the first run's seconds, memory in GB, details.
    """
    before = peak_memory(device)
    work = build()
    first = [timed(work.run, device) for _ in range(work.warm_ups)][0]
    memory = peak_memory(device)
    limit = work.limit()
    limit()
    turns = trange(repeats, desc=name, leave=False)
    times = [(*timed(work.run, device), *timed(limit, device)) for _ in turns]
    seconds, cpu_seconds, limit_seconds, limit_cpu_seconds = (spread(column) for column in zip(*times, strict=True))
    row = {
        "case": name,
        "label": work.label,
        "items": work.items,
        "unit": work.unit,
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
        "limit_seconds": limit_seconds,
        "limit_cpu_seconds": limit_cpu_seconds,
        "ratio": spread(wall / bare for wall, _, bare, _ in times),
        "cpu_ratio": spread(cpu / bare for _, cpu, _, bare in times),
        "items_per_second": work.items / seconds["median"],
        "first_seconds": first[0],
        "peak_memory_gb": memory,
        "memory_before_gb": before,
    }
    return row | {"details": work.details(row)}


def spread(values: Iterable[float]) -> dict[str, float]:
    """Return median, min and max."""
    values = list(values)
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def timed(function: Callable[[], Any], device: torch.device) -> tuple[float, float]:
    """Return wall seconds and CPU seconds (of this process and its workers) of one call."""
    _wait_for(device)
    wall, cpu = time.perf_counter(), cpu_seconds()
    function()
    _wait_for(device)
    return time.perf_counter() - wall, cpu_seconds() - cpu


def _wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def cpu_seconds() -> float:
    """Return the CPU seconds of this process and, where the system tells, of its running workers."""
    total = time.process_time()
    for worker in multiprocessing.active_children():
        try:
            fields = Path(f"/proc/{worker.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:  # no Linux, or the worker has ended
            continue
        total += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return total


def peak_memory(device: torch.device) -> float:
    """Return the peak of the memory used so far, in GB: resident (CPU) or allocated (GPU)."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e9
    # On Linux ru_maxrss begins with what the process that started this one had.
    kilobytes = _kilobytes(Path("/proc/self/status"), "VmHWM")
    if kilobytes is not None:
        return kilobytes * 1024 / 1e9
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9


def resident_memory() -> float:
    """Return the resident memory of this process and its workers in GB, with shared memory counted once.

    If the system does not report it, return the peak of this process.
    """
    pids = [os.getpid(), *(worker.pid for worker in multiprocessing.active_children())]
    parts = [_kilobytes(Path(f"/proc/{pid}/smaps_rollup"), "Pss") for pid in pids]
    known = [part for part in parts if part is not None]
    return sum(known) * 1024 / 1e9 if known else peak_memory(torch.device("cpu"))


def _kilobytes(path: Path, field: str) -> int | None:
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) for line in lines if line.startswith(f"{field}:")), None)


@dataclass(frozen=True)
class _Like:
    """A tensor without its values."""

    shape: torch.Size
    dtype: torch.dtype
    channels_last: bool


class DenseRecorder(TorchDispatchMode):
    """Note the dense convolutions that run inside, forward and backward: those of one group.

    Args:
        products: note matrix products too.
    """

    def __init__(self, *, products: bool = False) -> None:
        super().__init__()
        self.products = products
        self.calls: list[tuple[Callable, tuple, dict]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Record the call and run it."""
        kwargs = kwargs or {}
        weight, groups = WEIGHT_AND_GROUPS.get(func, (None, None))
        if (groups is not None and args[groups] == 1) or (self.products and func in PRODUCTS):
            images = [weight is not None and place != weight for place in range(len(args))]
            self.calls.append((func, tuple(map(_without_values, args, images)), dict(kwargs)))
        return func(*args, **kwargs)


def _without_values(value: Any, image: bool) -> Any:
    if not isinstance(value, Tensor):
        return value
    return _Like(value.shape, value.dtype, channels_last=image and value.ndim == 4)


def dense_operations(
    function: Callable[[], Any], device: torch.device, *, products: bool = False
) -> Callable[[], None]:
    """Return a function that does the dense convolutions of `function`, and nothing else.

    Shapes, types and the gradients asked for are the same, the images channels-last. Tensors are made in its first
    call, one for all uses of a shape.
    """
    with DenseRecorder(products=products) as recorder:
        function()
    if not recorder.calls:
        raise ValueError("there is no dense convolution in this case, so it has no limit to be compared with")
    made: dict[_Like, Tensor] = {}

    def real(value: Any) -> Any:
        if not isinstance(value, _Like):
            return value
        if value not in made:
            tensor = torch.randn(value.shape, device=device).to(value.dtype)
            made[value] = tensor.contiguous(memory_format=torch.channels_last) if value.channels_last else tensor
        return made[value]

    @torch.no_grad()
    def run() -> None:
        for operation, args, kwargs in recorder.calls:
            operation(*map(real, args), **kwargs)

    return run


def describe_row(row: Mapping[str, Any]) -> str:
    """Return the facts of a row that the table's columns omit."""
    numbers = {f"{row['unit']} per second": row["items_per_second"]} | row["details"]
    return "; ".join([row["label"], *(f"{key.replace('_', ' ')} {value:.4g}" for key, value in numbers.items())])
