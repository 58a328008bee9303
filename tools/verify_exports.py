"""Export a bundle's network in all formats, load the files and compare them with the network."""

import os
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from itertools import product
from pathlib import Path
from typing import Any

import monai.bundle
import numpy as np
import torch
from torch import Tensor, nn

from unicoal_components.commands.export import any_batch, example
from unicoal_components.inference.onnx import SliceNetwork, save_onnx

TOLERANCE = 1e-5
"""Largest difference of TorchScript and torch.export, as a share of the largest value of the network's output."""
ONNX_TOLERANCE = 1e-4
"""The same of onnxruntime, which computes by other kernels."""
NAMES = ("z", "modality", "position", "same_modality", "source_modality", "factor", "thickness")

Run = Callable[..., Tensor]


def compare_torchscript(network: Any, root: Path, folder: Path) -> str:
    """Export by the command that the model zoo uses, `ckpt_export`; load, and compare.

    Args:
        network: with the bundle's weights, in eval mode.
        root: of the bundle, importable.
        folder: for the file.

    Returns:
        A remark with the largest difference.

    Raises:
        ValueError: the outputs differ by more than the tolerance.
    """
    path = folder / "model.ts"
    with _quiet():
        monai.bundle.ckpt_export(filepath=str(path), bundle_root=str(root), **_bundle_files(root))
    return _judge(network, torch.jit.load(path), tolerance=TOLERANCE, with_error=(False, network.error_output))


def compare_onnx(network: nn.Module, root: Path, folder: Path) -> str:
    """Export by the command `onnx_export`, which takes one image and no condition; see `compare_torchscript`."""
    path = folder / "model.onnx"
    with _quiet(), _temporary_files_in(folder):  # the command leaves one there
        monai.bundle.onnx_export(filepath=str(path), **_bundle_files(root))
    return _judge(network, run_onnx(path), tolerance=ONNX_TOLERANCE, batches=(1,), conditions=((),))


def compare_unicoal_onnx(network: nn.Module, root: Path, folder: Path) -> str:
    """Export to ONNX as `unicoal export` does, for any number of images and with all conditions but the latent code.

    See `compare_torchscript`.
    """
    path = folder / "unicoal.onnx"
    with _quiet():
        save_onnx(SliceNetwork(network).eval(), {}, path)
    run = run_onnx(path)

    def exported(image: Tensor, *, same_modality: Tensor, with_error: bool = False, **given: Tensor) -> Tensor:
        given |= {"target": given.pop("modality"), "source": given.pop("source_modality")}
        both = run(image, **given)
        return both if with_error else both[:, :1]

    errors = (False, bool(network.error_output))
    return _judge(network, exported, tolerance=ONNX_TOLERANCE, conditions=(NAMES[1:],), with_error=errors)


def compare_torch_export(network: nn.Module, root: Path, folder: Path) -> str:
    """Export by `torch.export` without conditions and, to a file, with all; see `compare_torchscript`."""
    path = folder / "model.pt2"
    image, given = example(network, batch=2)
    with _quiet(), torch.no_grad():
        alone = torch.export.export(network, (image,), dynamic_shapes=any_batch({})).module()
        program = torch.export.export(network, (image,), given, dynamic_shapes=any_batch(given))
        torch.export.save(program, path)
        with_conditions = torch.export.load(path).module()
    _judge(network, alone, tolerance=TOLERANCE, conditions=((),))
    return _judge(network, with_conditions, tolerance=TOLERANCE, conditions=(NAMES,))


def run_onnx(path: Path) -> Run:
    """Return a function that runs an ONNX file on the CPU and takes what the network takes."""
    import onnxruntime  # an optional dependency

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def run(image: Tensor, **given: Tensor) -> Tensor:
        inputs = {"image": image.numpy()} | {name: value.numpy() for name, value in given.items()}
        return torch.from_numpy(np.concatenate(session.run(None, inputs), axis=1))

    return run


def largest_difference(
    network: nn.Module,
    exported: Run,
    *,
    batches: Sequence[int],
    conditions: Sequence[Sequence[str]],
    with_error: Sequence[bool] = (False,),
) -> float:
    """Return by how much an exported network differs, as a share of the largest value of the network's output.

    Args:
        network: the generator.
        exported: takes the image and the conditions by name.
        batches: numbers of images to try.
        conditions: names of the conditions to give together, () for none.
        with_error: whether to ask for the predicted error, each to try.
    """
    differences = []
    for batch in batches:
        image, given = example(network, batch=batch)
        for names, error in product(conditions, set(with_error)):
            chosen: dict[str, Any] = {name: given[name] for name in names} | ({"with_error": True} if error else {})
            with torch.no_grad():
                expected, result = network(image, **chosen), exported(image, **chosen)
            if result.shape != expected.shape:
                raise ValueError(f"the exported network gives {list(result.shape)}, not {list(expected.shape)}")
            differences.append((result - expected).abs().max() / expected.abs().max())
    return float(torch.stack(differences).max())  # which keeps what is not a number


def _judge(
    network: nn.Module,
    exported: Run,
    *,
    tolerance: float,
    batches: Sequence[int] = (1, 3),
    conditions: Sequence[Sequence[str]] = ((), NAMES),
    with_error: Sequence[bool] = (False,),
) -> str:
    difference = largest_difference(network, exported, batches=batches, conditions=conditions, with_error=with_error)
    if not difference <= tolerance:  # nor not a number
        raise ValueError(
            f"the exported network differs by {difference:.1e} of the largest value; {tolerance} is allowed"
        )
    return f"differs by {difference:.1e}"


def _bundle_files(root: Path) -> dict[str, Any]:
    configs = root / "configs"
    return {
        "net_id": "network_def",
        "ckpt_file": str(root / "models" / "model.pt"),
        "meta_file": str(configs / "metadata.json"),
        "config_file": str(configs / "inference.json"),
    }


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporters' warnings and steps to themselves."""
    with warnings.catch_warnings(), open(os.devnull, "w", encoding="utf-8") as nowhere, redirect_stdout(nowhere):
        warnings.simplefilter("ignore")
        yield


@contextmanager
def _temporary_files_in(folder: Path) -> Iterator[None]:
    before, tempfile.tempdir = tempfile.tempdir, str(folder)
    try:
        yield
    finally:
        tempfile.tempdir = before
