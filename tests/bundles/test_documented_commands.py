"""Train, evaluate and infer as each bundle's README says, with tiny sizes appended; use from Python as the docs say."""

import importlib.util
import math
import os
import shlex
import shutil
import sys
from pathlib import Path

import nibabel as nib
import pytest
from fire.parser import DefaultParseValue

TASKS = ("cms", "sr", "cmsr", "unified")
SPEC = importlib.util.spec_from_file_location("readme_commands", Path(__file__).parents[1] / "readme_commands.py")
readme_commands = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(readme_commands)


def readme(bundle):
    return (bundle.root / "docs" / "README.md").read_text(encoding="utf-8")


def documented(bundle, *names):
    """Give the options of the first command for these configs."""
    wanted = [f"bundles/{bundle.root.name}/configs/{name}.json" for name in names]
    for command in readme_commands.commands(readme(bundle)):
        if command.startswith("python -m monai.bundle run "):
            _, options = readme_commands.read_options(shlex.split(command)[4:])
            if readme_commands.config_files(options.pop("config_file")) == wanted:
                return {name: DefaultParseValue(value) for name, value in options.items()}
    raise AssertionError(f"the README has no command for {wanted}")


@pytest.mark.parametrize("task", TASKS)
def test_training_evaluation_and_inference_run_as_documented(bundle, task, cohort, save_scan, tmp_path):
    written = {"output_dir": str(tmp_path / "out"), "ckpt_path": str(tmp_path / "model.pt")}
    tiny = {"max_epochs": 1, "images_per_epoch": 4, "evaluation_panels": 0}

    def given(*names):
        options = documented(bundle, *names)
        assert options.keys() >= ({"dataset_dir"} if "train" in names else {"input", "output_dir"})
        stands_for = {"dataset_dir": str(cohort)} if "train" in names else {"input": str(tmp_path / options["input"])}
        return options | stands_for | written

    bundle.run("train.json", **given("train"), **tiny)
    bundle.run(
        "train.json", "evaluate.json", **given("train", "evaluate"), evaluation_slice_step=7, evaluation_panels=0
    )
    options = given("inference")
    save_scan(options["input"])
    bundle.run("inference.json", **options)
    assert (tmp_path / "out" / "evaluation" / "summary.csv").is_file()
    thin = nib.load(
        tmp_path / "out" / f"{Path(options['input']).name.split('.')[0]}_{options['target_modality']}.nii.gz"
    )
    assert thin.shape == (12, 12, 4 * options.get("factor", 1))


@pytest.mark.filterwarnings("ignore:parsing config_file")
def test_python_runs_as_documented(bundle, save_scan, tmp_path, monkeypatch):
    """From a folder with unified as it is."""
    root = tmp_path / "bundles" / bundle.root.name
    ignored = shutil.ignore_patterns("__pycache__", "output", "data", "logging.conf")
    shutil.copytree(bundle.root, root, ignore=ignored)
    save_scan(tmp_path / "thick_t1.nii.gz")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry != str(bundle.root)])
    (use,), (export,) = (
        readme_commands.python_blocks((readme_commands.ROOT / "docs" / page).read_text(encoding="utf-8"))
        for page in ("inference.md", "export.md")
    )
    compile(export, "export.py", "exec")  # what it does is checked by verify_bundles
    names = {}
    exec(use, names)
    assert not names["network"].training
    (written,) = (tmp_path / "OUT").glob("*.nii.gz")
    columns, rows, slices = nib.load(written).shape
    rows, columns = (math.ceil(size * 2 / 1.33) for size in (rows, columns))  # pixels of 1.33 mm, the scan's have 2 mm
    assert tuple(names["pred"].shape) == (2, slices, rows, columns)
    assert sorted(os.listdir()) == ["OUT", "bundles", "thick_t1.nii.gz"]
