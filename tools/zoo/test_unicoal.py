"""Unit test of a Uni-COAL bundle in the form of the MONAI model zoo: each config runs, on random scans.

In the zoo it is `ci/unit_tests/test_<bundle>.py` and finds `models/<bundle>` by its own name; elsewhere BUNDLE_ROOT
says where the unpacked bundle is. The networks are tiny, but for one inference with the bundle's own weights.
"""

import json
import os
import shutil
import sys
import tempfile
import unittest
from pathlib import Path

import nibabel as nib
import numpy as np
from monai.bundle import ConfigWorkflow
from parameterized import parameterized

BUNDLE_ROOT = os.environ.get("BUNDLE_ROOT", f"models/{Path(__file__).stem.removeprefix('test_')}")
MODALITIES = ("t1", "t2", "pd", "flair")
NETWORK = {
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
TRAINING = NETWORK | {
    "discriminator_channel_base": 256,
    "batch_size": 2,
    "images_per_epoch": 4,
    "max_epochs": 1,
    "num_workers": 0,
    "evaluation_panels": 0,
    "viewer_cases": 0,
}

TEST_CASE_TRAIN = [TRAINING]
TEST_CASE_INFER_TINY = [NETWORK | {"handlers#1#_disabled_": True}]  # without weights
TEST_CASE_INFER_SHIPPED: list[dict] = [{}]


def save_scan(path, seed=0):
    """Write a NIfTI file of random voxels."""
    scan = np.random.default_rng(seed).uniform(5, 500, (12, 12, 8)).astype(np.float32)
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(scan, np.diag([2.0, 2.0, 3.0, 1.0])), path)


def make_dataset(folder):
    """Write random scans of four subjects, prepare them by the bundle's own code, and return the data set's folder."""
    from scripts.unicoal_components.preparation.cohort import prepare_cohort
    from scripts.unicoal_components.preparation.subject_files import SubjectFiles

    subjects = []
    for number, subject in enumerate("abcd"):
        files = {modality: folder / "scans" / subject / f"{modality}.nii.gz" for modality in MODALITIES}
        for seed, path in enumerate(files.values(), start=number * len(files)):
            save_scan(path, seed)
        subjects.append(SubjectFiles(subject, files))
    prepare_cohort(subjects, modalities=MODALITIES, output=folder / "data", split=(0.5, 0.25, 0.25))
    return folder / "data"


class TestUniCOAL(unittest.TestCase):
    """Training, evaluation and inference in this process."""

    def setUp(self):
        """Make a folder, and the bundle's code importable."""
        self.folder = Path(tempfile.mkdtemp())
        self.configs = os.path.join(BUNDLE_ROOT, "configs")
        sys.path.insert(0, BUNDLE_ROOT)

    def tearDown(self):
        """Take both away."""
        sys.path.remove(BUNDLE_ROOT)
        shutil.rmtree(self.folder)

    def run_workflow(self, kind, *names, **override):
        """Run configs, and look first for the properties that MONAI asks for."""
        workflow = ConfigWorkflow(
            workflow_type=kind,
            config_file=[os.path.join(self.configs, f"{name}.json") for name in names],
            logging_file=os.path.join(self.configs, "logging.conf"),
            meta_file=os.path.join(self.configs, "metadata.json"),
            bundle_root=BUNDLE_ROOT,
            **override,
        )
        workflow.initialize()
        self.assertEqual(workflow.check_properties() or [], [])
        workflow.run()
        workflow.finalize()

    @parameterized.expand([TEST_CASE_TRAIN])
    def test_train_eval_config(self, override):
        """Train an epoch, and evaluate what came of it."""
        output = self.folder / "output"
        paths = {"dataset_dir": make_dataset(self.folder), "output_dir": output, "ckpt_path": self.folder / "model.pt"}
        override = override | {name: str(path) for name, path in paths.items()}
        self.run_workflow("train", "train", **override)
        self.assertTrue((self.folder / "model.pt").is_file())
        self.run_workflow("train", "train", "evaluate", **override)
        self.assertTrue((output / "evaluation" / "summary.csv").is_file())

    @parameterized.expand([TEST_CASE_INFER_TINY, TEST_CASE_INFER_SHIPPED])
    def test_infer_config(self, override):
        """Make a thin scan, with its record."""
        save_scan(self.folder / "scan.nii.gz")
        output = self.folder / "output"
        self.run_workflow(
            "infer", "inference", input=str(self.folder / "scan.nii.gz"), output_dir=str(output), **override
        )
        (record,) = (json.loads(path.read_text()) for path in output.glob("*.json"))
        (image,) = (nib.Nifti1Image.from_filename(path) for path in output.glob("*.nii.gz"))
        self.assertEqual(image.shape, (12, 12, round(8 * record["task"]["factor"])))
        self.assertTrue(np.isfinite(image.get_fdata()).all())


if __name__ == "__main__":
    unittest.main()
