"""Measure the networks beside the bare convolutions that they cannot do without.

    python scripts/benchmark.py [--resolution 256] [--channel_base 16384] [--channel_max 512] [--num_layers 14]
        [--batch 1] [--repeats 5] [--threads 2] [--output FILE.json]

Every repeat times the generator's forward, then its dense convolutions alone (same shapes, channels-last, float32), so
that both see the same machine; the table gives medians, spreads and the ratio.
"""

import json
import platform
import resource
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch.utils._python_dispatch import TorchDispatchMode
from tqdm import trange

from unicoal_components.command_line import run_command
from unicoal_components.engines.memory import keep_freed_memory
from unicoal_components.networks.generator import Generator


class ConvolutionRecorder(TorchDispatchMode):
    """Note the shapes of the dense convolutions that run inside."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[torch.Size, torch.Size, list[int], list[int]]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Record dense convolutions and go on."""
        if func is torch.ops.aten.convolution.default:
            x, weight, _, stride, padding, _, _, _, groups = args
            if groups == 1:
                self.calls.append((x.shape, weight.shape, stride, padding))
        return func(*args, **(kwargs or {}))


def bare_convolutions(network: Generator, image: torch.Tensor) -> Callable[[], None]:
    """Return a function that runs the dense convolutions of a forward, and nothing else."""
    with ConvolutionRecorder() as recorder:
        network(image)
    inputs = {}
    for x_shape, weight_shape, stride, padding in recorder.calls:
        key = (x_shape, weight_shape, tuple(stride), tuple(padding))
        x = torch.randn(x_shape, device=image.device).contiguous(memory_format=torch.channels_last)
        inputs[key] = (x, torch.randn(weight_shape, device=image.device))

    def run() -> None:
        for x_shape, weight_shape, stride, padding in recorder.calls:
            x, weight = inputs[x_shape, weight_shape, tuple(stride), tuple(padding)]
            F.conv2d(x, weight, stride=stride, padding=padding)

    return run


def timed(function: Callable[[], Any], device: torch.device) -> tuple[float, float]:
    """Return wall seconds and CPU seconds of one call."""
    if device.type == "cuda":
        torch.cuda.synchronize()
    wall, cpu = time.perf_counter(), time.process_time()
    function()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - wall, time.process_time() - cpu


def peak_memory(device: torch.device) -> float:
    """Return the peak of the memory used so far, in GB: resident (CPU) or allocated (GPU)."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated() / 1e9
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def main(
    *,
    resolution: int = 256,
    channel_base: int = 2**14,
    channel_max: int = 512,
    num_layers: int = 14,
    batch: int = 1,
    repeats: int = 5,
    threads: int = 0,
    output: str = "",
) -> None:
    """Run the benchmark and print a table; `output` also writes it as JSON."""
    if threads:
        torch.set_num_threads(threads)
    keep_freed_memory()
    torch.manual_seed(0)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    before = peak_memory(device)
    network = Generator(
        resolution=resolution, channel_base=channel_base, channel_max=channel_max, num_layers=num_layers
    )
    network = network.to(device).eval()
    image = torch.rand(batch, network.in_channels, resolution, resolution, device=device) * 2 - 1
    parameters = sum(p.numel() for p in network.parameters())
    rows = []
    with torch.no_grad():
        network(image)
        memory = peak_memory(device)
        bare = bare_convolutions(network, image)
        bare()
        for _ in trange(repeats, desc="repeats"):
            rows.append(timed(lambda: network(image), device) + timed(bare, device))
    wall, cpu, bare_wall, bare_cpu = (
        {"median": statistics.median(column) / batch, "min": min(column) / batch, "max": max(column) / batch}
        for column in zip(*rows, strict=True)
    )
    ratios = [row[0] / row[2] for row in rows]
    result = {
        "case": f"generator forward, R {resolution}, base {channel_base}, max {channel_max}, batch {batch}, float32",
        "seconds_per_slice": wall,
        "cpu_seconds_per_slice": cpu,
        "bare_seconds_per_slice": bare_wall,
        "bare_cpu_seconds_per_slice": bare_cpu,
        "ratio": {"median": statistics.median(ratios), "min": min(ratios), "max": max(ratios)},
        "peak_memory_gb": memory,
        "memory_before_gb": before,
        "parameters": parameters,
        "machine": {
            "processor": platform.machine(),
            "device": str(device),
            "threads": torch.get_num_threads(),
            "torch": torch.__version__,
        },
    }
    print(result["case"])
    print(f"{'':28}{'median':>10}{'min':>10}{'max':>10}")
    for name, value in result.items():
        if isinstance(value, dict) and "median" in value:
            print(f"{name:28}" + "".join(f"{value[key]:10.3f}" for key in ("median", "min", "max")))
    print(f"peak memory {memory:.2f} GB (before the network: {before:.2f} GB), {parameters / 1e6:.2f} M parameters")
    if output:
        Path(output).write_text(json.dumps(result, indent=4) + "\n")


if __name__ == "__main__":
    run_command(main)
