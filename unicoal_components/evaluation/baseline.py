"""Baseline networks: build one by its kind, save it and load it."""

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
    """A kind of baseline network.

    Attributes:
        network: builds the network from `num_modalities`, `in_channels` and the options.
        options: default values of its options.
        learning_rate: a suitable learning rate for Adam.
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
"""The kinds by their name in settings and in `scripts/train_baseline.py`."""

OLD_DEFAULTS = {"kind": "unet", "acquisition": False}
"""Values that old settings lack: they date from when all baselines were U-Nets without acquisition."""

RETRAIN_HINT = (
    "train it with the method's configuration, scripts/train_baseline.py --config_file, so that both are evaluated on "
    "the same tasks."
)


def check_kind(name: str) -> Kind:
    """Return the kind of this name.

    Raises:
        ValueError: the name is unknown.
    """
    if name not in KINDS:
        raise ValueError(f"network is {name!r}; it must be one of {', '.join(map(repr, KINDS))}.")
    return KINDS[name]


def build_baseline(settings: Mapping[str, Any]) -> nn.Module:
    """Build the network that settings describe, see `save_baseline`, with new weights.

    Example:
        >>> settings = {"kind": "trunk", "modalities": ["t1"], "in_channels": 4, "channels": 8, "num_blocks": 1}
        >>> type(build_baseline(settings)).__name__
        'ResidualTrunk'
    """
    kind = check_kind(settings["kind"])
    options = {name: settings[name] for name in ("in_channels", *kind.options)}
    return kind.network(num_modalities=len(settings["modalities"]), **options)


def save_baseline(network: nn.Module, path: str | Path, *, settings: Mapping[str, Any]) -> None:
    """Write a baseline's weights, and next to them a `.json` file with the settings to rebuild it.

    Args:
        network: the trained baseline.
        path: file of weights, usually `unet.pt` or `trunk.pt`.
        settings: `kind`, `modalities`, `in_channels`, the options of this kind (see `KINDS`), and any other facts of
            the training to record.
    """
    with atomic_path(Path(path).with_suffix(".json")) as partial:
        partial.write_text(json.dumps(dict(settings), indent=4) + "\n", encoding="utf-8")
    save_weights(network.state_dict(), path)


def read_settings(path: str | Path) -> dict[str, Any]:
    """Read the settings that `save_baseline` wrote next to the weights at `path`, with the kind and all its options.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file lacks a value, or a value has the wrong type.
    """
    settings_path = Path(path).with_suffix(".json")
    if not settings_path.is_file():
        raise FileNotFoundError(
            f"'{settings_path}' does not exist; scripts/train_baseline.py writes it next to the weights, and it "
            "describes their network."
        )
    try:
        settings = OLD_DEFAULTS | json.loads(settings_path.read_text(encoding="utf-8"))
        wanted = ("kind", "modalities", "in_channels", *check_kind(settings["kind"]).options)
        return settings | {name: settings[name] for name in wanted}
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"'{settings_path}' does not describe a baseline of scripts/train_baseline.py ({error}); train it again."
        ) from error


def load_baseline(
    *,
    path: str | Path | None,
    modalities: Sequence[str],
    in_channels: int = 4,
    device: str | torch.device | None = None,
) -> nn.Module | None:
    """Load the baseline that `scripts/train_baseline.py` trained, for the rows `unet` of a report.

    Args:
        path: its `unet.pt` or `trunk.pt`; `None` = no such rows, hence no network.
        modalities: modalities of the evaluated method, in the order of their class indices; the baseline must have
            the same.
        in_channels: slices per group of the evaluated method; the baseline must have as many.
        device: device of the network.

    Raises:
        FileNotFoundError: see `read_settings` and `read_weights`.
        ValueError: the baseline was trained with other modalities or slice groups; or see these two functions.
    """
    if path is None:
        return None
    settings = read_settings(path)
    if settings["modalities"] != list(modalities):
        raise ValueError(
            f"the baseline '{path}' has the modalities {settings['modalities']}, the method {list(modalities)}; "
            f"{RETRAIN_HINT}"
        )
    if settings["in_channels"] != in_channels:
        raise ValueError(
            f"the baseline '{path}' takes groups of {settings['in_channels']} slices, the method of {in_channels}; "
            f"{RETRAIN_HINT}"
        )
    return load_weights(network=build_baseline(settings), path=path, device=device)
