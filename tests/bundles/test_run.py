"""The bundle as users run it, `python -m monai.bundle run`: processes that go on, the words and status of an error.

What needs no process of its own runs the same command line in that of the tests.
"""

import csv
import json
import math
import shutil

import nibabel as nib
import numpy as np
import pytest
import torch
from nibabel.orientations import axcodes2ornt, io_orientation, ornt_transform
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from unicoal_components.datasets.hdf5 import read_header, read_volume
from unicoal_components.metrics.foreground import foreground
from unicoal_components.slices.slice_profile import thick_volume


@pytest.fixture(scope="session")
def command(tmp_path_factory, request):
    """Give the words of a command with tiny sizes; from the repository's root, or with `elsewhere` from another."""
    bundle = request.getfixturevalue("bundle_class")("unified")
    folder = tmp_path_factory.mktemp("overlays")
    for name, values in (("train", bundle.network | bundle.training), ("inference", bundle.network)):
        (folder / f"{name}.json").write_text(json.dumps(values))

    def words(name, *overlays, elsewhere=None, **options):
        if elsewhere is None:
            configs = "bundles/unified/configs"
        else:
            configs, options = bundle.configs, options | {"bundle_root": bundle.root, "cwd": elsewhere}
        files = [f"{configs}/{name}.json", folder / f"{name}.json", *(f"{configs}/{other}.json" for other in overlays)]
        return bundle, files, options

    return words


@pytest.fixture(scope="session")
def run(command):
    """Run the command in a process of its own."""

    def call(*names, **options):
        bundle, files, options = command(*names, **options)
        return bundle.command(*files, **options)

    return call


@pytest.fixture(scope="session")
def run_here(command):
    """Run the command in this process, where an error is raised."""

    def call(*names, **options):
        bundle, files, options = command(*names, **options)
        bundle.command_here(*files, **options)

    return call


def training(cohort, folder):
    return {"dataset_dir": cohort, "output_dir": folder / "output", "ckpt_path": folder / "model.pt"}


@pytest.fixture(scope="session")
def trained(run_here, cohort, tmp_path_factory):
    """Folder of a training of four epochs in one go, without workers, from the repository's root."""
    folder = tmp_path_factory.mktemp("trained")
    run_here("train", **training(cohort, folder), max_epochs=4)
    return folder


def assert_same(first, second, where=""):
    """Compare nested states to the last bit."""
    assert type(first) is type(second), where
    if isinstance(first, dict):
        assert list(first) == list(second), where
        for key in first:
            assert_same(first[key], second[key], f"{where}/{key}")
    elif isinstance(first, list | tuple):
        assert len(first) == len(second), where
        for index, pair in enumerate(zip(first, second, strict=True)):
            assert_same(*pair, f"{where}/{index}")
    elif isinstance(first, torch.Tensor):
        assert torch.equal(first, second), where
    else:
        assert first == second or (first != first and second != second), where


def test_two_epochs_and_two_in_a_process_after_it_are_four_to_the_bit_with_and_without_workers(
    run, run_here, cohort, trained, tmp_path, caplog
):
    caplog.set_level("INFO")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    first, second = tmp_path / "first", tmp_path / "second"
    run_here("train", **training(cohort, first), max_epochs=2, num_workers=2, elsewhere=elsewhere)
    shutil.copytree(first, second)
    process = run("train", **training(cohort, first), max_epochs=4, num_workers=2, elsewhere=elsewhere)
    assert process.returncode == 0, process.stderr[-3000:]
    caplog.clear()
    run_here("train", **training(cohort, second), max_epochs=4, num_workers=0, elsewhere=elsewhere)
    said = [process.stdout, caplog.text]
    for folder, words in zip((first, second), said, strict=True):
        assert "epoch 3 of 4 comes next" in words
        for name in ("model.pt", "output/checkpoint.pt"):
            states = [torch.load(place / name, weights_only=True) for place in (trained, folder)]
            assert_same(*states, f"{name} of {folder.name}")
    assert list(elsewhere.iterdir()) == []


def test_training_leaves_losses_metrics_and_images_for_tensorboard_and_a_report(trained):
    scalars, images = {}, {}
    for path in sorted((trained / "output" / "tensorboard").iterdir()):
        events = EventAccumulator(str(path)).Reload()
        scalars |= {tag: events.Scalars(tag) for tag in events.Tags()["scalars"]}
        images |= {tag: events.Images(tag) for tag in events.Tags()["images"]}
    assert {"loss", "generator_adversarial", "generator_l1", "discriminator", "train_psnr", "val_psnr"} <= set(scalars)
    assert all(math.isfinite(event.value) for values in scalars.values() for event in values)
    rates = [event.value for event in scalars["learning_rate"]]
    assert len(rates) == 16
    assert rates[0] == 0 and max(rates) > rates[-1] > 0  # it rises, then falls
    assert [image.step for image in images["source, target, prediction, error"]] == [1, 2, 3, 4]
    assert (trained / "output" / "validation" / "summary.csv").is_file()


def test_slices_with_gaps_at_real_factors_and_random_phases_are_trained_from_the_command_line(
    run_here, cohort, tmp_path
):
    slices = {"profile": "box", "slice_gap": 0.5, "phase": "random"}
    factors = "[1, {'min': 2.0, 'max': 4.5}]"
    run_here("train", **training(cohort, tmp_path), max_epochs=1, images_per_epoch=8, factors=factors, **slices)
    assert (tmp_path / "model.pt").is_file()


def test_evaluation_compares_every_case_with_the_baselines_on_the_test_persons(
    run_here, cohort, trained, tmp_path, caplog
):
    caplog.set_level("INFO")
    options = {"dataset_dir": cohort, "output_dir": tmp_path / "output", "ckpt_path": trained / "model.pt"}
    run_here("train", "evaluate", elsewhere=tmp_path, evaluation_panels=0, **options)
    report = tmp_path / "output" / "evaluation"
    with open(report / "per_subject.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    person = json.loads((cohort / "datalist.json").read_text())["test"][0]
    assert {row["subject"] for row in rows} == {person["subject"]}
    keys = ("source", "target", "factor", "axis")
    cases = {tuple(row[key] for key in keys) for row in rows}
    # super-resolution along three axes, synthesis, and both along three axes, of four modalities
    assert len(cases) == 3 * 4 + 12 + 3 * 12
    for case in cases:
        of_case = [row for row in rows if tuple(row[key] for key in keys) == case]
        assert sorted(row["method"] for row in of_case) == ["affine", "copy", "cubic", "linear", "ours"]
        fields = ("psnr", "ssim", "mae", "paper_psnr", "paper_ssim", "roughness")
        assert all(math.isfinite(float(row[field])) for row in of_case for field in fields)
    copied = next(row for row in rows if (row["target"], row["factor"], row["method"]) == ("t2", "1", "copy"))
    t1, t2 = ((read_volume(cohort / person["path"], name) + 1) / 2 for name in ("t1", "t2"))
    inside = foreground(target=t2)
    scale = t2.max() - t2.min()
    assert float(copied["mae"]) == pytest.approx(float(np.abs(t1 - t2)[inside].mean() / scale), abs=1e-4)
    page = (report / "report.html").read_text(encoding="utf-8")
    assert all(word in page for word in (person["subject"], "linear", "images_per_epoch"))
    assert "60 of 60 cases" not in caplog.text
    run_here("train", "evaluate", elsewhere=tmp_path, evaluation_panels=0, **options)
    assert "60 of 60 cases" in caplog.text


def save_thick(path, source, *, factor, codes):
    """Write the t1 of a subject file as a thick NIfTI with the given axis codes."""
    thick = thick_volume(read_volume(source, "t1"), factor, "gaussian")
    affine = read_header(source).affine @ np.diag([1, 1, factor, 1])
    image = nib.Nifti1Image((500 * (thick + 1)).transpose(2, 1, 0).astype(np.float32), affine)
    turn = ornt_transform(io_orientation(affine), axcodes2ornt(codes))
    nib.save(image.as_reoriented(turn), path)
    return nib.load(path)


def test_inference_on_a_folder_writes_thin_volumes_where_the_thick_ones_lie(run_here, cohort, trained, tmp_path):
    scans = tmp_path / "scans"
    scans.mkdir()
    thick = {
        codes: save_thick(scans / f"{codes}.nii.gz", cohort / "sim_0000.h5", factor=4, codes=codes)
        for codes in ("PSR", "LAI")
    }
    options = {"input": scans, "source_modality": "t1", "target_modality": "t1", "factor": 4, "precision": "bfloat16"}
    run_here("inference", elsewhere=tmp_path, ckpt_path=trained / "model.pt", output_dir="out", **options)
    assert sorted(path.name for path in (tmp_path / "out").glob("*.nii.gz")) == ["LAI_t1.nii.gz", "PSR_t1.nii.gz"]
    for codes, scan in thick.items():
        thin = nib.load(tmp_path / "out" / f"{codes}_t1.nii.gz")
        assert "".join(nib.aff2axcodes(thin.affine)) == codes
        before, after = nib.as_closest_canonical(scan), nib.as_closest_canonical(thin)
        assert after.shape == (*before.shape[:2], before.shape[2] * 4)
        corners = np.array([[0, 0, 0, 1], [before.shape[0] - 1, 3, before.shape[2] - 1, 1]]).T
        np.testing.assert_allclose(after.affine @ np.diag([1, 1, 4, 1]) @ corners, before.affine @ corners, atol=1e-4)
        at_thick = after.get_fdata()[..., ::4]
        assert np.corrcoef(at_thick.ravel(), before.get_fdata().ravel())[0, 1] > 0.8


@pytest.mark.parametrize(
    ("name", "output"), [("100307", "out#1"), ("2023_01", "20230101"), ("ü $x", "$y"), ("a#1", "@z")]
)
def test_paths_are_taken_as_typed(run_here, trained, save_scan, tmp_path, name, output):
    (tmp_path / name).mkdir()
    save_scan(tmp_path / name / "scan#2.nii.gz")
    run_here("inference", elsewhere=tmp_path, ckpt_path=trained / "model.pt", input=name, output_dir=output)
    written = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file())
    assert written == sorted([f"{name}/scan#2.nii.gz", *(f"{output}/scan#2_t2.{end}" for end in ("json", "nii.gz"))])


def test_a_misspelled_option_ends_in_one_line_that_corrects_it(run, cohort, tmp_path):
    process = run("train", dataset_dir=cohort, output_dir=tmp_path / "output", max_epoch=3)
    assert process.returncode != 0
    last = process.stderr.rstrip().splitlines()[-1]
    assert last.startswith("error: unknown configuration key 'max_epoch' (did you mean 'max_epochs'?)")
    assert not (tmp_path / "output").exists()
