"""Results as inference writes them, of a network that interpolates and expects an error."""

import logging

import nibabel as nib
import numpy as np
import pytest
import torch

from unicoal_components.inference.load_stack import LoadStackd
from unicoal_components.inference.save_stack import SaveStackd
from unicoal_components.inference.task import SetTaskd

MODALITIES = ["t1", "t2", "flair"]
TILTED = np.array(
    [
        [0.1, -0.9, 0.4, 20.0],
        [-1.1, -0.1, 0.2, 5.0],
        [0.1, 0.3, 3.9, -31.0],
        [0.0, 0.0, 0.0, 1.0],
    ]
)
"""Voxel to RAS+ world mm of a tilted scan with file axes P, L, S."""


class Maker:
    """Writes scans and their results: `image = results("scan", target="t2")`."""

    def __init__(self, root):
        self.root, self.output_dir = root, root / "out"

    def scan(self, name="scan", shape=(16, 12, 5), affine=TILTED):
        voxels = np.random.default_rng(len(name)).integers(1, 900, shape).astype(np.int16)
        path = self.root / f"{name}.nii.gz"
        nib.save(nib.Nifti1Image(voxels, affine), path)
        return path

    def __call__(self, name="scan", *, source="t1", target="t1", factor=4.0, path=None, **options):
        item = SetTaskd(modalities=MODALITIES, factor=factor, source_modality=source, target_modality=target)(
            LoadStackd()({"image": str(path or self.scan(name))})
        )
        thick = np.asarray(item["image"])[0]
        thin = np.repeat(thick, round(factor), axis=0)
        error = np.random.default_rng(1).uniform(0, 0.2, thin.shape).astype(np.float32)
        pred = torch.from_numpy(np.stack([thin, error]))
        save = SaveStackd(
            output_dir=self.output_dir, modalities=MODALITIES, with_error=True, **{"error_map": True, **options}
        )
        save({**item, "pred": pred})
        suffix = "" if (path or self.root).is_dir() and path else ".nii.gz"
        return self.output_dir / f"{path.name if path else name}_{target}{suffix}"


@pytest.fixture
def results(tmp_path):
    """A maker of results."""
    logging.getLogger("unicoal_components").setLevel(logging.WARNING)
    return Maker(tmp_path)
