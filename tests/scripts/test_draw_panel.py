"""The figure of a thick scan, its prediction and the truth: which scale each of them gets."""

import json
import runpy
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "draw_panel.py"


@pytest.fixture
def drawn(tmp_path, monkeypatch):
    """Draw a prediction that is the truth, in a given range; return what is drawn, by name."""

    def draw(intensity):
        thin = np.random.default_rng(0).uniform(0.2, 0.9, (8, 9, 8)).astype(np.float32)
        thin[0] = 0
        thick, spacing = thin[..., ::2], np.diag([1.0, 1, 1, 1])
        nib.save(nib.Nifti1Image(thick / 2, spacing @ np.diag([1, 1, 2, 1])), tmp_path / "thick.nii.gz")
        nib.save(nib.Nifti1Image(thin, spacing), tmp_path / "made.nii.gz")
        (tmp_path / "made.json").write_text(json.dumps({"intensity": intensity}), encoding="utf-8")
        shown = {}
        function = runpy.run_path(str(SCRIPT))["draw_panel"]
        monkeypatch.setitem(function.__globals__, "save_panel", lambda path, **given: shown.update(given["images"]))
        paths = {"prediction": str(tmp_path / "made.nii.gz"), "truth": str(tmp_path / "made.nii.gz")}
        function(input=str(tmp_path / "thick.nii.gz"), output=str(tmp_path / "a.png"), factor=2, **paths)
        return shown, thin

    return draw


def test_one_modality_has_one_scale_also_if_its_units_are_between_0_and_1(drawn):
    shown, _ = drawn({"units": "those of the input"})
    np.testing.assert_array_equal(shown["prediction"], shown["truth"])
    assert np.mean(shown["prediction"] == 1) > 0.5  # twice as bright as the input, whose scale they have


def test_another_modality_is_shown_in_the_range_of_its_record_and_its_truth_by_percentiles(drawn):
    shown, thin = drawn({"range": [0.0, 1.0]})
    assert shown["prediction"].max() == pytest.approx(2 * thin.max() - 1) and shown["truth"].max() == 1
