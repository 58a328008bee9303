"""`unicoal export`: the network of a bundle in formats that other programs run."""

import json
import logging
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..files.atomic import atomic_path
from .bundle_run import importable
from .bundles import HOME, METADATA, bundle_folder, configs_of, weights_of
from .settings import Configs

if TYPE_CHECKING:
    from monai.bundle import ConfigParser
    from torch import Tensor, nn

logger = logging.getLogger(__name__)

FORMATS = {".onnx": "ONNX", ".pt2": "torch.export", ".ts": "TorchScript"}
"""Name of the format by the suffix of the file."""


def export(*, output: str, weights: str | None = None, config: Configs = (), bundle: str = HOME) -> None:
    """Export the network; the suffix of the file is the format.

    ONNX, for programs without this package; its metadata describe all that is done around the network. It needs
    `pip install "unicoal-components[export]"`:

        unicoal export --output unicoal.onnx

    `torch.export`, and TorchScript, both with all inputs of the network:

        unicoal export --output unicoal.pt2
        unicoal export --output unicoal.ts

    The input `image` has slice groups (B, slices of a group, rows, columns) in [-1, 1]. Rows and columns are fixed.

    Args:
        output: file to write, `.onnx`, `.pt2` or `.ts`.
        weights: file of weights; otherwise those that are shipped.
        config: JSON files with values of the network on top of the bundle's `inference.json`; those of the training.
        bundle: unified, sr, cms, cmsr, or the folder of a bundle.

    Raises:
        ValueError: the suffix is unknown, a package for ONNX is missing, or the weights do not fit.
        OSError: a file is missing or cannot be written.
    """
    path = Path(output)
    if path.suffix not in FORMATS:
        formats = ", ".join(f"{suffix} ({name})" for suffix, name in FORMATS.items())
        raise ValueError(f"output '{output}' has an unknown suffix; it must be one of {formats}.")
    if path.suffix == ".onnx" and not all(map(find_spec, ("onnx", "onnxscript"))):
        raise ValueError('ONNX needs onnx and onnxscript: pip install "unicoal-components[export]".')
    folder = bundle_folder(bundle)
    configs = configs_of(folder, ["inference.json"], config)
    place = weights_of(folder, weights)
    importable(folder.absolute())
    with atomic_path(path) as partial:
        if path.suffix == ".onnx":
            _export_onnx(partial, folder, configs, place)
        elif path.suffix == ".pt2":
            _export_program(partial, configs, place)
        else:
            _export_torchscript(partial, folder, configs, place)
    logger.info("wrote %s, %s, %.1f MB", path, FORMATS[path.suffix], path.stat().st_size / 1e6)


def _export_onnx(path: Path, folder: Path, configs: list[Path], weights: Path) -> None:
    from ..inference.onnx import SliceNetwork, description_of, save_onnx

    config, network = read_network(configs, weights)
    metadata = json.loads((folder / METADATA).read_text(encoding="utf-8"))
    save_onnx(SliceNetwork(network).eval(), description_of(config, metadata), path)


def _export_program(path: Path, configs: list[Path], weights: Path) -> None:
    import torch

    _, network = read_network(configs, weights)
    image, given = example(network, batch=2)
    with torch.no_grad(), open(path, "wb") as file:
        torch.export.save(torch.export.export(network, (image,), given, dynamic_shapes=any_batch(given)), file)


def _export_torchscript(path: Path, folder: Path, configs: list[Path], weights: Path) -> None:
    from monai.bundle import ckpt_export

    ckpt_export(
        net_id="network_def",
        filepath=str(path),
        ckpt_file=str(weights),
        meta_file=str(folder / METADATA),
        config_file=[str(config) for config in configs],
    )


def read_network(configs: list[Path], weights: Path) -> "tuple[ConfigParser, nn.Module]":
    """Return the values of configs, and their network with its weights, in eval mode.

    Args:
        configs: a bundle's `inference.json`, and overlays.
        weights: file of weights.

    Raises:
        OSError: a file is missing or damaged.
        ValueError: the weights do not fit.
    """
    from monai.bundle import ConfigParser

    from ..runtime.weights import load_weights

    parser = ConfigParser(ConfigParser.load_config_files([str(config) for config in configs]))
    return parser, load_weights(network=parser.get_parsed_content("network_def"), path=str(weights)).eval()


def any_batch(given: "dict[str, Tensor]") -> dict[str, Any]:
    """Return dynamic shapes: the first axis of the image and of the conditions may have any size."""
    import torch

    return {name: {0: torch.export.Dim.DYNAMIC} for name in ("image", *given)}


def example(network: Any, *, batch: int) -> "tuple[Tensor, dict[str, Tensor]]":
    """Draw slice groups and conditions for a generator, the same in each call.

    Args:
        network: the generator.
        batch: number of slice groups.

    Returns:
        Image (batch, S, R, R) in [-1, 1], and the conditions by name.
    """
    import torch

    rng = torch.Generator().manual_seed(batch)
    size = network.resolution
    source = torch.arange(batch) % network.num_modalities
    target = source.flip(0)
    given = {
        "z": torch.randn(batch, network.z_dim, generator=rng),
        "modality": target,
        "position": torch.rand(batch, generator=rng),
        "same_modality": source == target,
        "source_modality": source,
        "factor": 1 + 5 * torch.rand(batch, generator=rng),
        "thickness": 0.6 + 0.7 * torch.rand(batch, generator=rng),
    }
    return 2 * torch.rand(batch, network.in_channels, size, size, generator=rng) - 1, given
