"""The baselines that a method has to beat: build one by its kind, keep it, and find it again."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..files.atomic import atomic_path
from ..networks.trunk import ResidualTrunk
from ..networks.unet import BaselineUNet
from ..runtime.weights import load_weights, save_weights


@dataclass(frozen=True)
class Kind:
    """A kind of network.

    Attributes:
        network: builds it from `num_modalities`, `in_channels` and its options.
        options: their values for a new one.
        learning_rate: of Adam, that suits it.
    """

    network: Callable[..., nn.Module]
    options: Mapping[str, Any]
    learning_rate: float


KINDS: dict[str, Kind] = {
    "unet": Kind(
        BaselineUNet,
        {"channels": [32, 64, 128, 256], "residual": True, "acquisition": True},
        learning_rate=1e-3,
    ),
    "trunk": Kind(ResidualTrunk, {"channels": 64, "num_blocks": 6}, learning_rate=2e-3),
}
"""By the name that settings and `scripts/train_baseline.py` have for them."""

UNTOLD = {"kind": "unet", "acquisition": False}
"""What settings do not tell from when there were only U-Nets without acquisition."""

WAY = (
    "train it with the method's configuration, scripts/train_baseline.py --config_file, so that both answer the same "
    "questions."
)


def check_kind(name: str) -> Kind:
    """Return the kind of this name.

    Raises:
        ValueError: there is none.
    """
    if name not in KINDS:
        raise ValueError(f"network is {name!r}; it must be one of {', '.join(map(repr, KINDS))}.")
    return KINDS[name]


def build_baseline(settings: Mapping[str, Any]) -> nn.Module:
    """Build the network that settings describe, see `save_baseline`; its weights are new.

    >>> settings = {"kind": "trunk", "modalities": ["t1"], "in_channels": 4, "channels": 8, "num_blocks": 1}
    >>> type(build_baseline(settings)).__name__
    'ResidualTrunk'
    """
    kind = check_kind(settings["kind"])
    options = {name: settings[name] for name in ("in_channels", *kind.options)}
    return kind.network(num_modalities=len(settings["modalities"]), **options)


def save_baseline(network: nn.Module, path: str | Path, *, settings: Mapping[str, Any]) -> None:
    """Write a baseline's weights, and beside them (`.json`) what it takes to build it again.

    Args:
        network: the trained baseline.
        path: file of weights, by custom `unet.pt` or `trunk.pt`.
        settings: `kind`, `modalities`, `in_channels`, the options of this kind (see `KINDS`), and whatever else
            shall be known of the training.
    """
    with atomic_path(Path(path).with_suffix(".json")) as partial:
        partial.write_text(json.dumps(dict(settings), indent=4) + "\n", encoding="utf-8")
    save_weights(network.state_dict(), path)


def read_settings(path: str | Path) -> dict[str, Any]:
    """Read what `save_baseline` wrote beside the weights at `path`, with the kind and all of its options.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it lacks a value, or one is of another type.
    """
    beside = Path(path).with_suffix(".json")
    if not beside.is_file():
        raise FileNotFoundError(
            f"'{beside}' does not exist; it lies beside the weights that scripts/train_baseline.py writes, and tells "
            "what network they are of."
        )
    try:
        settings = UNTOLD | json.loads(beside.read_text(encoding="utf-8"))
        wanted = ("kind", "modalities", "in_channels", *check_kind(settings["kind"]).options)
        return settings | {name: settings[name] for name in wanted}
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"'{beside}' does not describe a baseline of scripts/train_baseline.py ({error}); train it again."
        ) from error


def load_baseline(
    *,
    path: str | Path | None,
    modalities: Sequence[str],
    in_channels: int = 4,
    device: str | torch.device | None = None,
) -> nn.Module | None:
    """Build the baseline that `scripts/train_baseline.py` trained, for the rows `unet` of a report.

    Args:
        path: its `unet.pt` or `trunk.pt`; `None` = no such rows, hence no network.
        modalities: of the method, in the order of their class indices; the baseline's must be the same.
        in_channels: slices of the method's groups; the baseline's must be as many.
        device: where it goes.

    Raises:
        FileNotFoundError: see `read_settings` and `read_weights`.
        ValueError: it was trained with other modalities or slice groups, or see these two.
    """
    if path is None:
        return None
    settings = read_settings(path)
    if settings["modalities"] != list(modalities):
        raise ValueError(
            f"the baseline '{path}' knows the modalities {settings['modalities']}, the method {list(modalities)}; {WAY}"
        )
    if settings["in_channels"] != in_channels:
        raise ValueError(
            f"the baseline '{path}' sees groups of {settings['in_channels']} slices, the method of {in_channels}; {WAY}"
        )
    return load_weights(network=build_baseline(settings), path=path, device=device)
