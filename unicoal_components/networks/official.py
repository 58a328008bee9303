"""Import of checkpoints of the official implementation."""

import math
import re
from collections.abc import Mapping
from typing import Any, TypeVar

from torch import Tensor, nn

from .discriminator import Discriminator
from .generator import Generator
from .schedule import layer_table

StateDict = Mapping[str, Tensor]
NetworkT = TypeVar("NetworkT", bound=nn.Module)
# stored by the official code, computed from the layer table here
_DESIGNED = re.compile(r"(^|\.)(up_filter|down_filter|resample_filter)$")
_MAPPING = {"embed_modality": "embed", "embed_position": "embed_index"}
_GENERATOR_RULES = [
    (r"^encoder\.style_conv\.(\w+)$", r"synthesis.encoder.e_16x16.\1"),
    (r"^encoder\.style_linear\.(\w+)$", r"synthesis.encoder.fc_in.\1"),
    (r"^encoder\.layers\.(\d+)\.conv\.(.+)$", r"synthesis.encoder.encoder_\1.\2"),
    (r"^encoder\.mapping\.(.+)$", r"synthesis.encoder.mapping.\1"),
    (r"^synthesis\.input\.frequencies$", "synthesis.input.freqs"),
]
_DISCRIMINATOR_RULES = [
    (r"^conv\.(\w+)$", r"b4.conv.\1"),
    (r"^linear\.(\w+)$", r"b4.fc.\1"),
    (r"^out\.(\w+)$", r"b4.out.\1"),
]
_BLOCK_PARTS = {"from_image": "fromrgb", "conv": "conv0", "conv_down": "conv1", "skip": "skip"}


def generator_from_official(state_dict: StateDict, *, skip_resolution: int | None = None) -> Generator:
    """Build a `Generator` from an official generator's state dict, with its weights, in eval mode.

    All sizes follow from keys and shapes; margin 10 and the other constants of the layer table are the method's.

    Args:
        state_dict: official state dict, e.g. of `latest_net_G_ema.pth`.
        skip_resolution: see `Generator`; a checkpoint does not contain it. `None` (every skip) matches the official
            settings.

    Raises:
        ValueError: keys are missing or unknown, or shapes do not fit; the message lists them.
    """
    network = Generator(**generator_settings(state_dict), skip_resolution=skip_resolution)
    return _load(network, state_dict, official_generator_names(network))


def discriminator_from_official(state_dict: StateDict) -> Discriminator:
    """Build a `Discriminator` from an official discriminator's state dict, with its weights, in eval mode.

    Args:
        state_dict: official keys and weights.

    Raises:
        ValueError: keys are missing or unknown, or shapes do not fit; the message lists them.
    """
    resolution = max((int(m[1]) for key in state_dict if (m := re.match(r"^b(\d+)\.", key))), default=0)
    edges = [2**i for i in range(3, resolution.bit_length())]
    required = [f"b{edge}.conv0.weight" for edge in edges] + [f"b{resolution or '<resolution>'}.fromrgb.weight"]
    _require(state_dict, [*required, "b4.out.weight", "mapping.embed.weight"])
    channels = {edge: state_dict[f"b{edge}.conv0.weight"].shape[0] for edge in edges}
    channels[4] = state_dict["b4.out.weight"].shape[0]
    network = Discriminator(
        resolution=resolution,
        num_modalities=state_dict["mapping.embed.weight"].shape[1],
        in_channels=state_dict[f"b{resolution}.fromrgb.weight"].shape[1],
        channel_base=max(edge * c for edge, c in channels.items()),
        channel_max=max(channels.values()),
        mapping_layers=_count(state_dict, r"^mapping\.fc(\d+)\.weight$"),
    )
    return _load(network, state_dict, official_discriminator_names(network))


def official_generator_names(network: Generator) -> dict[str, str]:
    """Return the official name of each entry of a generator's state dict.

    Example:
        >>> network = Generator(resolution=16, channel_base=128, channel_max=8, num_layers=4)
        >>> official_generator_names(network)["synthesis.layers.3.conv.bias"]
        'synthesis.L3_16_8.bias'
    """
    weights = network.state_dict()
    rows = layer_table(resolution=network.resolution, num_layers=len(network.synthesis.layers) - 1)
    names = {}
    for own in weights:
        if match := re.match(r"^synthesis\.layers\.(\d+)\.conv\.(.+)$", own):
            i, channels = int(match[1]), weights[f"synthesis.layers.{match[1]}.conv.weight"].shape[0]
            names[own] = f"synthesis.L{i}_{rows[i].size}_{channels}.{match[2]}"
        else:
            names[own] = _rename(own, _GENERATOR_RULES)
    return names


def official_discriminator_names(network: Discriminator) -> dict[str, str]:
    """Return the official name of each entry of a discriminator's state dict (`w_avg` has none).

    Example:
        >>> official_discriminator_names(Discriminator(resolution=16, channel_base=64))["blocks.0.conv.bias"]
        'b16.conv0.bias'
    """
    names = {}
    for own in network.state_dict():
        if match := re.match(r"^blocks\.(\d+)\.(\w+)\.(\w+)$", own):
            names[own] = f"b{network.resolution >> int(match[1])}.{_BLOCK_PARTS[match[2]]}.{match[3]}"
        elif own != "mapping.w_avg":
            names[own] = _rename(own, _DISCRIMINATOR_RULES)
    return names


def generator_settings(state_dict: StateDict) -> dict[str, Any]:
    """Infer the arguments of `Generator` from the keys and shapes of an official generator.

    If no layer determines the base or the maximum of the channels (all are clipped, or none is), they are chosen to
    give the same layers.

    Args:
        state_dict: official keys and weights.

    Raises:
        ValueError: keys are missing, or the channels do not follow the layer table.
    """
    required = [
        "synthesis.encoder.encoder_0.weight",
        "synthesis.encoder.fc_in.weight",
        "synthesis.input.affine.weight",
        "mapping.embed.weight",
    ]
    _require(state_dict, required)
    num_layers = _count(state_dict, r"^synthesis\.encoder\.encoder_(\d+)\.weight$")
    layers = _synthesis_names(state_dict)
    _require(state_dict, [f"synthesis.L{i}_<size>_<channels>.weight" for i in range(num_layers + 1) if i not in layers])
    resolution = int(layers[num_layers].split("_")[1])
    channels = [state_dict[f"{layers[i]}.weight"].shape[0] for i in range(num_layers)]
    base, maximum = _channel_settings(resolution, num_layers, channels)
    modulated = any(re.match(r"^synthesis\.encoder\.(mapping|encoder_\d+\.affine)\.", key) for key in state_dict)
    _require(state_dict, ["synthesis.encoder.mapping.embed.weight"] * modulated)
    return {
        "resolution": resolution,
        "num_modalities": state_dict["mapping.embed.weight"].shape[1],
        "in_channels": state_dict["synthesis.encoder.encoder_0.weight"].shape[1],
        "z_dim": state_dict["mapping.embed.weight"].shape[0],
        "w_dim": state_dict["synthesis.input.affine.weight"].shape[1],
        "image_style_dim": state_dict["synthesis.encoder.fc_in.weight"].shape[0],
        "num_layers": num_layers,
        "channel_base": base,
        "channel_max": maximum,
        "mapping_layers": _count(state_dict, r"^mapping\.fc(\d+)\.weight$"),
        "encoder_modulated": modulated,
        "encoder_embedding_dim": state_dict["synthesis.encoder.mapping.embed.weight"].shape[0] if modulated else 64,
    }


def _synthesis_names(state_dict: StateDict) -> dict[int, str]:
    pattern = re.compile(r"^(synthesis\.L(\d+)_\d+_\d+)\.weight$")
    return {int(m[2]): m[1] for key in state_dict if (m := pattern.match(key))}


def _channel_settings(resolution: int, num_layers: int, channels: list[int]) -> tuple[int, int]:
    """Find a base and a maximum with round(min(base / 2 / cutoff, maximum)) = channels, row by row."""
    maximum = max(channels)
    rows = layer_table(resolution=resolution, num_layers=num_layers)
    low, high = 0.0, math.inf
    for row, c in zip(rows, channels, strict=False):
        low = max(low, (c - 0.5) * 2 * row.cutoff)
        high = min(high, (c + 0.5) * 2 * row.cutoff) if c < maximum else high
    if math.isinf(high):
        high = 2 * low
    power = 2 ** math.ceil(math.log2(max(low, 1)))
    base = power if power <= high else round((low + high) / 2)
    table = layer_table(resolution=resolution, num_layers=num_layers, channel_base=base, channel_max=maximum)
    found = [row.channels for row in table[:-1]]
    if found != channels:
        raise ValueError(f"the layers' channels {channels} do not follow the method's rule; the nearest is {found}")
    return base, maximum


def _count(state_dict: StateDict, pattern: str) -> int:
    """Return the highest number in the keys that match, plus one; gaps are then found as missing keys."""
    return max((int(m[1]) + 1 for key in state_dict if (m := re.match(pattern, key))), default=0)


def _rename(own: str, rules: list[tuple[str, str]]) -> str:
    for pattern, replacement in rules:
        own = re.sub(pattern, replacement, own)
    for name, official in _MAPPING.items():
        own = own.replace(f"mapping.{name}.", f"mapping.{official}.")
    return re.sub(r"mapping\.layers\.(\d+)\.", r"mapping.fc\1.", own)


def _require(state_dict: StateDict, keys: list[str]) -> None:
    missing = [key for key in keys if key not in state_dict]
    if missing:
        raise ValueError(f"not an official checkpoint of this kind: missing keys {', '.join(missing)}")


def _load(network: NetworkT, state_dict: StateDict, names: dict[str, str]) -> NetworkT:
    """Copy the official tensors `names[own]` into the network; every key must be used and of the right shape."""
    ignored = {key for key in state_dict if _DESIGNED.search(key) or _is_plain_magnitude(key, names)}
    missing = sorted(set(names.values()) - set(state_dict))
    unknown = sorted(set(state_dict) - set(names.values()) - ignored)
    target = network.state_dict()
    wrong = [
        f"{official} {tuple(state_dict[official].shape)} instead of {tuple(target[own].shape)}"
        for own, official in names.items()
        if official in state_dict and state_dict[official].shape != target[own].shape
    ]
    problems = [
        f"{label}: {', '.join(keys)}"
        for label, keys in (("missing keys", missing), ("unknown keys", unknown), ("wrong shapes", wrong))
        if keys
    ]
    if problems:
        raise ValueError("the official checkpoint does not fit; " + "; ".join(problems))
    network.load_state_dict(target | {own: state_dict[official].float() for own, official in names.items()})
    return network.eval().requires_grad_(True)


def _is_plain_magnitude(key: str, names: dict[str, str]) -> bool:
    """Return whether `key` is the stored but unused magnitude of a plain encoder layer."""
    return key.startswith("synthesis.encoder.encoder_") and key.endswith(".magnitude_ema") and key not in names.values()
