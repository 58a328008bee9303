"""Train a plain MONAI U-Net by L1 on the data and tasks of the method, as a row of its reports.

`python scripts/train_baseline.py --datalist data/datalist.json --output baseline --images 16000`, then evaluate the
method with `--unet baseline/unet.pt`: both answer the same questions in the same run.
"""

import logging
from collections.abc import Sequence
from pathlib import Path

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
    factors: float | Sequence[float] = (1, 2, 4, 6),
    same_modality: bool = True,
    cross_modality: bool = True,
    phase: str = "grid",
    profile: str = "gaussian",
    slice_gap: float = 0.0,
    slice_thickness: float | None = None,
    resolution: int = 128,
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
        pretrained: unet.pt of an earlier training to go on from; its modalities, channels and residual are taken.
        modalities: names in class order, separated by commas; otherwise the datalist's.
        factors: training factors.
        same_modality: whether source and target may be of one modality; this and the next as the bundle has them.
        cross_modality: whether they may be of two.
        phase: where thick slices lie, grid or random.
        profile: slice profile, gaussian, box or drop.
        slice_gap: gap between thick slices in mm.
        slice_thickness: instead, their thickness in mm.
        resolution: side of the training window in voxels.
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
    given = {"channels": list(channels), "residual": residual}
    sizes = given if pretrained is None else {name: read_settings(pretrained)[name] for name in given}
    torch.manual_seed(seed)
    network = load_baseline(path=pretrained, modalities=names) or BaselineUNet(num_modalities=len(names), **sizes)
    draw = DrawSliceTaskd(
        modalities=names,
        factors=[factors] if isinstance(factors, int | float) else factors,
        same_modality=same_modality,
        cross_modality=cross_modality,
        phase=phase,
        resolution=resolution,
        intensity_jitter=intensity_jitter,
    )
    load = LoadSliceGroupd(profile=profile, slice_gap=slice_gap, slice_thickness=slice_thickness)
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
    write_record(path, subjects=subjects, images_seen=result["images_seen"])


def _names(given: str | Sequence[str] | None, datalist: str, pretrained: str | None) -> list[str]:
    """Take names as Fire gives them, a text with commas or a tuple; else those of the earlier training or datalist."""
    if given is not None:
        return [str(part).strip() for part in (given.split(",") if isinstance(given, str) else given)]
    return read_modalities(datalist) if pretrained is None else read_settings(pretrained)["modalities"]


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    run_command(main)
