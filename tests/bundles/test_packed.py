"""A packed bundle where nothing but what its metadata list is installed; tools/pack_bundle.py packs it."""

import inspect
import json
import runpy
import shutil
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import monai.bundle
import nibabel as nib
import numpy as np
import pytest
import torch
from monai.bundle import ConfigParser

ROOT = Path(__file__).parents[2]
TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2", "-m", "monai.bundle")
HIDE = """
import sys
class Hide:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("unicoal_components", "itk", "nilearn", "segment_anything", "torchvision"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Hide())
"""
IN_ITS_OWN_FOLDER = """
import runpy, sys
import monai.bundle
sizes = dict(zip(("train", "inference"), sys.argv[1:]))
def command(name, *arguments):
    sys.argv = [name, *arguments]
    runpy.run_module("scripts." + name, run_name="__main__", alter_sys=True)
def run(name, **options):
    monai.bundle.run(config_file=["configs/" + name + ".json", sizes[name]], **options)
try:
    command("simulate_cohort", "--help")
except SystemExit as stop:
    assert stop.code == 0
command("prepare_data", "--input=scans", "--modalities=t1,t2,pd,flair", "--output=data", "--split=0.5,0.5,0")
run("train", max_epochs=1, num_workers=2)
run("inference", input="scans/a/t1.nii.gz", source_modality="t1", target_modality="t2", factor=2)
monai.bundle.verify_net_in_out(
    net_id="network_def", meta_file="configs/metadata.json", config_file="configs/inference.json", device="cpu"
)
sys.exit("unicoal_components" in sys.modules)
"""


@pytest.fixture(scope="module")
def packed(bundle_class, weights, tmp_path_factory):
    """Pack unified, with weights for the tiny network, and unpack it somewhere; give its folder."""
    folder = tmp_path_factory.mktemp("packed")
    ignored = shutil.ignore_patterns("__pycache__", "models", "output", "data")
    shutil.copytree(bundle_class("unified").root, folder / "unified", ignore=ignored)
    (folder / "unified" / "models").mkdir()
    shutil.copy(weights, folder / "unified" / "models" / "model.pt")
    pack_bundle = runpy.run_path(str(ROOT / "tools" / "pack_bundle.py"))["pack_bundle"]
    pack_bundle(bundles="unified", folder=str(folder), output=str(folder))
    (path,) = folder.glob("unicoal_unified_v*.zip")
    ZipFile(path).extractall(folder)
    return folder / "unicoal_unified"


@pytest.fixture(scope="module")
def elsewhere(bundle_class, packed, tmp_path_factory):
    """A folder, an environment without the package, and the tiny sizes as overlays."""
    folder = tmp_path_factory.mktemp("elsewhere")
    (folder / "hidden").mkdir()
    (folder / "hidden" / "sitecustomize.py").write_text(HIDE)
    sizes = {"train": bundle_class.network | bundle_class.training, "inference": bundle_class.network}
    for name, values in sizes.items():
        (folder / f"{name}.json").write_text(json.dumps(values))

    class Elsewhere(bundle_class):
        def __init__(self):
            self.root = packed
            self.folder = folder
            self.sizes = [str(folder / f"{name}.json") for name in sizes]

        def environment(self):
            return super().environment() | {"PYTHONPATH": str(folder / "hidden")}

        def run(self, *words, cwd):
            command = [sys.executable, *words]
            return subprocess.run(command, cwd=cwd, env=self.environment(), capture_output=True, text=True, check=False)

    return Elsewhere()


def succeeded(process):
    assert process.returncode == 0, process.stderr[-3000:]
    return process.stdout + process.stderr


def test_the_package_is_hidden_in_these_tests(elsewhere):
    process = elsewhere.run("-c", "import unicoal_components", cwd=elsewhere.folder)
    assert process.returncode != 0
    assert "No module named 'unicoal_components'" in process.stderr


def save_scan(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    scan = np.random.default_rng(0).uniform(5, 500, (12, 12, 5)).astype(np.float32)
    nib.save(nib.Nifti1Image(scan, np.diag([2.0, 2.0, 5.0, 1.0])), path)


def test_it_prepares_data_trains_infers_and_verifies_in_its_own_folder(elsewhere, packed, tmp_path):
    root = Path(shutil.copytree(packed, tmp_path / "renamed"))
    for scan in [f"{person}/{modality}.nii.gz" for person in "ab" for modality in ("t1", "t2", "pd", "flair")]:
        save_scan(root / "scans" / scan)
    before = (root / "models" / "model.pt").read_bytes()
    succeeded(elsewhere.run("-c", IN_ITS_OWN_FOLDER, *elsewhere.sizes, cwd=root))
    assert (root / "models" / "model.pt").read_bytes() != before
    assert {path.name for path in (root / "output").iterdir()} >= {"checkpoint.pt", "inference", "validation"}
    assert nib.load(root / "output/inference/t1_t2.nii.gz").shape == (12, 12, 10)


def test_it_trains_in_two_processes_with_workers_from_elsewhere(elsewhere, packed, cohort, tmp_path):
    configs = [packed / "configs/train.json", elsewhere.sizes[0], packed / "configs/multi_gpu_train.json"]
    options = {"bundle_root": packed, "dataset_dir": cohort, "max_epochs": 1, "batch_size": 2, "num_workers": 1}
    options |= {"output_dir": tmp_path / "out", "ckpt_path": tmp_path / "model.pt"}
    said = succeeded(elsewhere.command(*configs, cwd=tmp_path, before=TORCHRUN, **options))
    assert "scripts.unicoal_components" in said
    assert torch.load(tmp_path / "out" / "checkpoint.pt", weights_only=True)["epoch"] == 1
    assert (tmp_path / "model.pt").is_file()


def test_it_infers_with_the_weights_that_it_brought_from_elsewhere(elsewhere, packed, tmp_path):
    save_scan(tmp_path / "scan.nii.gz")
    options = {"input": "scan.nii.gz", "source_modality": "t1", "target_modality": "t2", "factor": 2.5}
    configs = [packed / "configs/inference.json", elsewhere.sizes[1]]
    succeeded(elsewhere.command(*configs, cwd=tmp_path, bundle_root=packed, output_dir="out", **options))
    thin = nib.load(tmp_path / "out" / "scan_t2.nii.gz")
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
