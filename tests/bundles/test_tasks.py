"""Each bundle does its own task: trained and evaluated as it is, and as every official experiment, with tiny sizes."""

import csv

import nibabel as nib
import numpy as np
import pytest

from unicoal_components.datasets.hdf5 import read_header, read_volume
from unicoal_components.slices.slice_profile import thick_volume

ALONE = [("cms", ()), ("sr", ()), ("cmsr", ())]  # unified has a module of its own, test_run
EXPERIMENTS = [
    ("cms", ("paper.json", "brats19_t1_t2.json")),
    ("cms", ("paper.json", "brats19_t2_flair.json")),
    ("cms", ("paper.json", "brats19_flair_t1.json")),
    ("sr", ("paper.json", "adni_t1_x5.json")),
    ("cmsr", ("paper.json", "adni_flair_t1_x5.json")),
    ("unified", ("paper.json", "ixi.json")),
]
NAMES = ["t1", "t2", "pd", "flair"]
PAIRS = [(a, b) for a in NAMES for b in NAMES if a != b]
CASES = {
    "cms": {(*pair, 1) for pair in PAIRS},
    "sr": {(name, name, factor) for name in NAMES for factor in (2, 4, 6)},
    "cmsr": {(*pair, factor) for pair in PAIRS for factor in (2, 4, 6)},
    "brats19_t1_t2": {("t1", "t2", 1)},
    "brats19_t2_flair": {("t2", "flair", 1)},
    "brats19_flair_t1": {("flair", "t1", 1)},
    "adni_t1_x5": {("t1", "t1", 5)},
    "adni_flair_t1_x5": {("flair", "t1", 5)},
    "ixi": {(a, b, 1) for a, b in PAIRS if "flair" not in (a, b)}
    | {(name, name, factor) for name in ("t1", "t2") for factor in (2, 4)}
    | {("t1", "t2", 4), ("t2", "pd", 4), ("t1", "t1", 7), ("t1", "t1", 2.5)},
}


@pytest.mark.parametrize(("task", "overlays"), [*ALONE, *EXPERIMENTS])
def test_a_bundle_trains_and_evaluates_its_own_cases(bundle, task, overlays, cohort, tmp_path):
    paths = {"dataset_dir": str(cohort), "output_dir": str(tmp_path / "out"), "ckpt_path": str(tmp_path / "model.pt")}
    options = paths | {"sam_weight": 0.0, "evaluation_panels": 0}
    bundle.run("train.json", *overlays, max_epochs=1, **options)
    bundle.run("train.json", *overlays, "evaluate.json", evaluation_baselines=[], evaluation_slice_step=7, **options)
    with open(tmp_path / "out" / "evaluation" / "per_subject.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    name = overlays[-1].removesuffix(".json") if overlays else task
    assert {(row["source"], row["target"], float(row["factor"])) for row in rows} == CASES[name]
    assert all(np.isfinite(float(row["psnr"])) for row in rows)


@pytest.mark.parametrize(("task", "target", "factor"), [("cms", "t2", 1), ("sr", "t1", 4), ("cmsr", "t2", 4)])
def test_inference_does_the_task_by_default(bundle, cohort, tmp_path, task, target, factor):
    """Nothing but the files is given; the weights are those that a training of one step leaves."""
    model = str(tmp_path / "model.pt")
    paths = {"dataset_dir": str(cohort), "output_dir": str(tmp_path / "out"), "ckpt_path": model}
    bundle.run("train.json", max_epochs=1, images_per_epoch=4, **paths)
    thick = thick_volume(read_volume(cohort / "sim_0000.h5", "t1"), factor, "gaussian")
    affine = read_header(cohort / "sim_0000.h5").affine @ np.diag([1, 1, factor, 1])
    nib.save(nib.Nifti1Image((500 * (thick + 1)).transpose(2, 1, 0).astype(np.float32), affine), tmp_path / "t1.nii.gz")
    bundle.run("inference.json", input=str(tmp_path / "t1.nii.gz"), **paths)
    thin = nib.load(tmp_path / "out" / f"t1_{target}.nii.gz")
    assert thin.shape == (*thick.shape[:0:-1], len(thick) * factor)


@pytest.mark.parametrize("task", ["cms", "sr", "cmsr"])
def test_a_misspelled_value_is_named_with_the_files_of_the_bundle(bundle, task, tmp_path):
    words = bundle.mistake("train.json", output_dir=str(tmp_path / "out"), factor_s=[2])
    assert "'factor_s' (did you mean 'factors'?)" in words
    assert f"bundles/{task}/configs/train.json" in words


FOREIGN = [(task, home) for task in ("cms", "sr", "cmsr", "unified") for home in ("sr", "unified") if task != home]


@pytest.mark.parametrize(("task", "home"), FOREIGN)
def test_an_overlay_of_another_task_is_named_with_where_it_belongs(bundle, task, home, tmp_path):
    overlay = next(overlays[-1] for name, overlays in EXPERIMENTS if name == home)
    path = bundle.root.parent / home / "configs" / overlay
    words = bundle.mistake("train.json", str(path), output_dir=str(tmp_path / "out"), sam_weight=0.0)
    assert f"{overlay}' belongs to another bundle than the configs in " in words
    assert f"bundles/{task}/configs'" in words
    assert f"bundles/{home}/configs/train.json" in words
