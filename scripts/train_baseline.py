"""Train a plain MONAI U-Net by L1 on the data and tasks of the method, as a row of its reports.

`python scripts/train_baseline.py --datalist data/datalist.json --output baseline --images 16000`, then evaluate the
method with `--unet baseline/unet.pt`: both answer the same questions in the same run.
"""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from monai.transforms import Compose

from unicoal_components.command_line import run_command
from unicoal_components.data.datalist import read_datalist, read_modalities
from unicoal_components.data.sampler import SliceSampler
from unicoal_components.data.slices import SliceDataset
from unicoal_components.data.training_record import training_subjects, write_record
from unicoal_components.data.writable import check_writable
from unicoal_components.engines.baseline import load_baseline, read_settings, save_baseline, train_baseline
from unicoal_components.networks.unet import BaselineUNet
from unicoal_components.transforms.draw import DrawSliceTaskd
from unicoal_components.transforms.load_slice_group import LoadSliceGroupd


def main(
    *,
    datalist: str,
    output: str,
    images: int | None = None,
    minutes: float | None = None,
    pretrained: str | None = None,
    modalities: str | Sequence[str] | None = None,
    targets: str | Sequence[str] | None = None,
    sources: str | Sequence[str] | None = None,
    factors: float | Sequence[float] = (1, 2, 4, 6),
    same_modality: bool = True,
    cross_modality: bool = True,
    phase: str = "grid",
    flip: bool = True,
    profile: str = "gaussian",
    slice_gap: float = 0.0,
    slice_thickness: float | None = None,
    resolution: int = 128,
    slice_group_size: int = 4,
    channels: Sequence[int] = (32, 64, 128, 256),
    residual: bool = True,
    batch_size: int = 8,
    learning_rate: float = 1e-3,
    intensity_jitter: float = 0.0,
    workers: int = 0,
    device: str | None = None,
    seed: int = 0,
) -> None:
    """Train the U-Net and save unet.pt, unet.json (how) and unet.training.json (on whom).

    Args:
        datalist: JSON of prepare_data.py or simulate_cohort.py.
        output: folder for the three files.
        images: train on this many images; give what the method saw.
        minutes: train for this long; with images as well, whichever comes first.
        pretrained: unet.pt of an earlier training to go on from; its modalities and sizes are taken.
        modalities: names in class order, separated by commas; otherwise the datalist's.
        targets: those to synthesize; this and what follows, down to slice_group_size, as in the bundle's train.json.
        sources: those to start from.
        factors: training factors.
        same_modality: whether source and target may be of one modality.
        cross_modality: whether they may be of two.
        phase: where thick slices lie, grid or random.
        flip: mirror half of the slices left-right.
        profile: slice profile, gaussian, box or drop.
        slice_gap: gap between thick slices in mm.
        slice_thickness: instead, their thickness in mm.
        resolution: side of the training window in voxels.
        slice_group_size: thick slices that the U-Net sees.
        channels: features of each level of the U-Net.
        residual: within one modality learn the difference to cubic interpolation.
        batch_size: images in a step.
        learning_rate: of Adam.
        intensity_jitter: see DrawSliceTaskd.
        workers: processes that load data.
        device: cpu, cuda, ...; otherwise cuda where there is one.
        seed: of the weights and the draws.
    """
    check_writable(output)
    names = _names(modalities, datalist, pretrained)
    sizes: dict[str, Any] = {"in_channels": slice_group_size, "channels": list(channels), "residual": residual}
    if pretrained is not None:
        sizes = {name: read_settings(pretrained)[name] for name in sizes}
    torch.manual_seed(seed)
    network = load_baseline(path=pretrained, modalities=names, in_channels=slice_group_size) or BaselineUNet(
        num_modalities=len(names), **sizes
    )
    draw = DrawSliceTaskd(
        modalities=names,
        targets=None if targets is None else _listed(targets),
        sources=None if sources is None else _listed(sources),
        factors=[factors] if isinstance(factors, int | float) else factors,
        same_modality=same_modality,
        cross_modality=cross_modality,
        phase=phase,
        flip=flip,
        resolution=resolution,
        intensity_jitter=intensity_jitter,
    )
    load = LoadSliceGroupd(
        profile=profile, slice_gap=slice_gap, slice_thickness=slice_thickness, slice_group_size=slice_group_size
    )
    data = read_datalist(datalist, "training")
    dataset = SliceDataset(data=data, transform=Compose([draw, load]), seed=seed)
    result = train_baseline(
        network.train(),
        dataset=dataset,
        make_sampler=lambda count: SliceSampler(dataset=dataset, num_samples=count, seed=seed),
        device=device or ("cuda" if torch.cuda.is_available() else "cpu"),
        images=images,
        minutes=minutes,
        batch_size=batch_size,
        learning_rate=learning_rate,
        num_workers=workers,
    )
    path = Path(output) / "unet.pt"
    how = {"modalities": names, "seed": seed, "pretrained": pretrained}
    save_baseline(network, path, settings=how | sizes | result)
    subjects = training_subjects(data=data, pretrained=pretrained)
    write_record(path, subjects=subjects, images_seen=result["images_seen"], selected_by={})


def _names(given: str | Sequence[str] | None, datalist: str, pretrained: str | None) -> list[str]:
    """Take the names that are given; else those of the earlier training or datalist."""
    if given is not None:
        return _listed(given)
    return read_modalities(datalist) if pretrained is None else read_settings(pretrained)["modalities"]


def _listed(given: str | Sequence[str]) -> list[str]:
    """Take names as Fire gives them, a text with commas or a tuple."""
    return [str(part).strip() for part in (given.split(",") if isinstance(given, str) else given)]


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    run_command(main)
