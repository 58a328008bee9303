"""Train a plain MONAI U-Net on the same data as the method, and put it into the same report.

`python scripts/train_baseline.py --datalist data/datalist.json --output baseline --minutes 10 --cases t1:t2:4,t1:t1:4`
"""

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from monai.transforms import Compose

from unicoal_components.command_line import run_command
from unicoal_components.data.atomic import atomic_path
from unicoal_components.data.cases import CaseDataset
from unicoal_components.data.datalist import read_datalist, read_modalities
from unicoal_components.data.sampler import SliceSampler
from unicoal_components.data.slices import SliceDataset
from unicoal_components.engines.baseline import evaluate_baseline, train_baseline
from unicoal_components.inferers.volume import VolumeInferer
from unicoal_components.metrics.baselines import BASELINES
from unicoal_components.networks.unet import BaselineUNet
from unicoal_components.transforms.draw import DrawSliceTaskd
from unicoal_components.transforms.load_slice_group import LoadSliceGroupd


def main(
    *,
    datalist: str,
    output: str,
    images: int | None = None,
    minutes: float | None = None,
    cases: str | Sequence[str] = (),
    section: str = "test",
    report: str | None = None,
    weights: str | None = None,
    modalities: str | Sequence[str] | None = None,
    factors: float | Sequence[float] = (1, 2, 4, 6),
    profile: str = "gaussian",
    slice_gap: float = 0.0,
    slice_thickness: float | None = None,
    slice_step: int = 1,
    resolution: int = 128,
    channels: Sequence[int] = (32, 64, 128, 256),
    batch_size: int = 8,
    learning_rate: float = 1e-3,
    intensity_jitter: float = 0.0,
    workers: int = 0,
    device: str | None = None,
    seed: int = 0,
) -> None:
    """Train the U-Net by L1, save unet.pt and unet.json, and evaluate the cases.

    Args:
        datalist: JSON of prepare_data.py or simulate_cohort.py.
        output: folder for the weights and, unless report is given, for the report.
        images: train on this many images.
        minutes: train for this long; with images as well, whichever comes first.
        cases: source:target:factor, several separated by commas; none: no evaluation.
        section: section of the datalist that is evaluated.
        report: folder of the method's report; its rows are kept and the rows "unet" added.
        weights: evaluate this unet.pt instead of training.
        modalities: names in class order, separated by commas; otherwise the datalist's.
        factors: training factors.
        profile: slice profile, gaussian, box or drop.
        slice_gap: gap between thick slices in mm.
        slice_thickness: instead, their thickness in mm.
        slice_step: evaluate about every how many slices.
        resolution: side of the training window in voxels.
        channels: features of each level of the U-Net.
        batch_size: images in a step.
        learning_rate: of Adam.
        intensity_jitter: see DrawSliceTaskd.
        workers: processes that load data.
        device: cpu, cuda, ...; otherwise cuda where there is one.
        seed: of the weights and the draws.
    """
    names = _list(modalities) if modalities else read_modalities(datalist)
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    questions = [_case(text) for text in _list(cases)]
    if weights and not questions:
        raise ValueError("weights are given but no cases; nothing to do. Give --cases, such as t1:t2:4.")
    # Made before training, so that a wrong case does not cost an hour.
    held_out = read_datalist(datalist, section) if questions else []
    thick = {"profile": profile, "slice_gap": slice_gap, "slice_thickness": slice_thickness}
    options = {"modalities": names, "cases": questions, "slice_step": slice_step, **thick}
    evaluated = CaseDataset(data=held_out, **options) if questions else None  # type: ignore[arg-type]
    torch.manual_seed(seed)
    network = BaselineUNet(num_modalities=len(names), channels=channels)
    if weights:
        _load(network, weights)
    else:
        draw = DrawSliceTaskd(
            modalities=names,
            factors=[factors] if isinstance(factors, int | float) else factors,
            resolution=resolution,
            intensity_jitter=intensity_jitter,
        )
        transform = Compose([draw, LoadSliceGroupd(**thick)])  # type: ignore[arg-type]
        dataset = SliceDataset(data=read_datalist(datalist, "training"), transform=transform, seed=seed)
        result = train_baseline(
            network,
            dataset=dataset,
            make_sampler=lambda count: SliceSampler(dataset=dataset, num_samples=count, seed=seed),
            device=device,
            images=images,
            minutes=minutes,
            batch_size=batch_size,
            learning_rate=learning_rate,
            num_workers=workers,
        )
        _save(network, Path(output), {"modalities": names, "channels": list(channels), "seed": seed, **result})
    if evaluated is not None:
        evaluate_baseline(
            network,
            cases=evaluated,
            inferer=VolumeInferer(resolution=resolution),
            device=device,
            output_dir=report or Path(output) / "evaluation",
            baselines=() if report else BASELINES,
            panels=1,
        )


def _save(network: BaselineUNet, folder: Path, settings: dict[str, Any]) -> None:
    with atomic_path(folder / "unet.pt") as partial:
        torch.save(network.state_dict(), partial)
    with atomic_path(folder / "unet.json") as partial:
        partial.write_text(json.dumps(settings, indent=4) + "\n", encoding="utf-8")


def _load(network: BaselineUNet, path: str) -> None:
    try:
        network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    except (RuntimeError, UnpicklingError) as error:
        raise ValueError(
            f"weights '{path}' do not fit: {str(error).splitlines()[0]} Give the modalities and channels of its "
            "training (they are in unet.json beside it)."
        ) from error


def _list(value: str | Sequence[str]) -> list[str]:
    """Take names as Fire gives them: a text with commas, or a tuple."""
    parts = value.split(",") if isinstance(value, str) else value
    return [str(part).strip() for part in parts]


def _case(text: str) -> dict[str, str | float]:
    parts = text.split(":")
    try:
        source, target, factor = parts
        return {"source": source, "target": target, "factor": float(factor)}
    except ValueError:
        raise ValueError(f"cases: '{text}' is not source:target:factor, for example t1:t2:4.") from None


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    run_command(main)
