"""Warnings before the wait about scans that the network cannot serve."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage

from unicoal_components.inference.load_stack import LoadStackd
from unicoal_components.inference.source_check import CheckSourced, source_doubts
from unicoal_components.scans.read_volume import read_image

DATA = Path(__file__).parents[2] / ".." / "shared" / "data"
AFFINE = np.diag([4.0, 4.0, 4.0, 1.0])
RNG = np.random.default_rng(0)
X, Y, Z = np.ogrid[-24:24, -24:24, -24:24]
RADIUS = 4 * np.sqrt(X**2 + Y**2 + Z**2)
"""Distance from the center in mm."""


def head(fluid, tissue=(60.0, 90.0)):
    """Return a ball of 85 mm with gray and white matter, ventricles of intensity `fluid`, and air with noise."""
    rim, inner = tissue
    brain = np.where(RADIUS < 60, inner, rim) + 8 * ndimage.gaussian_filter(RNG.normal(size=RADIUS.shape), 1)
    brain = np.where(RADIUS < 25, fluid, brain)
    return np.where(RADIUS < 85, brain, np.abs(RNG.normal(size=RADIUS.shape))).astype(np.float32)


@pytest.mark.parametrize(
    ("fluid", "modality", "doubted"),
    [(250, "t2", False), (250, "t1", True), (250, "pd", True), (20, "t2", True), (20, "t1", False), (20, None, False)],
)
def test_bright_fluid_is_that_of_t2_and_of_no_other_modality(fluid, modality, doubted):
    found = source_doubts(head(fluid, tissue=(90, 60) if fluid > 100 else (60, 90)), AFFINE, modality)
    assert [f"source_modality is {modality}" in doubt for doubt in found] == ([True] if doubted else [])


def test_noise_phantoms_and_small_objects_are_doubted():
    phantom = np.where(RADIUS < 85, 100, 0) + np.abs(RNG.normal(size=RADIUS.shape))
    for volume, spacing, words in (
        (RNG.random((48, 48, 48)), 4, "noise"),
        (phantom, 4, "uniform"),
        (head(20), 1, "42 x 42 x 42 mm"),
    ):
        (doubt,) = source_doubts(volume.astype(np.float32), np.diag([spacing, spacing, spacing, 1.0]), "t1")
        assert words in doubt


def test_doubts_are_logged_and_kept_with_the_scan(tmp_path, caplog):
    nib.save(nib.Nifti1Image(head(250, tissue=(90, 60)), AFFINE), tmp_path / "scan.nii.gz")
    item = LoadStackd()({"image": str(tmp_path / "scan.nii.gz")})
    warnings = CheckSourced(modality="t1", in_plane_spacing=[0.8, 1.33])(item)["scan"].scan.warnings
    assert any("T2" in warning for warning in warnings) and any("larger than 2 mm" in warning for warning in warnings)
    assert all(warning in caplog.text for warning in warnings)


@pytest.mark.skipif(not DATA.is_dir(), reason=f"the real scans are not there: {DATA}")
def test_real_scans_are_doubted_only_under_a_wrong_name():
    for name, modality in {
        "cstar_stroke/T1.nii.gz": "t1",
        "cstar_stroke/T2.nii.gz": "t2",
        "cstar_stroke/FLAIR.nii.gz": "flair",
        "lesjak_ms_longitudinal/raw/p01_s1_T2W.nii.gz": "t2",
        "real_thin/osprey_sub-01_T1w_stripped.nii.gz": "t1",
    }.items():
        volume = read_image(DATA / name)
        assert source_doubts(volume.voxels, volume.affine, modality) == []
        assert source_doubts(volume.voxels, volume.affine, "t1" if modality == "t2" else "t2")
