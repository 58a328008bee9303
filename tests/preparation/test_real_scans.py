"""Preparation of a real subject, whose scans have skulls, thick slices and different grids."""

from pathlib import Path

import numpy as np
import pytest

from unicoal_components.datasets.hdf5 import read_header, read_volume
from unicoal_components.preparation.cohort import prepare_cohort
from unicoal_components.preparation.options import PreparationSteps
from unicoal_components.preparation.subject_files import find_subjects

RAW = Path(__file__).parents[2] / ".." / "shared" / "data" / "lesjak_ms_longitudinal" / "raw"
NAMES = {"flair": "FLAIR", "t2": "T2W"}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not RAW.is_dir(), reason=f"the scans of Lesjak 2016 are not in {RAW}"),
]


def test_thick_scans_of_one_subject_are_resampled_to_one_grid_of_1_5_mm(tmp_path):
    """By their headers; `test_registration.py` registers the same scans, `test_pipeline.py` within a preparation."""
    subjects = find_subjects(RAW, pattern="{subject}_s1_{modality}.nii.gz", modalities=list(NAMES), names=NAMES)
    steps = PreparationSteps(spacing=1.5, crop="foreground")
    report = prepare_cohort(subjects, modalities=list(NAMES), output=tmp_path, steps=steps, quality=True)
    assert report.failed == {}
    header = read_header(tmp_path / "p01.h5")
    np.testing.assert_allclose(header.spacing, 1.5)
    assert all(80 < size < 155 for size in header.shape)
    middle = tuple(slice(size // 3, 2 * size // 3) for size in header.shape)  # inside the brain, around the ventricles
    flair, t2 = (read_volume(tmp_path / "p01.h5", name)[middle] for name in ("flair", "t2"))
    fluid = t2 >= np.quantile(t2, 0.97)  # brightest in T2, and dark in FLAIR up to the patient's motion
    assert flair[fluid].mean() < np.quantile(flair, 0.4)
    assert (tmp_path / "quality" / "p01.png").stat().st_size > 100_000
