"""Cases of the benchmark, each with its lower limit."""

import copy
import math
import os
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain, groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

import h5py
import nibabel as nib
import numpy as np
import torch
from benchmark_measure import Work, dense_operations, resident_memory, spread
from monai.data import DataLoader
from monai.transforms import Compose
from torch import Tensor

from unicoal_components.datasets.hdf5 import write_subject
from unicoal_components.datasets.sampler import SliceSampler
from unicoal_components.datasets.slices import SliceDataset
from unicoal_components.inference.volume_inferer import VolumeInferer
from unicoal_components.inference.windows import autocast_to
from unicoal_components.keys import Keys
from unicoal_components.losses.objective import SynthesisObjective
from unicoal_components.losses.sam import SAMFeatureLoss
from unicoal_components.networks.discriminator import Discriminator
from unicoal_components.networks.generator import Generator
from unicoal_components.preparation.subject import prepare_subject
from unicoal_components.preparation.subject_files import SubjectFiles
from unicoal_components.slices.slice_group import slice_centers
from unicoal_components.slices.slice_profile import profile_weights
from unicoal_components.training.averages import AveragedGenerator
from unicoal_components.training.draw import DrawSliceTaskd
from unicoal_components.training.load_slice_group import LoadSliceGroupd
from unicoal_components.training.prepare_batch import PrepareSlices
from unicoal_components.training.trainer import UniCOALTrainer

PAPER: dict[str, Any] = {
    "resolution": 256,
    "num_modalities": 3,
    "in_channels": 4,
    "num_layers": 14,
    "channel_base": 2**14,
    "channel_max": 512,
    "w_dim": 512,
    "image_style_dim": 1024,
    "z_dim": 64,
    "dropout": 0.5,
    "position_embedding": "linear",
    "residual": False,
}
COMPACT: dict[str, Any] = {
    "resolution": 128,
    "num_modalities": 4,
    "in_channels": 4,
    "core_resolution": 64,
    "num_layers": 6,
    "channel_base": 2**9,
    "channel_max": 64,
    "w_dim": 128,
    "image_style_dim": 128,
    "z_dim": 64,
    "dropout": 0.0,
    "position_embedding": "fourier",
    "residual": True,
    "interpolated_input": True,
    "acquisition": True,
    "contrast_curve": True,
    "detail_channels": 64,
    "detail_blocks": 6,
    "error_output": True,
}
PRESETS = {
    "compact": COMPACT,
    "mid": PAPER | {"resolution": 128, "channel_base": 2**12, "channel_max": 128},
    "paper": PAPER,
}
TRAINING_BATCH = {"compact": 8, "mid": 4, "paper": 4}
VARIANTS = ("", "r1", "sam", "checkpointing", "compiled", "alone", "alone_compiled")
PLANES = ("axial", "coronal", "sagittal")
MODALITIES = ("t1", "t2", "flair")
AS_TRAINED: dict[str, Any] = {
    "factors": {"min": 1.5, "max": 7.0},
    "axes": "thin",
    "phase": "random",
    "thickness": (0.6, 1.3),
    "profiles": ("gaussian", "box"),
    "flip": "all",
    "rotation": 15.0,
    "zoom": 0.2,
    "gamma": 0.4,
    "gain": 0.2,
    "bias": 0.2,
    "noise": 0.03,
    "contrast": 0.25,
}
"""How the bundles' trainings draw a slice, but for factor 1, at which slices may be of any plane."""
FACTOR = 4
DIFFERENT_SUBJECTS = 4
"""The files of the other subjects are copies of theirs."""


@dataclass(frozen=True)
class Options:
    """Sizes of the cases; `None` for each case's own."""

    repeats: int = 5
    threads: int | None = None
    batch: int | None = None
    resolution: int | None = None
    channel_base: int | None = None
    channel_max: int | None = None
    num_layers: int | None = None
    slices: int = 160
    slice_edge: int = 200
    images: int = 512
    workers: int = 2
    subjects: int = 10
    subjects_many: int = 500
    subject_edge: int = 160
    subject_depth: int = 32
    scan_edge: int = 160

    def network(self, preset: str) -> dict[str, Any]:
        """Return the generator's keyword arguments."""
        chosen = {name: getattr(self, name) for name in ("resolution", "channel_base", "channel_max", "num_layers")}
        values = PRESETS[preset] | {name: value for name, value in chosen.items() if value is not None}
        if "core_resolution" in values:
            values["core_resolution"] = max(values["resolution"] // 2, 16)
        return values


def _sizes(values: dict[str, Any], batch: int) -> str:
    return (
        f"R {values['resolution']}, base {values['channel_base']}, max {values['channel_max']}, "
        f"{values['num_layers']} layers, batch {batch}"
    )


def _images(count: int, channels: int, edge: int, device: torch.device) -> Tensor:
    return torch.rand(count, channels, edge, edge, device=device) * 2 - 1


def _compile_afresh(folder: Path) -> None:
    """Avoid reuse of code compiled in earlier runs."""
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(folder)


def _millions(network: torch.nn.Module) -> float:
    return sum(p.numel() for p in network.parameters()) / 1e6


def generator(
    options: Options, folder: Path, device: torch.device, *, precision: str = "float32", compiled: bool = False
) -> Work:
    """Run a forward of the generator; its limit: its dense convolutions alone, in the same precision."""
    values, batch = options.network("paper"), options.batch or 1
    network = Generator(**values).to(device).eval()
    image = _images(batch, values["in_channels"], values["resolution"], device)
    if compiled:
        _compile_afresh(folder)
    called = torch.compile(network, fullgraph=True) if compiled else network

    def run(network: Callable[[Tensor], Tensor] = called) -> Tensor:
        with torch.no_grad(), autocast_to(precision, device):
            return network(image)

    def details(row: dict) -> dict[str, float]:
        numbers = {"million_parameters": _millions(network)}
        if compiled:
            numbers["compile_seconds"] = row["first_seconds"] - row["seconds"]["median"]
        if precision != "float32":
            with torch.no_grad():
                error = (run().float() - network(image)).square().mean().item()
            numbers["psnr_db_to_float32"] = 10 * math.log10(4 / max(error, 1e-20))
        return numbers

    return Work(
        label=f"generator forward, {_sizes(values, batch)}, {precision}{', compiled' if compiled else ''}",
        run=run,
        limit=lambda: dense_operations(lambda: run(network), device),
        items=batch,
        unit="slices",
        details=details,
    )


def training_step(options: Options, folder: Path, device: torch.device, *, preset: str, variant: str) -> Work:
    """Run an iteration of the trainer, adversarial from the start and without blur.

    Its limit: the dense convolutions of it, forward and backward; for R1 one more forward and backward of the
    discriminator, which is what its second derivative needs; for SAM the encoder's matrix products too.
    """
    values, batch = options.network(preset), options.batch or TRAINING_BATCH[preset]
    resolution, classes = values["resolution"], values["num_modalities"]
    alone, compiled = variant.startswith("alone"), variant.endswith("compiled")
    network = Generator(**values, checkpointing=variant == "checkpointing").to(device)
    shared = {name: values[name] for name in ("channel_base", "channel_max", "position_embedding")}
    discriminator = Discriminator(
        resolution=resolution, num_modalities=classes, in_channels=values["in_channels"] + 1, **shared
    ).to(device)
    sam_loss, sam_label = _small_sam(resolution) if variant == "sam" else (None, "")
    objective = SynthesisObjective(
        adversarial_weight=0.0 if alone else 1.0,
        sam_weight=100.0 if sam_loss else 0.0,
        sam_loss=sam_loss,
        error_weight=4.0 if alone else 0.0,
    )
    average = AveragedGenerator(generator=network)
    eager = copy.deepcopy(network) if compiled else network  # whose convolutions can be recorded
    if compiled:
        _compile_afresh(folder)
        network.compile(fullgraph=True)
    optimizers = [torch.optim.Adam(n.parameters(), lr=0.002, fused=True) for n in (network, discriminator)]
    data = {
        Keys.IMAGE: _images(batch, values["in_channels"], resolution, device),
        Keys.LABEL: _images(batch, 1, resolution, device),
        Keys.MODALITY: torch.arange(batch) % classes,
        Keys.SOURCE_MODALITY: torch.arange(batch) % 2,
        Keys.POSITION: torch.rand(batch),
        Keys.FACTOR: torch.full((batch,), 4.0),
        Keys.THICKNESS: torch.ones(batch),
    }

    def trainer(network: Generator, r1_gamma: float) -> UniCOALTrainer:
        return UniCOALTrainer(
            device=device,
            max_epochs=1,
            train_data_loader=[data],
            network=network,
            optimizer=optimizers[0],
            objective=objective,
            prepare_batch=PrepareSlices(z_dim=None if alone else values["z_dim"], with_error=alone),
            discriminator=discriminator,
            discriminator_optimizer=optimizers[1],
            average=average,
            r1_gamma=r1_gamma,
            blur_initial_sigma=0.0,
        )

    plain, measured = trainer(eager, 0.0), trainer(network, 10.0 if variant == "r1" else 0.0)

    def needed() -> None:
        plain.run()
        if variant == "r1":
            discriminator.requires_grad_(True)
            pair = torch.cat([data[Keys.IMAGE], data[Keys.LABEL]], dim=1).requires_grad_(True)
            discriminator(pair).sum().backward()

    labels = {"": "", "r1": ", with R1", "sam": f", with SAM ({sam_label})"}
    labels |= {"alone": ", generator alone", "alone_compiled": ", generator alone, compiled"}

    def details(row: dict) -> dict[str, float]:
        numbers = {
            "million_parameters_generator": _millions(network),
            "million_parameters_discriminator": _millions(discriminator),
        }
        if compiled:
            numbers["compile_seconds"] = row["first_seconds"] - row["seconds"]["median"]
        return numbers

    return Work(
        label=f"training step, {_sizes(values, batch)}{labels.get(variant, f', {variant}')}",
        run=measured.run,
        limit=lambda: dense_operations(needed, device, products=variant == "sam"),
        items=batch,
        unit="images",
        warm_ups=2,  # from the second on the optimizers have their moments
        details=details,
    )


def _small_sam(resolution: int) -> tuple[SAMFeatureLoss, str]:
    from segment_anything.modeling.image_encoder import ImageEncoderViT  # only here: it needs seconds

    size, dim, depth = 2 * resolution, 64, 2
    encoder = ImageEncoderViT(img_size=size, embed_dim=dim, depth=depth, num_heads=4, out_chans=32)
    return SAMFeatureLoss(encoder=encoder), f"random weights, {size} pixels, {dim} channels, {depth} blocks"


def volume(
    options: Options, folder: Path, device: torch.device, *, times: int = 1, same_modality: bool = False
) -> Work:
    """Synthesize a volume with the compact network, of another modality or not; its limit: its dense convolutions."""
    values, batch, count = options.network("compact"), options.batch or 8, options.slices * times
    network = Generator(**values).to(device).eval()
    stack = _images(1, math.ceil(count / FACTOR), options.slice_edge, device)[None]
    source, target = (torch.tensor([number], device=device) for number in (0, 0 if same_modality else 1))
    inferer = VolumeInferer(resolution=values["resolution"], batch_size=batch)
    indices = torch.arange(count)

    @torch.no_grad()
    def run() -> Tensor:
        return inferer(stack, network, modality=target, source_modality=source, factor=float(FACTOR), indices=indices)

    return Work(
        label=f"volume of {count} slices of {options.slice_edge}² from {stack.shape[2]}"
        f"{' of the same modality' if same_modality else ''}, {_sizes(values, batch)}",
        run=run,
        limit=lambda: dense_operations(run, device),
        items=count,
        unit="slices",
        details=lambda row: {"input_and_output_gb": (stack.numel() + count * stack[0, 0, 0].numel()) * 4 / 1e9},
    )


def loading(
    options: Options, folder: Path, device: torch.device, *, many: bool = False, plane: str | None = None
) -> Work:
    """Load training images by workers; its limit: to read the slices that they need by h5py, in one process.

    With a plane all slices are of this plane, of cubic volumes, and changed as in the bundles' trainings.
    """
    count = options.subjects_many if many else options.subjects
    batch = options.batch or 8
    images = math.ceil(options.images / batch) * batch
    depth = options.subject_edge if plane else options.subject_depth
    axis = PLANES.index(plane) if plane else 0
    data = _write_subjects(folder, count, depth, options.subject_edge, axis=axis)
    edge = options.resolution or COMPACT["resolution"]
    draw = DrawSliceTaskd(modalities=MODALITIES, resolution=edge, **(AS_TRAINED if plane else {}))
    dataset = SliceDataset(data=data, transform=Compose([draw, LoadSliceGroupd()]))
    loader = DataLoader(
        dataset,
        batch_size=batch,
        sampler=SliceSampler(dataset=dataset, num_samples=images),
        num_workers=options.workers,
        persistent_workers=options.workers > 0,
    )
    drawn = SliceDataset(data=data, transform=Compose([draw]))
    needed = [place for index in SliceSampler(dataset=drawn, num_samples=images) for place in _places(drawn[index])]

    def run() -> None:
        for _ in loader:
            pass

    def details(row: dict) -> dict[str, float]:
        resident = resident_memory()
        opening = spread(_seconds(lambda: SliceDataset(data=data, transform=None)) for _ in range(options.repeats))
        return {
            "resident_memory_gb": resident,
            "opening_seconds": opening["median"],
            "opening_milliseconds_per_file": opening["median"] / count * 1000,
            "slices_read_per_image": len(needed) / images,
        }

    return Work(
        label=(
            f"loading {images} {plane or 'axial'} images from {count} subjects of {depth} x {options.subject_edge} x "
            f"{options.subject_edge} voxels, {options.workers} workers, R {edge}, batch {batch}"
            f"{', changed as in training' if plane else ''}"
        ),
        run=run,
        limit=lambda: partial(_read_raw, sorted(needed), axis=axis),
        items=images,
        unit="images",
        details=details,
    )


def _write_subjects(folder: Path, count: int, depth: int, edge: int, *, axis: int = 0) -> list[dict[str, str]]:
    data = [{"subject": f"s{number:04}", "path": str(folder / f"s{number:04}.h5")} for number in range(count)]
    for number, entry in enumerate(data):
        if number >= DIFFERENT_SUBJECTS:
            # Copies, not links: HDF5 knows one file under two names and would open it once.
            shutil.copyfile(data[number % DIFFERENT_SUBJECTS]["path"], entry["path"])
            continue
        rng = np.random.default_rng(number)
        volumes = {name: head((depth, edge, edge), rng) for name in MODALITIES}
        limits, sources = dict.fromkeys(MODALITIES, (0.0, 255.0)), dict.fromkeys(MODALITIES, "random")
        write_subject(
            entry["path"],
            volumes=volumes,
            affine=np.eye(4),
            intensity=limits,
            sources=sources,
            thin_axes=dict.fromkeys(MODALITIES, (axis,)),
        )
    return data


def head(shape: Sequence[int], rng: np.random.Generator) -> np.ndarray:
    """Return noise in an ellipsoid, uint8: it compresses about as scans do."""
    axes = np.ogrid[tuple(slice(-1, 1, size * 1j) for size in shape)]
    inside = sum(axis**2 for axis in axes) <= 1
    return np.where(inside, rng.integers(90, 110, shape, dtype=np.uint8), np.uint8(0))


def _places(item: dict[str, Any]) -> list[tuple[str, str, int]]:
    """Return file, modality and number of every slice that a drawn item needs."""
    draw = item[Keys.DRAW]
    depth = item["shape"][draw.axis]
    thickness, profile = draw.factor * (draw.thickness or 1), draw.profile or "gaussian"
    mirrored = draw.flips[0]
    place = depth - 1 - draw.index if mirrored else draw.index
    centers = slice_centers(place - draw.offset, draw.factor)
    parts = [profile_weights(center, thickness, depth, profile) for center in centers]
    rows = set(chain.from_iterable(range(start, start + len(weights)) for start, weights in parts))
    if mirrored:
        rows = {depth - 1 - row for row in rows}
    places = [(item["path"], draw.source, row) for row in sorted(rows)]
    return [*places, (item["path"], draw.target, draw.index)]


def _read_raw(places: Sequence[tuple[str, str, int]], *, axis: int = 0) -> None:
    """Read slices along an axis, sorted by file and modality, each anew."""
    for path, of_file in groupby(places, key=itemgetter(0)):
        with h5py.File(path, rdcc_nbytes=0) as file:  # else a slice that is needed twice would be in memory
            for modality, of_modality in groupby(of_file, key=itemgetter(1)):
                dataset = file[modality]
                for _, _, row in of_modality:
                    dataset[(slice(None),) * axis + (row,)]


def _seconds(function: Callable[[], Any]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def preparation(options: Options, folder: Path, device: torch.device) -> Work:
    """Prepare a subject; its limit: to write the arrays that result by h5py, with the same chunks and filters."""
    edge, rng = options.scan_edge, np.random.default_rng(0)
    files = {name: folder / f"{name}.nii.gz" for name in MODALITIES}
    for path in files.values():
        nib.save(nib.Nifti1Image(head((edge, edge, edge), rng).astype(np.int16), np.eye(4)), path)
    result = folder / "subject.h5"

    def limit() -> Callable[[], None]:
        with h5py.File(result) as file:
            arrays = {name: dataset[()] for name, dataset in file.items()}
            how = {
                name: {"chunks": d.chunks, "compression": d.compression, "compression_opts": d.compression_opts}
                for name, d in file.items()
            }

        def write() -> None:
            with h5py.File(folder / "bare.h5", "w") as file:
                for name, array in arrays.items():
                    file.create_dataset(name, data=array, **how[name])

        return write

    return Work(
        label=f"preparation of {len(files)} NIfTI scans of {edge} x {edge} x {edge} voxels",
        run=lambda: prepare_subject(SubjectFiles("subject", files), result, modalities=MODALITIES),
        limit=limit,
        items=len(files),
        unit="scans",
    )


def _training_cases() -> dict[str, Callable[..., Work]]:
    cases: dict[str, Callable[..., Work]] = {}
    for preset in TRAINING_BATCH:
        for variant in VARIANTS:
            parts = ["training_step", "" if preset == "compact" else preset, variant]
            cases["_".join(filter(None, parts))] = partial(training_step, preset=preset, variant=variant)
    return cases


CASES: dict[str, Callable[..., Work]] = {
    "generator": generator,
    "generator_bfloat16": partial(generator, precision="bfloat16"),
    "generator_compiled": partial(generator, compiled=True),
    **_training_cases(),
    "loading": loading,
    "loading_many": partial(loading, many=True),
    **{f"loading_{plane}": partial(loading, plane=plane) for plane in PLANES},
    "volume": volume,
    "volume_double": partial(volume, times=2),
    "volume_same": partial(volume, same_modality=True),
    "preparation": preparation,
}
"""Name → what builds the work from options, a folder for files and a device."""
