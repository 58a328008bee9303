"""The commands of the campaign, on a tiny cohort and tiny networks that it makes itself."""

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import torch
from fuzz_files import dicom

from unicoal_components.networks.generator import Generator
from unicoal_components.runtime.weights import save_weights
from unicoal_components.simulation.cohort import simulate_cohort

CONFIGS = "bundles/unified/configs"
NETWORK: dict[str, Any] = {
    "resolution": 32,
    "core_resolution": 16,
    "num_layers": 6,
    "channel_base": 256,
    "channel_max": 8,
    "w_dim": 16,
    "image_style_dim": 16,
    "z_dim": 8,
    "detail_channels": 4,
    "detail_blocks": 1,
}
TRAINING = {"batch_size": 4, "images_per_epoch": 16, "num_workers": 2, "val_interval": 1, "max_epochs": 2}
TRAINING |= {"constant_epochs": 1, "decay_epochs": 1}
OPTIONS: dict[str, Any] = {
    "position_embedding": "fourier",
    "residual": True,
    "interpolated_input": True,
    "acquisition": True,
}
OPTIONS |= {"error_output": True, "contrast_curve": True}
PAIRS = (("t1", "t1", 3), ("t1", "t2", 1), ("t2", "pd", 3))
TEST_CASES = [dict(zip(("source", "target", "factor"), pair, strict=True)) for pair in PAIRS]


@dataclass(frozen=True)
class Case:
    """One command.

    Attributes:
        words: returns its words after `python`, from the folder of inputs and that of the output.
        same: patterns of the files that are compared with those of a run that was not stopped.
        as_bytes: whether their bytes are, or their values.
        claims: file of the output that appears when the command has claimed its folder; "" = it claims none.
    """

    words: Callable[[Path, Path], list[str]]
    same: tuple[str, ...]
    as_bytes: bool = True
    claims: str = ""


def _bundle(inputs: Path, *names: str, **options: object) -> list[str]:
    files = [f"{CONFIGS}/{names[0]}.json", str(inputs / f"{names[0]}.json")]
    files += [f"{CONFIGS}/{name}.json" for name in names[1:]]
    words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    return ["-m", "monai.bundle", "run", "--config_file", str(files), *words]


def _unicoal(name: str, **options: object) -> list[str]:
    return ["-m", "unicoal_components", name, *_script(name, **options)[1:]]


def _script(name: str, **options: object) -> list[str]:
    words = [word for option, value in options.items() for word in (f"--{option}", str(value))]
    return [f"scripts/{name}.py", *words]


HOLDER = ".unicoal.holder.json"
CASES: Mapping[str, Case] = {
    "simulate_cohort": Case(
        lambda inputs, out: [
            *_unicoal(
                "simulate",
                output=out,
                subjects=3,
                split="1,1,1",
                spacing=4,
                label_map=inputs / "labels.nii.gz",
            ),
            "--nifti",
        ],
        ("*.h5", "datalist.json", "nifti/*/*.nii.gz"),
        claims=HOLDER,
    ),
    "prepare_data": Case(
        lambda inputs, out: _unicoal(
            "prepare",
            input=inputs / "cohort/nifti",
            modalities="t1,t2,pd,flair",
            split="0.4,0.3,0.3",
            workers=2,
            output=out,
        ),
        ("*.h5", "manifest.csv", "datalist.json"),
        claims=HOLDER,
    ),
    "pack_training_set": Case(
        lambda inputs, out: _script(
            "pack_training_set", datalist=inputs / "cohort/datalist.json", output=out / "set.h5"
        ),
        ("set.h5",),
    ),
    "make_thick": Case(
        lambda inputs, out: _script(
            "make_thick", input=inputs / "large.nii.gz", output=out / "thick.nii.gz", factor=2.5
        ),
        ("thick.nii.gz",),
    ),
    "train": Case(
        lambda inputs, out: _bundle(
            inputs, "train", dataset_dir=inputs / "cohort", output_dir=out, ckpt_path=out / "model.pt"
        ),
        ("model.pt", "checkpoint.pt", "model.training.json"),
        claims=HOLDER,
    ),
    "evaluate": Case(
        lambda inputs, out: _bundle(
            inputs,
            "train",
            "evaluate",
            dataset_dir=inputs / "cohort",
            output_dir=out,
            ckpt_path=inputs / "model.pt",
            test_cases=TEST_CASES,
            viewer_cases=1,
        ),
        ("evaluation/*.csv",),
        claims=f"evaluation/{HOLDER}",
    ),
    "inference, NIfTI": Case(
        lambda inputs, out: _inference(inputs, out, "scans"),
        ("*.nii.gz",),
    ),
    "inference, DICOM": Case(
        lambda inputs, out: _inference(inputs, out, "study"),
        ("*/*.dcm",),
        as_bytes=False,
    ),
}


def _inference(inputs: Path, out: Path, scans: str) -> list[str]:
    options = {"source_modality": "t1", "target_modality": "t1", "factor": 3, "error_map": "true"}
    paths = {"input": inputs / scans, "output_dir": out, "ckpt_path": inputs / "model.pt"}
    return _bundle(inputs, "inference", **paths, **options)


def _label_map() -> nib.Nifti1Image:
    """Return a head of shells, labelled as FreeSurfer does; it is read faster than the MNI152 brain."""
    radius = np.linalg.norm(np.indices((46, 52, 42)) - np.reshape((23, 26, 21), (3, 1, 1, 1)), axis=0)
    labels = np.select([radius < 5, radius < 12, radius < 16, radius < 18], [4, 2, 3, 24], 0).astype(np.int16)
    return nib.Nifti1Image(labels, np.diag([4.0, 4.0, 4.0, 1.0]))


def make_inputs(folder: Path) -> None:
    """Write all that the commands read; the weights are untrained."""
    folder.mkdir()
    labels = folder / "labels.nii.gz"
    nib.save(_label_map(), labels)
    simulate_cohort(
        output=folder / "cohort", subjects=3, split=(1, 1, 1), spacing=8.0, nifti=True, label_map=str(labels)
    )
    torch.manual_seed(0)
    save_weights(Generator(num_modalities=4, **OPTIONS, **NETWORK).state_dict(), folder / "model.pt")
    (folder / "train.json").write_text(json.dumps(NETWORK | TRAINING))
    (folder / "inference.json").write_text(json.dumps(NETWORK))
    (folder / "scans").mkdir()
    for number, path in enumerate(sorted((folder / "cohort/nifti").glob("*/t1.nii.gz"))):
        shutil.copy(path, folder / "scans" / f"scan_{number}.nii.gz")
    (folder / "study").mkdir()
    dicom(folder / "study")
    voxels = np.random.default_rng(0).integers(1, 900, (96, 96, 80)).astype(np.int16)
    nib.save(nib.Nifti1Image(voxels, np.eye(4)), folder / "large.nii.gz")
