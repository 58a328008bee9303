"""Convert a generator of the official implementation into the weights of a bundle.

    python scripts/import_official.py --checkpoint latest_net_G_ema.pth --output bundles/unified/models/model.pt

The values that the bundle's configs need for it are written to the standard output as JSON, so that `> official.json`
makes an overlay: `--config_file "['configs/inference.json','official.json']"`.
"""

if __name__ == "__main__":
    from unicoal_components import interruption

    interruption.start()

import inspect
import json
import logging
import pickle
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from unicoal_components.command_line import Words, run_command
from unicoal_components.files.atomic import atomic_path
from unicoal_components.files.checksum import record_path
from unicoal_components.networks.generator import Generator
from unicoal_components.networks.official import generator_from_official, generator_settings
from unicoal_components.runtime.weights import check_archive

logger = logging.getLogger("import_official")

OFFICIAL_MODALITIES = ["t1", "t2", "pd"]
HINT = (
    "Give the state dict that an official training run leaves, latest_net_G_ema.pth "
    "(torch.save(generator.state_dict(), path))."
)


def import_official(
    *, checkpoint: str, output: str, modalities: Words | None = None, skip_resolution: int | None = None
) -> None:
    """Import an official checkpoint: write the weights, and print the values for the bundle's configs.

    Args:
        checkpoint: official generator, such as latest_net_G_ema.pth.
        output: file for the weights, such as bundles/unified/models/model.pt; replaced if it exists.
        modalities: names in the order of the classes, such as t1,t2,pd, which is the default for three.
        skip_resolution: limit of the skips, if the official run had an effective one; a checkpoint does not contain it.
    """
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    state = read_checkpoint(checkpoint)
    try:
        settings = generator_settings(state)
        names = modality_names(modalities, count=settings["num_modalities"])
        network = generator_from_official(state, skip_resolution=skip_resolution)
    except ValueError as error:
        raise ValueError(f"'{checkpoint}' cannot be imported: {error}. {HINT}") from error
    with atomic_path(output) as partial, open(partial, "wb") as file:
        torch.save(network.state_dict(), file)
        record_path(output).unlink(missing_ok=True)  # record of the weights to be replaced
    logger.info("wrote %s, %.2f million parameters", output, sum(p.numel() for p in network.parameters()) / 1e6)
    if names is None:
        logger.info("note: add the names of the %d modalities in the run's order", settings["num_modalities"])
    logger.info("set these values in the configs, or put them on top as an overlay:")
    print(json.dumps(config_values(settings, names, skip_resolution), indent=4))


def read_checkpoint(path: str) -> dict[str, torch.Tensor]:
    """Read a state dict without running any code in the file.

    Raises:
        FileNotFoundError: there is no such file.
        OSError: the file cannot be opened.
        ValueError: the file is truncated, would run code, or contains other data.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"the checkpoint '{path}' is not a file. {HINT}")
    try:
        with open(path, "rb") as file:
            file.read(1)
    except OSError as error:
        raise OSError(f"the checkpoint '{path}' cannot be opened: {error.strerror}. Make it readable.") from error
    check_archive(path)
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ValueError(
            f"the checkpoint '{path}' holds other objects than tensors, whose loading could run code, or is damaged; "
            f"it was not loaded. {HINT}"
        ) from error
    except (RuntimeError, OSError, EOFError, ValueError, LookupError, AttributeError) as error:
        raise ValueError(
            f"the checkpoint '{path}' is truncated, or not a PyTorch file. Copy it again, completely. {HINT}"
        ) from error
    if not (isinstance(state, dict) and all(isinstance(value, torch.Tensor) for value in state.values())):
        raise ValueError(f"the checkpoint '{path}' is not a plain dictionary of tensors. {HINT}")
    return state


def modality_names(names: Sequence[str] | str | None, *, count: int) -> list[str] | None:
    """Return the names of the modalities, or `None` if they are unknown.

    Raises:
        ValueError: the number of names is not the network's number of classes.
    """
    if names is None:
        return OFFICIAL_MODALITIES if count == len(OFFICIAL_MODALITIES) else None
    chosen = [str(name).strip() for name in (names.split(",") if isinstance(names, str) else names)]
    if len(chosen) != count:
        raise ValueError(f"modalities {','.join(chosen)} are {len(chosen)} names, but the network has {count} classes")
    return chosen


def config_values(settings: dict[str, Any], names: list[str] | None, skip_resolution: int | None) -> dict[str, Any]:
    """Return the values that differ from a bundle's own, under the configs' names."""
    values: dict[str, Any] = {} if names is None else {"modalities": names}
    values |= {"resolution": settings["resolution"], "slice_group_size": settings["in_channels"]}
    named = ("num_layers", "channel_base", "channel_max", "w_dim", "image_style_dim", "z_dim")
    values |= {name: settings[name] for name in named}
    values |= {"dropout": 0.5, "position_embedding": "linear", "residual": False}
    defaults = inspect.signature(Generator).parameters
    rare = {name: settings[name] for name in ("mapping_layers", "encoder_modulated", "encoder_embedding_dim")}
    rare["skip_resolution"] = skip_resolution
    return values | {f"network_def::{name}": value for name, value in rare.items() if value != defaults[name].default}


if __name__ == "__main__":
    run_command(import_official)
