"""Measure the equivariance of a network, compared with the same network with plain filters.

    python tools/measure_equivariance.py --datalist DATA/datalist.json --source t1 --target t2 --factor 1
        --output OUT [--weights model.pt] [--plain plain.pt] [--images 32]

Networks: `alias_free` with the weights; `plain_same_weights`, the same with bilinear up and average down; with
--plain also `plain_trained`, weights that were trained with plain filters, for which a training of the bundle takes
`"--network_def#filters" plain`. OUT gets

    equivariance.json   everything, also spectra and the sweep of the position
    equivariance.csv    a row for each network, part, kind of motion and mode
    equivariance.png    outputs, differences, spectra, steps along the sweep

Modes: "still", the network's Fourier input stays where it is; "moved", it moves with the image; "moved_style_held", and
the image style is that of the unmoved image. Parts: "whole"; within one modality also "network", what is added to the
interpolation.
"""

import csv
import json
import logging
import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from equivariance_figure import draw_figure
from monai.bundle import ConfigParser
from monai.transforms import ResizeWithPadOrCrop
from monai.utils import convert_to_tensor
from torch import Tensor, nn
from tqdm import tqdm

from unicoal_components.command_line import Pairs, run_command
from unicoal_components.datasets.cases import CaseDataset
from unicoal_components.datasets.datalist import read_datalist
from unicoal_components.files.atomic import atomic_path
from unicoal_components.files.writable import check_writable
from unicoal_components.inference.volume_inferer import slice_groups
from unicoal_components.keys import BLANK, Keys
from unicoal_components.metrics.equivariance import (
    KINDS,
    PEAK,
    Equivariance,
    both_sides,
    draw_motions,
    equivariance,
    squared_errors,
    unmoved_map,
)
from unicoal_components.metrics.shift_and_rotate import Motion
from unicoal_components.metrics.spectrum import power_above, radial_spectrum
from unicoal_components.metrics.through_plane import sweep_roughness
from unicoal_components.networks.plain_filters import use_plain_filters
from unicoal_components.networks.residual import interpolate_slices
from unicoal_components.runtime.weights import load_weights
from unicoal_components.scans.checksums import sha256_of
from unicoal_components.slices.slice_group import thin_depths

SCHEMA_VERSION = 1
MODES = ("still", "moved", "moved_style_held")
STEPS = 32
"""Of the position from one thick slice to the next in the sweep."""
LEAST_FOREGROUND = 0.1
"""Share of the pixels that a slice must fill to be measured."""


class Slice:
    """A slice to synthesize.

    Attributes:
        groups: the group of thick slices `(1, S, R, R)` and the next one.
        position: between its two middle slices.
        truth: `(R, R)`.
    """

    def __init__(self, groups: Sequence[Tensor], position: float, truth: Tensor) -> None:
        self.groups, self.position, self.truth = groups, position, truth


class Probe:
    """A generator as a map of groups `(B, S, R, R)` to slices, with its Fourier input and its image style in hand.

    It is conditioned on the factor and the source modality; its input slices touch each other, which is the default.

    Attributes:
        parts: what the channels of `parts_of` are.
        style: "free"; "keep", which remembers the image style; or "held", which puts it in the place of another one.
    """

    def __init__(self, network: Any, *, modality: int, source: int, factor: float) -> None:
        self.network, self.modality, self.source, self.factor = network, modality, source, factor
        self.same = source == modality
        self.parts = ("whole", "network") if self.same else ("whole",)
        self.style = "free"
        self._kept: Tensor | None = None
        network.encoder.style_linear.register_forward_hook(self._on_style)

    def move_input(self, matrix: Tensor) -> None:
        """Move the Fourier input along with the image."""
        self.network.synthesis.input.transform.copy_(matrix)

    def __call__(self, groups: Tensor, position: float | Tensor) -> Tensor:
        """Return slices `(B, 1, R, R)` at a position, or at one for each group."""
        count = len(groups)
        return self.network(
            groups,
            modality=torch.full((count,), self.modality),
            position=_column(position, groups),
            same_modality=torch.full((count,), self.same),
            source_modality=torch.full((count,), self.source),
            factor=torch.full((count,), float(self.factor)),
        )

    def parts_of(self, groups: Tensor, position: float) -> Tensor:
        """Return the whole and, within one modality, what is added to the interpolation: `(B, 1 or 2, R, R)`."""
        whole = self(groups, position)
        if not self.same:
            return whole
        return torch.cat([whole, whole - interpolate_slices(groups, _column(position, groups)) + BLANK], dim=1)

    def _on_style(self, _module: nn.Module, _inputs: Any, output: Tensor) -> Tensor:
        if self.style == "keep":
            self._kept = output
        return self._kept if self.style == "held" and self._kept is not None else output


class Pair:
    """Map of one slice for `both_sides`, which requests the unmoved image first; that is computed once.

    Attributes:
        style: of the moved image, as in `Probe`.
    """

    def __init__(self, probe: Probe, position: float) -> None:
        self.probe, self.position = probe, position
        self.style = "free"
        self._unmoved: Tensor | None = None
        self._is_unmoved = False

    def __call__(self, groups: Tensor) -> Tensor:
        """Return the parts of the unmoved and of the moved image in turn."""
        self._is_unmoved = not self._is_unmoved
        if not self._is_unmoved:
            return self._run(groups, self.style)
        if self._unmoved is None:
            self._unmoved = self._run(groups, "keep")
        return self._unmoved

    def _run(self, groups: Tensor, style: str) -> Tensor:
        self.probe.style = style
        try:
            return self.probe.parts_of(groups, self.position)
        finally:
            self.probe.style = "free"


def _column(position: float | Tensor, groups: Tensor) -> Tensor:
    return torch.as_tensor(position, dtype=groups.dtype).view(-1, 1).expand(len(groups), 1)


def main(
    *,
    datalist: str,
    output: str,
    source: str = "t1",
    target: str = "t2",
    factor: float = 1,
    bundle: str = "bundles/unified",
    weights: str | None = None,
    plain: str | None = None,
    options: Pairs | None = None,
    section: str = "test",
    images: int = 32,
    margin: float = 10,
    seed: int = 0,
) -> None:
    """Measure, and write the three files.

    Args:
        datalist: JSON of `unicoal prepare` or `unicoal simulate`.
        output: folder for the results.
        source: modality of the input.
        target: modality of the output.
        factor: thick over thin slice spacing.
        bundle: folder of the bundle whose inference.json describes the network.
        weights: weights of the network; otherwise the bundle's models/model.pt.
        plain: weights trained with plain filters.
        options: options of the network that differ from the bundle's: "{'encoder_lrelu_upsampling': 2}".
        section: section of the datalist.
        images: number of slices, divided among the subjects of the section; each is moved once by each kind of motion.
        margin: pixels along the border that are not evaluated.
        seed: seed of the motions.
    """
    if isinstance(images, bool) or not isinstance(images, int) or images < 1:
        raise ValueError(f"images is {images!r}; it must be a whole number of at least 1.")
    check_writable(output)
    config = read_config(bundle, options or {})
    case = {"source": source, "target": target, "factor": factor}
    dataset = CaseDataset(
        data=read_datalist(datalist, section), modalities=config["modalities"], cases=[case], skip_missing=True
    )
    weights = weights or f"{bundle}/models/model.pt"
    networks = build_networks(config, weights, plain)
    size = config["resolution"]
    slices = [one for some in choose(dataset, images, size, config["slice_group_size"]) for one in some]
    motions = {kind: draw_motions(kind, count=len(slices), size=size, seed=seed) for kind in KINDS}
    result: dict[str, Any] = {
        "schema": SCHEMA_VERSION,
        "weights_sha256": sha256_of(weights),
        "options": dict(options or {}),
        **case,
        "subjects": sorted({subject["subject"] for subject, _ in dataset.items}),
        "images": len(slices),
        "margin": margin,
        "ceiling": {kind: number(ceiling(slices, motions[kind], margin).decibels) for kind in KINDS},
        "truth": spectrum_of(torch.stack([one.truth for one in slices])),
        "networks": {},
    }
    pictures = {}
    progress = tqdm(total=len(networks) * len(KINDS) * len(slices), unit="slice")
    with torch.no_grad():
        for name, network in networks.items():
            classes = [config["modalities"].index(name) for name in (target, source)]
            probe = Probe(network, modality=classes[0], source=classes[1], factor=factor)
            rows = measure(probe, slices, motions, margin, progress.update)
            result["networks"][name] = {"equivariance": rows, **describe(probe, slices)}
            pictures[name] = picture(probe, slices[len(slices) // 2], motions["fractional"][0])
    progress.close()
    write(Path(output), result, pictures)


def read_config(bundle: str, options: Mapping[str, Any]) -> ConfigParser:
    """Read a bundle's inference.json; its parts come from the package that is installed."""
    path = Path(bundle) / "configs" / "inference.json"
    if not path.is_file():
        raise FileNotFoundError(f"there is no '{path}'; give the folder of a bundle, such as bundles/unified.")
    parser = ConfigParser(json.loads(path.read_text(encoding="utf-8")))
    parser["network_def#_target_"] = "unicoal_components.networks.generator.Generator"
    for name, value in options.items():
        parser[f"network_def#{name}"] = value
    return parser


def build_networks(config: ConfigParser, weights: str, plain: str | None) -> dict[str, nn.Module]:
    """Build the networks to compare, by name."""
    network = load_weights(network=config.get_parsed_content("network_def"), path=weights)
    networks = {"alias_free": network, "plain_same_weights": use_plain_filters(network)}
    if plain:
        networks["plain_trained"] = load_weights(network=use_plain_filters(network), path=plain)
    return networks


def choose(dataset: CaseDataset, images: int, size: int, group_size: int) -> Iterator[list[Slice]]:
    """Yield slices of each subject, equally spaced among those with enough foreground."""
    for number, item in enumerate(tqdm(dataset, desc="persons", total=len(dataset))):
        share = images // len(dataset) + (number < images % len(dataset))
        stack, truth = (_fit(item[key][0], size) for key in (Keys.IMAGE, Keys.LABEL))
        depths = thin_depths(item[Keys.INDICES], float(item[Keys.FACTOR]))
        shown = np.flatnonzero((truth > BLANK).float().mean(dim=(1, 2)) > LEAST_FOREGROUND)
        if not len(shown):
            raise ValueError(f"subject '{item[Keys.SUBJECT]}' has no slice with anything to see in it.")
        yield [
            _slice(stack, float(depths[k]), truth[k], group_size)
            for k in shown[np.linspace(0, len(shown) - 1, share + 2).round().astype(int)[1:-1]]
        ]


def _fit(stack: Tensor, size: int) -> Tensor:
    """Crop or pad slices `(N, H, W)` about their middle."""
    fitted = ResizeWithPadOrCrop((size, size), mode="constant", value=BLANK)(stack)
    return convert_to_tensor(fitted, track_meta=False)  # every step with a MetaTensor is slow


def _slice(stack: Tensor, depth: float, truth: Tensor, group_size: int) -> Slice:
    anchor = math.floor(depth)
    groups = slice_groups(stack, torch.tensor([anchor, anchor + 1]), group_size)
    return Slice(groups.split(1), depth - anchor, truth)


def ceiling(slices: Sequence[Slice], motions: Sequence[Motion], margin: float) -> Equivariance:
    """Measure the unmoved map, the upper limit of the measurement."""
    groups = torch.cat([one.groups[0] for one in slices])
    return equivariance(unmoved_map, groups, motions=motions, margin=margin)


def measure(
    probe: Probe,
    slices: Sequence[Slice],
    motions: Mapping[str, Sequence[Motion]],
    margin: float,
    advance: Callable[[], object],
) -> list[dict[str, Any]]:
    """Return a row for each part, kind of motion and mode."""
    errors: dict[tuple[str, str, str], list[float]] = defaultdict(list)
    for kind in KINDS:
        for one, motion in zip(slices, motions[kind], strict=True):
            pair = Pair(probe, one.position)
            for mode in MODES:
                pair.style = "held" if mode == "moved_style_held" else "free"
                sides = both_sides(pair, one.groups[0], motion, None if mode == "still" else probe.move_input)
                found = squared_errors(*sides, motion=motion, margin=margin).tolist()
                for part, error in zip(probe.parts, found, strict=True):
                    errors[part, kind, mode].append(error)
            advance()
    return [
        {"part": part, "kind": kind, "mode": mode, **numbers_of(Equivariance(tuple(errors[part, kind, mode])))}
        for part, kind, mode in sorted(errors, key=lambda key: probe.parts.index(key[0]))
    ]


def numbers_of(found: Equivariance) -> dict[str, float | None]:
    """Return the numbers of a measurement for a row."""
    return finite({"decibels": found.decibels, "standard_error": found.standard_error})


def describe(probe: Probe, slices: Sequence[Slice]) -> dict[str, Any]:
    """Return a network's error, its spectrum and the change of its output along the position."""
    outputs = torch.cat([probe(one.groups[0], one.position)[0] for one in slices])
    truth = torch.stack([one.truth for one in slices])
    error = (outputs.clamp(-1, 1) - truth).double().square().mean().item()
    return {
        "psnr": 10 * math.log10(PEAK**2 / error),
        "spectrum": spectrum_of(outputs),
        "sweep": sweep(probe, slices[len(slices) // 2]),
    }


def spectrum_of(images: Tensor) -> dict[str, Any]:
    """Return the radial spectrum of `(N, R, R)` and the share of its power above the safe band."""
    frequencies, power = radial_spectrum(images)
    return {"above": power_above(images), "frequencies": frequencies.tolist(), "power": power.tolist()}


def sweep(probe: Probe, one: Slice) -> dict[str, Any]:
    """Sweep the position from a thick slice to the next in equal steps, and on in the next group.

    Returns:
        `sweep_roughness` of the first way and of both; the mean absolute steps; `seam`, the change at the one place
        that both groups reach (the end of the first, the start of the second), over the median step.
    """
    places = torch.linspace(0, 1, STEPS + 1)
    first, second = (probe(groups.expand(STEPS + 1, -1, -1, -1), places)[:, 0].double() for groups in one.groups)
    both = torch.cat([first[:-1], second])
    steps = both.diff(dim=0).abs().mean(dim=(1, 2))
    seam = (second[0] - first[-1]).abs().mean() / steps.median()
    return {
        "within": finite(sweep_roughness(first)),
        "across": finite(sweep_roughness(both)),
        "seam": number(seam.item()),
        "steps": steps.tolist(),
    }


def picture(probe: Probe, one: Slice, motion: Motion) -> dict[str, Tensor]:
    """Return the images of a network for the figure."""
    pair = Pair(probe, one.position)
    result, expected = both_sides(pair, one.groups[0], motion, probe.move_input)
    output = probe(one.groups[0], one.position)
    return {"output": output[0, 0], "of moved": result[0, 0], "moved": expected[0, 0]}


def number(value: float) -> float | None:
    """Return a finite number, or `None`, which is `null` in JSON."""
    return value if math.isfinite(value) else None


def finite(values: Mapping[str, float]) -> dict[str, float | None]:
    """Return finite numbers, and None for others."""
    return {name: number(value) for name, value in values.items()}


def write(folder: Path, result: Mapping[str, Any], pictures: Mapping[str, Mapping[str, Tensor]]) -> None:
    """Write the three files and print the table."""
    with atomic_path(folder / "equivariance.json") as partial:
        partial.write_text(json.dumps(result, indent=4) + "\n", encoding="utf-8")
    rows = [
        {"network": name, **row, "ceiling": result["ceiling"][row["kind"]]}
        for name, network in result["networks"].items()
        for row in network["equivariance"]
    ]
    with atomic_path(folder / "equivariance.csv") as partial, open(partial, "w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(rows)
    draw_figure(folder / "equivariance.png", result=result, pictures=pictures)
    for row in rows:
        print(" ".join(f"{'-' if value is None else value!s:<18.18}" for value in row.values()))


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    run_command(main)
