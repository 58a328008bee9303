"""Files of weights: write them atomically, read and load them with helpful errors."""

import io
import json
import logging
import pickle
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from ignite.engine import Engine, Events
from torch import nn

from ..files.atomic import atomic_path
from ..files.checksum import SHA256, file_sha256, record_path
from ..files.json_file import read_json
from .distributed import unwrap

logger = logging.getLogger(__name__)

SIZES = (  # tensor of a generator, its axis, the value of the config that the length comes from
    ("mapping.w_avg", 0, "w_dim"),
    ("mapping.embed_modality.weight", 0, "z_dim"),
    ("mapping.embed_modality.weight", 1, "the number of modalities (one more with residual)"),
    ("encoder.layers.0.conv.weight", 1, "slice_group_size"),
    ("within.head.weight", 0, "detail_channels"),
    ("encoder.style_linear.weight", 0, "image_style_dim"),
    ("encoder.style_conv.weight", 0, "the width at the coarsest layer (channel_base, channel_max)"),
    ("encoder.layers.0.conv.weight", 0, "the width at the finest layer (channel_base, channel_max, resolution)"),
)
LAYER = re.compile(r"synthesis\.layers\.(\d+)\.conv\.weight")


def save_weights(content: Mapping[str, Any], path: str | Path, *, record: Mapping[str, Any] | None = None) -> None:
    """Write a state dict atomically: if the process is killed or the disk is full, the old file stays.

    Args:
        content: the state dict.
        path: file to write.
        record: content of the JSON record beside the weights, which is written with their checksum and put in place
            at the same moment; `None` = no record.

    Raises:
        OSError: the file cannot be written; the message names it.
    """
    buffer = io.BytesIO()  # on a full disk torch.save reports neither the file nor the cause
    torch.save(_unshared(dict(content), {}), buffer)
    with atomic_path(path) as partial:
        partial.write_bytes(buffer.getbuffer())
        if record is not None:
            _write_record(record_path(path), record, partial)


def _unshared(value: Any, texts: dict[str, str]) -> Any:
    """Return a copy without shared containers, in which equal texts are one object.

    Pickle writes an object once that is met twice, so that the bytes of equal contents would depend on whether they
    have been read from a file.
    """
    if isinstance(value, str):
        return texts.setdefault(value, value)
    if isinstance(value, dict):
        copied: Any = type(value)((_unshared(name, texts), _unshared(item, texts)) for name, item in value.items())
        if hasattr(value, "_metadata"):  # of a network's state: versions of its modules
            copied._metadata = _unshared(value._metadata, texts)
        return copied
    if type(value) in (list, tuple):
        return type(value)(_unshared(item, texts) for item in value)
    return value


def record_checksum(path: str | Path) -> str:
    """Write the checksum of weights into the record beside them, which is made if needed; return it.

    Only for weights that `save_weights` did not write with their record.

    Raises:
        FileNotFoundError: see `read_weights`.
        ValueError: the weights are damaged, or the record is no JSON object.
    """
    check_archive(path)
    record = record_path(path)
    content = read_json(record) if record.is_file() else {}
    if not isinstance(content, dict):
        raise ValueError(f"'{record}' is no record of weights; remove it.")
    return _write_record(record, content, path)


def _write_record(record: Path, content: Mapping[str, Any], weights: str | Path) -> str:
    checksum = file_sha256(weights)
    with atomic_path(record) as partial:
        partial.write_text(json.dumps({**content, SHA256: checksum}, indent=4) + "\n", encoding="utf-8")
    return checksum


def read_weights(path: str | Path) -> dict[str, Any]:
    """Read a state dict onto the CPU, without running any code in the file.

    The checksums in the file, and that in the record beside it, are compared with its content first.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is truncated or damaged, is not that of its record, or holds other objects than tensors,
            numbers and containers.
    """
    check_archive(path)
    _check_record(path)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, pickle.UnpicklingError, EOFError, OSError, ValueError, KeyError, AttributeError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        if isinstance(error, pickle.UnpicklingError):  # torch advises to run the code in the file
            reason = "it holds other things than tensors, numbers and containers"
        raise ValueError(
            f"{path} cannot be read as weights ({reason}); it is truncated, or not a state dict. Copy it again, or "
            "remove it and train."
        ) from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} holds a {type(content).__name__}, not a dictionary of weights; give another file")
    return content


def check_archive(path: str | Path) -> None:
    """Compare the parts of a file of weights with their checksums (CRC-32), which torch writes but does not compare.

    Files of torch before 1.6 are no archives and have no checksums.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a part is damaged.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"there are no weights at {path}; train first, or give the path of a .pt file")
    if not zipfile.is_zipfile(path):
        return
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
    except Exception as error:  # of a damaged directory: BadZipFile, NotImplementedError, UnicodeDecodeError, ...
        damaged = str(error) or type(error).__name__
    if damaged is not None:
        raise ValueError(
            f"{path} is damaged: its content does not match its checksum ({damaged}). Copy it again, or remove it and "
            "train."
        )


def _check_record(path: str | Path) -> None:
    """Raise an error if the record beside weights holds the checksum of another file."""
    record = record_path(path)
    try:
        content = read_json(record)
    except (OSError, ValueError):
        return  # no record, or none that can be read; the archive's own checksums hold
    recorded = content.get(SHA256) if isinstance(content, dict) else None
    if recorded is not None and recorded != file_sha256(path):
        raise ValueError(
            f"{path} has not the sha256 in its record '{record}': it is damaged, or the record is of other weights. "
            "Copy both again, or remove the record; then an evaluation does not know the training subjects."
        )


def load_weights(*, network: nn.Module, path: str | Path | None, device: str | torch.device | None = None) -> nn.Module:
    """Load weights from a file into a network, all of them or none.

    Args:
        network: any network, or its `DistributedDataParallel`.
        path: a plain state dict, e.g. `model.pt`, or a `checkpoint.pt`, of which the averaged generator is used;
            `None` leaves the network unchanged.
        device: device to move the network to afterwards; `None` = do not move.

    Returns:
        `network`, in eval mode.

    Raises:
        FileNotFoundError: see `read_weights`.
        ValueError: see `read_weights`, or the weights do not fit the network.
    """
    if path is not None:
        state = read_weights(path)
        state = state.get("average") or state.get("generator") or state
        check_fit(state, unwrap(network).state_dict(), path=path, name="the network")
        unwrap(network).load_state_dict(state)
        logger.info("Loaded weights from %s", path)
    return (network if device is None else network.to(device)).eval()


class LoadWeights:
    """Load weights when an engine starts, like MONAI's `CheckpointLoader`, with errors that name a remedy.

    Args:
        network: see `load_weights`.
        path: see `load_weights`; read when the engine starts, not before.
    """

    def __init__(self, *, network: nn.Module, path: str | Path) -> None:
        self.network = network
        self.path = path

    def attach(self, engine: Engine) -> None:
        """Load when `engine` starts."""
        engine.add_event_handler(Events.STARTED, self)

    def __call__(self, engine: Engine) -> None:
        """Load the weights."""
        load_weights(network=self.network, path=self.path)


def check_fit(
    saved: Mapping[str, Any],
    expected: Mapping[str, Any],
    *,
    path: str | Path,
    name: str,
    hint: str = "give another file",
) -> None:
    """Check that the keys and shapes of two state dicts agree.

    Args:
        saved: state dict from the file.
        expected: state dict of the object to load it into.
        path: path of the file, for the message.
        name: name of the object, for the message.
        hint: remedy other than changing the config, for the message.

    Raises:
        ValueError: they differ; the message names the first of each kind of difference, the values of the config that
            differ if they follow from the sizes, and the remedy.
    """
    shapes = [
        f"{key} is {tuple(saved[key].shape)} in the file, {tuple(expected[key].shape)} in the network"
        for key in expected
        if key in saved and getattr(saved[key], "shape", None) != getattr(expected[key], "shape", None)
    ]
    missing = [f"{key} is missing in the file" for key in expected if key not in saved]
    unknown = [f"{key} is unknown to the network" for key in saved if key not in expected]
    if shapes or missing or unknown:
        first = "; ".join(difference[0] for difference in (shapes, missing, unknown) if difference)
        count = len(shapes) + len(missing) + len(unknown)
        raise ValueError(
            f"{path} does not fit {name}: {first} ({count} differences). {_cause(saved, expected)}Set the network's "
            f"values in the config to those of the run that wrote the file (its overlays too), or {hint}."
        )


def sizes(state: Mapping[str, Any]) -> dict[str, int]:
    """Infer values of the config, by name, from the shapes of a generator's state dict; empty for other networks.

    Example:
        >>> sizes({"mapping.w_avg": torch.zeros(128)})
        {'w_dim': 128}
    """
    found = {value: state[key].shape[axis] for key, axis, value in SIZES if _dimensions(state.get(key)) > axis}
    layers = [int(match[1]) for match in map(LAYER.fullmatch, state) if match]
    return found | ({"num_layers": max(layers)} if layers else {})


def _dimensions(value: Any) -> int:
    return len(getattr(value, "shape", ()))


def _cause(saved: Mapping[str, Any], expected: Mapping[str, Any]) -> str:
    """Return a sentence on the values of the config that differ, as far as the shapes determine them."""
    in_file, in_network = sizes(saved), sizes(expected)
    parts = [
        f"{value} is {in_file[value]} there, {in_network[value]} here"
        for value in in_network
        if value in in_file and in_file[value] != in_network[value]
    ]
    return f"The networks differ: {'; '.join(parts)}. " if parts else ""
