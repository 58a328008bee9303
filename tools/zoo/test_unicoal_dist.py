"""The part of `test_unicoal.py` for several processes, as torchrun starts them; without GPUs, two on the CPU.

In the zoo it is `ci/unit_tests/test_<bundle>_dist.py`, beside `test_<bundle>.py`.
"""

import importlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import torch
from parameterized import parameterized

single = importlib.import_module(Path(__file__).stem.removesuffix("_dist"))


class TestUniCOALDist(unittest.TestCase):
    """Training, and evaluation of what was trained, in several processes."""

    def setUp(self):
        """Make a folder, and the bundle's code importable."""
        self.folder = Path(tempfile.mkdtemp())
        sys.path.insert(0, single.BUNDLE_ROOT)

    def tearDown(self):
        """Take both away."""
        sys.path.remove(single.BUNDLE_ROOT)
        shutil.rmtree(self.folder)

    def launch(self, *names):
        """Run configs with `override.json` on top, one process per GPU."""
        files = [os.path.join(single.BUNDLE_ROOT, "configs", f"{name}.json") for name in names]
        processes = torch.cuda.device_count() or 2
        command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={processes}"]
        command += ["-m", "monai.bundle", "run", "--bundle_root", single.BUNDLE_ROOT]
        command += ["--config_file", str([*files[:1], str(self.folder / "override.json"), *files[1:]])]
        subprocess.check_call(command)

    @parameterized.expand([single.TEST_CASE_TRAIN])
    def test_train_eval_mgpu_config(self, override):
        """Train an epoch, and evaluate what came of it."""
        output = self.folder / "output"
        paths = {"output_dir": output, "ckpt_path": self.folder / "model.pt"}
        paths["dataset_dir"] = single.make_dataset(self.folder)
        override = override | {name: str(path) for name, path in paths.items()}
        (self.folder / "override.json").write_text(json.dumps(override))
        self.launch("train", "multi_gpu_train")
        self.assertTrue((self.folder / "model.pt").is_file())
        self.launch("train", "evaluate", "multi_gpu_evaluate")
        self.assertTrue((output / "evaluation" / "summary.csv").is_file())


if __name__ == "__main__":
    unittest.main()
