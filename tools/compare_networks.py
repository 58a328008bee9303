"""Train several networks for the same processor time on the same draws, and measure them on held-out subjects.

`python tools/compare_networks.py --datalist DATA/datalist.json --task across --seconds 400`: every network sees the
same slices in the same order, as many as it can in its time, and is measured as by `tools/measure_weights.py`.
"""

import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from measure_weights import Measurement, Row, means, table
from monai.bundle import ConfigParser
from torch import Tensor, nn
from torch.nn.functional import l1_loss, mse_loss
from torch.utils.data import DataLoader
from tqdm import tqdm

from unicoal_components import Generator
from unicoal_components.command_line import Words, run_command
from unicoal_components.commands.bundle_run import importable
from unicoal_components.datasets.datalist import read_datalist
from unicoal_components.datasets.sampler import SliceSampler
from unicoal_components.files.atomic import atomic_path
from unicoal_components.networks.contrast import ContrastCurve
from unicoal_components.networks.residual import between_anything, interpolate_slices
from unicoal_components.networks.trunk import ResidualTrunk
from unicoal_components.networks.unet import BaselineUNet
from unicoal_components.training.parameter_groups import parameter_groups
from unicoal_components.training.prepare_batch import PrepareSlices
from unicoal_components.training.schedules import learning_rate_factor

logger = logging.getLogger("compare_networks")

TASKS: dict[str, dict[str, Any]] = {
    "within": {"cross_modality": False, "factors": [{"min": 1.5, "max": 7.0}]},
    "across": {"same_modality": False},
}
L2_WEIGHT = {"within": 0.0, "across": 2.5}
"""Weight of the mean squared error beside that of L1, 1, as for the shipped weights."""

CORE_RATE, PLAIN_RATE = 0.004, 0.001
WARMUP = 0.03
MAX_GRADIENT_NORM = 1000 / 40  # as for the shipped weights, whose L1 has a weight of 40


class CurveFirst(nn.Module):
    """Plain network that adds to the curves between modalities, as the generator's alias-free part does."""

    def __init__(self, network: nn.Module, *, num_modalities: int) -> None:
        super().__init__()
        self.across = network  # the name gives it the learning rate of a detail path
        self.contrast = ContrastCurve(num_modalities=num_modalities)

    def forward(
        self,
        image: Tensor,
        *,
        modality: Tensor,
        position: Tensor,
        same_modality: Tensor,
        source_modality: Tensor,
        **others: Any,
    ) -> Tensor:
        """Return slices `(B, 1, R, R)`; arguments as of `Generator.forward`."""
        told = {"modality": modality, "position": position, "source_modality": source_modality, **others}
        output = self.across(image, same_modality=torch.zeros_like(same_modality), **told)
        one_hot = torch.eye(self.contrast.values.shape[0])
        source, target = (one_hot[index.long().expand(len(image))] for index in (source_modality, modality))
        curve = self.contrast(interpolate_slices(image, position.view(-1, 1)), source=source, target=target)
        return (output + curve + 1) * between_anything(image) - 1


def networks(options: Mapping[str, Any], *, task: str) -> dict[str, Callable[[], nn.Module]]:
    """Return what builds each network, by name: the bundle's generator with `options`, parts of it, plain networks."""
    sizes: Any = {name: options[name] for name in ("num_modalities", "in_channels")}

    def generator(**changed: Any) -> Generator:
        return Generator(**(dict(options) | changed))

    def plain(network: nn.Module) -> nn.Module:
        return CurveFirst(network, num_modalities=sizes["num_modalities"]) if task == "across" else network

    alone = {"detail_channels": 0, "error_output": False}
    return {
        "generator": generator,
        "alias-free part alone": lambda: generator(**alone),
        "alias-free part alone at full resolution": lambda: generator(**alone, core_resolution=None),
        "alias-free part alone of twice the width": lambda: generator(**alone, channel_base=1024, channel_max=128),
        "residual trunk": lambda: plain(ResidualTrunk(**sizes)),
        "U-Net": lambda: plain(BaselineUNet(**sizes, acquisition=True)),
    }


def main(
    *,
    datalist: str,
    task: str = "across",
    seconds: float = 400,
    bundle: str = "bundles/unified",
    names: Words = (),
    without: Words = (),
    step: int = 25,
    output: str | None = None,
) -> None:
    """Print the mean gain of each network, and write all rows as JSON if an output is given.

    Args:
        datalist: JSON of `unicoal prepare` with training and validation subjects.
        task: within, super-resolution within a modality, or across, synthesis of another.
        seconds: processor time of each training, of all threads, with loading.
        bundle: bundle whose configs/train.json describes the generator and the draws.
        names: networks; otherwise all.
        without: modalities that are left out of the training, and measured all the same.
        step: distance of the measured slices, in slices.
        output: JSON file for the rows.

    Raises:
        ValueError: the task or a network is unknown, or the time is not positive.
    """
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if task not in TASKS:
        raise ValueError(f"task is '{task}'; it must be one of {', '.join(TASKS)}.")
    if seconds <= 0:
        raise ValueError(f"seconds is {seconds}; it must be above 0.")
    parser = ConfigParser(ConfigParser.load_config_file(Path(bundle) / "configs" / "train.json"))
    known = [name for name in parser["modalities"] if name not in without]
    parser.update(TASKS[task] | {"datalist": datalist, "sources": known, "targets": known})
    importable(Path(bundle).absolute())
    dataset = parser.get_parsed_content("train::dataset")
    seed, batch_size, modalities, resolution = (
        parser.get_parsed_content(name) for name in ("seed", "batch_size", "modalities", "resolution")
    )
    names_of_options = set(parser["network_def"]) - {"_target_"}
    options = {name: parser.get_parsed_content(f"network_def::{name}") for name in names_of_options}
    builders = networks(options, task=task)
    unknown = sorted(set(names) - set(builders))
    if unknown:
        raise ValueError(f"names has {unknown}; known are {', '.join(builders)}.")
    rows: list[Row] = []
    for name in names or builders:
        torch.manual_seed(seed)
        network = builders[name]()
        sampler = SliceSampler(dataset=dataset, num_samples=10**6, seed=seed)
        loader = DataLoader(dataset, sampler=sampler, batch_size=batch_size, num_workers=0)
        seen = train(network, loader=loader, seconds=seconds, l2_weight=L2_WEIGHT[task])
        measurement = Measurement(network, modalities=modalities, resolution=resolution, step=step)
        found = measure(measurement, datalist=datalist, task=task)
        size = sum(parameter.numel() for parameter in network.parameters())
        about = {"network": name, "parameters": f"{size / 1e6:.2f} M", "images": str(seen)}
        rows += [about | row for row in found]
        logger.info("%s: %s", name, about)
        if output is not None:
            with atomic_path(output) as partial:
                partial.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    logger.info("%s", "\n".join(table(summary(rows))))


def summary(rows: Sequence[Row]) -> list[Row]:
    """Return a row for each network: the mean gain of each case."""
    result: list[Row] = []
    for name in dict.fromkeys(row["network"] for row in rows):
        own = [row for row in rows if row["network"] == name]
        about = {key: own[0][key] for key in ("network", "parameters", "images")}
        result.append(about | {str(row["case"]): row["gain"] for row in means(own)})
    return result


def train(network: nn.Module, *, loader: DataLoader, seconds: float, l2_weight: float) -> int:
    """Train until the processor time is used up; return the number of images."""
    groups = parameter_groups(network=network, learning_rate=CORE_RATE, detail_learning_rate=PLAIN_RATE)
    if not any(name.startswith(("across.", "within.", "synthesis.")) for name, _ in network.named_parameters()):
        groups[0]["lr"] = PLAIN_RATE
    optimizer = torch.optim.Adam(groups, betas=(0.9, 0.99), fused=True)
    rates = [group["lr"] for group in optimizer.param_groups]
    prepare = PrepareSlices(z_dim=None)
    start, images, used = time.process_time(), 0, 0.0
    network.train()
    with tqdm(total=seconds, unit="s") as bar:
        for batch in loader:
            factor = learning_rate_factor(used, constant=0, decay=1, warmup=WARMUP)
            for group, rate in zip(optimizer.param_groups, rates, strict=True):
                group["lr"] = rate * factor
            image, label, _, conditions = prepare(batch)
            assert label is not None
            with torch.autocast("cpu", dtype=torch.bfloat16):
                made = network(image, **conditions).float()
            loss = l1_loss(made, label) + l2_weight * mse_loss(made, label)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            for group in optimizer.param_groups:
                nn.utils.clip_grad_norm_(group["params"], MAX_GRADIENT_NORM)
            optimizer.step()
            images += len(image)
            used = min((time.process_time() - start) / seconds, 1.0)
            bar.update(used * seconds - bar.n)
            if used >= 1:
                return images
    return images


def measure(measurement: Measurement, *, datalist: str, task: str) -> list[Row]:
    """Measure a network on the validation subjects of the datalist."""
    rows: list[Row] = []
    for entry in read_datalist(datalist, "validation"):
        if task == "within":
            rows += measurement.within(entry["subject"], entry["path"], (2, 4, 6))
        else:
            rows += measurement.across(entry["subject"], entry["path"])
    return rows


if __name__ == "__main__":
    run_command(main)
