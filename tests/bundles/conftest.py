"""A tiny cohort, tiny networks, and the bundle run as a user runs it, in this process or in one of its own."""

import contextlib
import json
import os
import runpy
import shutil
import signal
import subprocess
import sys
import warnings
from pathlib import Path
from zipfile import ZipFile

import monai.bundle
import nibabel as nib
import numpy as np
import pytest
import torch
from monai.utils import set_determinism

from unicoal_components.commands.pack import pack
from unicoal_components.errors import cause_of
from unicoal_components.networks.generator import Generator
from unicoal_components.simulation.cohort import simulate_cohort

ROOT = Path(__file__).parents[2]

NETWORK = {
    "resolution": 32,
    "core_resolution": 16,
    "num_layers": 4,
    "channel_base": 256,
    "channel_max": 8,
    "w_dim": 16,
    "image_style_dim": 16,
    "z_dim": 8,
    "dropout": 0.1,
    "detail_channels": 4,
    "detail_blocks": 1,
}
OPTIONS = {"position_embedding": "fourier", "residual": True, "interpolated_input": True, "acquisition": True}
OPTIONS |= {"error_output": True, "contrast_curve": True}
"""Of the bundles' network, beside its sizes."""
TRAINING = {
    "discriminator_channel_base": 256,
    "batch_size": 4,
    "images_per_epoch": 16,
    "num_workers": 0,
    "val_interval": 1,
    "constant_epochs": 1,
    "decay_epochs": 4,
    "blur_initial_sigma": 2.0,
    "blur_fade_images": 40,
    "half_life_images": 20,
    "r1_interval": 2,
    "adversarial_start_images": 0,
    "adversarial_weight": 1.0,
}

HIDE = """
import sys
class Hide:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("unicoal_components", "itk", "nilearn", "segment_anything", "torchvision"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Hide())
"""
"""The sitecustomize.py of an environment that lacks the package and what a packed bundle does not need."""


class Bundle:
    """One of the bundles and three ways to run it."""

    network = NETWORK
    training = TRAINING

    def __init__(self, task):
        self.root = ROOT / "bundles" / task
        self.configs = self.root / "configs"

    @staticmethod
    def environment():
        hidden = {"PYTHONPATH", "CUDA_VISIBLE_DEVICES"}
        kept = {name: value for name, value in os.environ.items() if name not in hidden}
        return kept | {"OMP_NUM_THREADS": "1", "MONAI_FAIL_ON_DUPLICATE_CONFIG": "1", "CUDA_VISIBLE_DEVICES": ""}

    def command(self, *configs, cwd=ROOT, before=("-m", "monai.bundle"), **options):
        """Run `python -m monai.bundle run` in its own process; give what it returned and printed."""
        return self.python(*before, *self.words(configs, options), cwd=cwd)

    def python(self, *words, cwd=ROOT):
        """Run Python in its own process; give what it returned and printed."""
        return subprocess.run(
            [sys.executable, *words], cwd=cwd, env=self.environment(), capture_output=True, text=True, check=False
        )

    def command_here(self, *configs, cwd=ROOT, **options):
        """Run the same command line in this process, which is 8 s quicker; an error is raised."""
        fixed = {"device": "$torch.device('cpu')", "logging_file": False}  # the handlers of pytest stay
        words = self.words(configs, fixed | options)
        threads = torch.get_num_threads()
        with pytest.MonkeyPatch.context() as patch, importable(self, patch), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="parsing config_file")
            torch.set_num_threads(1)  # as `environment` says
            patch.chdir(cwd)
            patch.setattr(sys, "argv", ["monai.bundle", *words])
            try:
                runpy.run_module("monai.bundle", run_name="__main__", alter_sys=True)
            finally:
                torch.set_num_threads(threads)

    @staticmethod
    def words(configs, options):
        files = [str(config) for config in configs]
        arguments = [word for name, value in options.items() for word in (f"--{name}", str(value))]
        return ["run", "--config_file", str(files), *arguments]

    def run(self, *names, **options):
        """Call what `python -m monai.bundle run` calls, in this process; sizes are tiny unless `options` say more."""
        sizes = NETWORK | (TRAINING if "train.json" in names else {})
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="parsing config_file")
            self._run(names, sizes | {"device": "$torch.device('cpu')"} | options)

    def _run(self, names, options):
        monai.bundle.run(
            config_file=[name if Path(name).is_absolute() else str(self.configs / name) for name in names],
            logging_file=False,
            bundle_root=str(self.root),
            **options,
        )

    def mistake(self, *names, **options):
        """Run and fail; give the words that the user reads last."""
        with pytest.raises(Exception) as caught:  # noqa: PT011 - which kind MONAI makes of it does not matter
            self.run(*names, **options)
        words = cause_of(caught.value)
        assert "\n" not in words
        return words


@pytest.fixture(scope="session")
def bundle_class():
    """Paths, sizes and runners, for test modules that cannot import a conftest."""
    return Bundle


@pytest.fixture
def task():
    """Name of the bundle; a module that tests others has a fixture of its own."""
    return "unified"


@contextlib.contextmanager
def importable(bundle, patch):
    """The bundle's `scripts` as MONAI makes them, and forgotten afterwards; `patch` ends after this."""
    patch.setenv("MONAI_FAIL_ON_DUPLICATE_CONFIG", "1")
    patch.setattr(sys, "path", [sys.path[0], str(bundle.root), *sys.path[1:]])
    patch.setattr(sys, "excepthook", sys.excepthook)
    patch.setattr(signal, "signal", lambda number, handler: handler)  # pytest's own stay
    forget_scripts()
    try:
        yield
    finally:
        forget_scripts()
        set_determinism(None)  # as the configs set it


@pytest.fixture
def bundle(monkeypatch, task):
    """The bundle, importable as MONAI makes it, and forgotten afterwards."""
    bundle = Bundle(task)
    with importable(bundle, monkeypatch):
        yield bundle


def forget_scripts():
    for name in [name for name in sys.modules if name == "scripts" or name.startswith("scripts.")]:
        del sys.modules[name]


@pytest.fixture
def save_scan():
    """Write a small thick scan with a background of zeros to the path that is given."""

    def save(path, seed=0):
        array = np.zeros((12, 12, 4), np.float32)
        array[2:-2, 2:-2] = np.random.default_rng(seed).uniform(5, 500, (8, 8, 4))
        nib.save(nib.Nifti1Image(array, np.diag([2.0, 2.0, 4.0, 1.0])), path)
        return path

    return save


@pytest.fixture
def scan(save_scan, tmp_path):
    """Path of such a scan."""
    return save_scan(tmp_path / "t1.nii.gz")


@pytest.fixture(scope="session")
def cohort(tmp_path_factory):
    """Four simulated persons of 8 mm voxels: two for training, one for validation, one for test."""
    folder = tmp_path_factory.mktemp("cohort")
    simulate_cohort(output=folder, subjects=4, split=(2, 1, 1), spacing=8.0)
    return folder


@pytest.fixture(scope="session")
def weights(tmp_path_factory):
    """Untrained weights that fit the tiny network."""
    torch.manual_seed(0)
    network = Generator(num_modalities=4, **OPTIONS, **NETWORK)
    path = tmp_path_factory.mktemp("weights") / "model.pt"
    torch.save(network.state_dict(), path)
    return path


@pytest.fixture(scope="session")
def packed(weights, tmp_path_factory):
    """Pack unified, with weights for the tiny network, and unpack it somewhere; give its folder."""
    folder = tmp_path_factory.mktemp("packed")
    ignored = shutil.ignore_patterns("__pycache__", "models", "output", "data")
    shutil.copytree(Bundle("unified").root, folder / "unified", ignore=ignored)
    (folder / "unified" / "models").mkdir()
    shutil.copy(weights, folder / "unified" / "models" / "model.pt")
    pack(bundles="unified", folder=str(folder), output=str(folder))
    (path,) = folder.glob("unicoal_unified_v*.zip")
    ZipFile(path).extractall(folder)
    return folder / "unicoal_unified"


@pytest.fixture(scope="session")
def elsewhere(packed, tmp_path_factory):
    """A folder, an environment without the package, and the tiny sizes as overlays."""
    folder = tmp_path_factory.mktemp("elsewhere")
    (folder / "hidden").mkdir()
    (folder / "hidden" / "sitecustomize.py").write_text(HIDE)
    sizes = {"train": NETWORK | TRAINING, "inference": NETWORK}
    for name, values in sizes.items():
        (folder / f"{name}.json").write_text(json.dumps(values))

    class Elsewhere(Bundle):
        def __init__(self):
            self.root = packed
            self.folder = folder
            self.sizes = [str(folder / f"{name}.json") for name in sizes]

        def environment(self):
            return super().environment() | {"PYTHONPATH": str(folder / "hidden")}

    return Elsewhere()
