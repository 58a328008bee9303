"""A packed bundle where nothing but what its metadata list is installed; `unicoal bundle pack` packs it.

`test_multi_gpu` trains it in two processes.
"""

import inspect
import json
import shutil
import sys
from pathlib import Path

import monai.bundle
import nibabel as nib
import numpy as np
import pytest
import torch
from monai.bundle import ConfigParser

ROOT = Path(__file__).parents[2]
IN_ITS_OWN_FOLDER_AND_FROM_ELSEWHERE = """
import os, runpy, sys
import monai.bundle
packed, *files = sys.argv[1:]
sizes = dict(zip(("train", "inference"), files))
path = list(sys.path)
def command(*arguments):
    sys.argv = ["unicoal", *arguments]
    runpy.run_module("scripts.unicoal_components", run_name="__main__", alter_sys=True)
def run(name, **options):
    monai.bundle.run(config_file=["configs/" + name + ".json", sizes[name]], **options)
try:
    command("simulate", "--help")
except SystemExit as stop:
    assert stop.code == 0
command("prepare", "--input=scans", "--modalities=t1,t2,pd,flair", "--output=data", "--split=0.5,0.5,0")
run("train", max_epochs=1, num_workers=2)
run("inference", input="scans/a/t1.nii.gz", source_modality="t1", target_modality="t2", factor=2)
monai.bundle.verify_net_in_out(
    net_id="network_def", meta_file="configs/metadata.json", config_file="configs/inference.json", device="cpu"
)
for name in [name for name in sys.modules if name.split(".")[0] == "scripts"]:
    del sys.modules[name]
sys.path[:] = path
os.chdir("..")
monai.bundle.run(
    config_file=[packed + "/configs/inference.json", sizes["inference"]], bundle_root=packed, output_dir="out",
    input="scan.nii.gz", source_modality="t1", target_modality="t2", factor=2.5,
)
assert sys.modules["scripts"].__file__ == packed + "/scripts/__init__.py"
sys.exit("unicoal_components" in sys.modules)
"""


def succeeded(process):
    assert process.returncode == 0, process.stderr[-3000:]
    return process.stdout + process.stderr


def test_the_package_is_hidden_in_these_tests(elsewhere):
    process = elsewhere.python("-c", "import unicoal_components", cwd=elsewhere.folder)
    assert process.returncode != 0
    assert "No module named 'unicoal_components'" in process.stderr


def save_scan(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    scan = np.random.default_rng(0).uniform(5, 500, (12, 12, 5)).astype(np.float32)
    nib.save(nib.Nifti1Image(scan, np.diag([2.0, 2.0, 5.0, 1.0])), path)


def test_it_prepares_data_trains_infers_and_verifies_in_its_own_folder_and_infers_from_elsewhere(
    elsewhere, packed, tmp_path
):
    root = Path(shutil.copytree(packed, tmp_path / "renamed"))
    save_scan(tmp_path / "scan.nii.gz")
    for scan in [f"{person}/{modality}.nii.gz" for person in "ab" for modality in ("t1", "t2", "pd", "flair")]:
        save_scan(root / "scans" / scan)
    before = (root / "models" / "model.pt").read_bytes()
    words = (IN_ITS_OWN_FOLDER_AND_FROM_ELSEWHERE, str(packed), *elsewhere.sizes)
    succeeded(elsewhere.python("-c", *words, cwd=root))
    assert (root / "models" / "model.pt").read_bytes() != before
    assert {path.name for path in (root / "output").iterdir()} >= {"checkpoint.pt", "inference", "validation"}
    assert nib.load(root / "output/inference/t1_t2.nii.gz").shape == (12, 12, 10)
    thin = nib.load(tmp_path / "out" / "scan_t2.nii.gz")  # with the weights that it brought
    assert thin.shape == (12, 12, round(5 * 2.5))
    assert 0 <= thin.get_fdata().min() <= thin.get_fdata().max() <= 1


def unload(name):
    """Forget a package, as MONAI Label does before it turns to another bundle."""
    for module in [module for module in sys.modules if module == name or module.startswith(f"{name}.")]:
        del sys.modules[module]


@pytest.fixture
def two(packed, tmp_path, bundle):  # `bundle` restores the import system
    """Map two versions to the folders of their bundles."""
    folders = {version: tmp_path / version for version in ("0.1.0", "0.2.0")}
    for version, folder in folders.items():
        shutil.copytree(packed, folder)
        module = folder / "scripts" / "unicoal_components" / "_version.py"
        lines = module.read_text().splitlines()
        lines = [f'__version__ = "{version}"' if line.startswith("__version__") else line for line in lines]
        module.write_text("\n".join(lines))
    return folders


def test_two_versions_live_in_one_process(two, bundle, tmp_path, monkeypatch):
    networks = {}
    for version, root in [*two.items()] * 2:
        monkeypatch.syspath_prepend(str(root))
        unload("scripts")
        parser = ConfigParser(json.loads((root / "configs" / "inference.json").read_text()) | bundle.network)
        networks[version] = parser.get_parsed_content("network_def")
        assert sys.modules["scripts"].__version__ == version
        assert inspect.getfile(type(networks[version])).startswith(str(root))
        meta, config = (str(root / "configs" / f"{name}.json") for name in ("metadata", "inference"))
        monai.bundle.verify_net_in_out(net_id="network_def", meta_file=meta, config_file=config, device="cpu")
    old, new = networks.values()
    assert type(old) is not type(new)
    new.load_state_dict(old.state_dict())
    image = torch.rand(1, 4, 32, 32)
    assert torch.equal(old.eval()(image), new.eval()(image))
