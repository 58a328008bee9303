import json

import nibabel as nib
import numpy as np
import pytest

from unicoal_components.inference.load_stack import LoadStackd
from unicoal_components.inference.loaded_scan import SCAN, LoadedScan
from unicoal_components.inference.task import SetTaskd

NAMES = ["t1", "t2", "pd", "flair"]
SR = {"modalities": NAMES, "source_modality": "t1", "target_modality": "t1"}


@pytest.fixture
def item(tmp_path):
    """A scan with slices 5 mm apart, loaded."""
    volume = np.random.default_rng(0).uniform(1, 9, (6, 7, 5)).astype(np.float32)
    nib.save(nib.Nifti1Image(volume, np.diag([1, 1, 5, 1])), tmp_path / "a.nii")
    return LoadStackd()({"image": str(tmp_path / "a.nii")})


def test_names_become_class_indices(item):
    task = SetTaskd(modalities=NAMES, source_modality="t1", target_modality="flair", factor=4)(item)
    assert (task["modality"], task["source_modality"], task["factor"]) == (3, 0, 4.0)
    assert all(task[name] is item[name] for name in item if name != SCAN) and task[SCAN] == item[SCAN]


@pytest.mark.parametrize(("spacing", "factor"), [(1.0, 5.0), (2.0, 2.5), (0.7, 5 / 0.7), (5.0, 1.0), (5.004, 1.0)])
def test_an_output_spacing_decides_the_factor(item, spacing, factor):
    assert SetTaskd(**SR, factor=3, output_spacing=spacing)(item)["factor"] == pytest.approx(factor, abs=1e-9)


def test_an_output_spacing_above_the_scan_s_is_refused_with_both(item):
    with pytest.raises(ValueError, match=r"output_spacing is 6 mm, but the slices of '.*a\.nii' are 5 mm apart"):
        SetTaskd(**SR, output_spacing=6.0)(item)


@pytest.mark.parametrize("spacing", [0, -1, float("nan"), "one", True])
def test_an_invalid_output_spacing_is_refused(spacing):
    with pytest.raises(ValueError, match="output_spacing is .*positive number, in mm"):
        SetTaskd(**SR, output_spacing=spacing)


def test_a_scan_outside_of_the_training_range_gives_a_warning(item, caplog):
    trained = {"factor": [1, 6], "slice_spacing": [0.9, 1.1]}
    assert LoadedScan.from_item(SetTaskd(**SR, factor=5, training_range=trained)(item)).warnings == ()
    (warning,) = LoadedScan.from_item(SetTaskd(**SR, factor=2, training_range=trained)(item)).warnings
    assert "slice spacing of 2.5 mm is outside of what the network was trained on, 0.9 to 1.1 mm" in warning
    assert warning in caplog.text
    warnings = LoadedScan.from_item(SetTaskd(**SR, factor=8, training_range=trained)(item)).warnings
    assert len(warnings) == 2 and "factor of 8" in warnings[0]
    assert SetTaskd(**SR, factor=8)(item)[SCAN].scan.warnings == item[SCAN].scan.warnings


def test_at_a_factor_of_1_the_slices_may_be_as_far_apart_as_those_of_the_training(item):
    trained = {"slice_spacing": [0.9, 1.1], "stack_spacing": [0.9, 6]}  # the scan's are 5 mm apart
    synthesis = SR | {"target_modality": "t2", "factor": 1}
    assert LoadedScan.from_item(SetTaskd(**synthesis, training_range=trained)(item)).warnings == ()
    trained["stack_spacing"] = [0.9, 4]
    (warning,) = LoadedScan.from_item(SetTaskd(**synthesis, training_range=trained)(item)).warnings
    assert "stack spacing of 5 mm" in warning and "0.9 to 4 mm" in warning


def test_a_training_range_with_an_unknown_name_is_refused():
    with pytest.raises(ValueError, match=r"training_range has \['pixels'\]; it may have \['factor', 'slice_spacing'"):
        SetTaskd(**SR, training_range={"pixels": [1, 2]})


@pytest.mark.parametrize("field", ["source_modality", "target_modality"])
def test_an_unknown_modality_is_refused_with_those_known(field):
    names = {"source_modality": "t1", "target_modality": "t2", field: "T1w"}
    with pytest.raises(ValueError, match=rf"{field} is 'T1w'.*t1.*t2.*pd.*flair"):
        SetTaskd(modalities=NAMES, factor=1, **names)


@pytest.mark.parametrize("factor", [0.99, 0, -2, float("nan")])
def test_a_factor_below_one_is_refused(factor):
    with pytest.raises(ValueError, match="factor is"):
        SetTaskd(modalities=NAMES, source_modality="t1", target_modality="t2", factor=factor)


def scan_of(folder, thickness, through_plane="auto"):
    """A loaded scan with slices 5 mm apart and their thickness in its JSON."""
    (folder / "a.json").write_text(json.dumps({"SliceThickness": thickness}))
    return LoadStackd(through_plane=through_plane)({"image": str(folder / "a.nii")})


def test_the_network_gets_the_thickness_of_the_header_over_the_spacing(item, tmp_path):
    assert SetTaskd(**SR, factor=4)(item)["thickness"] == 1.0  # unknown: slices touch
    task = SetTaskd(**SR, factor=4)(scan_of(tmp_path, 4.0))
    assert task["thickness"] == pytest.approx(0.8) and LoadedScan.from_item(task).slice_thickness == 4.0


def test_at_a_factor_of_1_the_thickness_is_1_as_in_training(item, tmp_path):
    assert SetTaskd(**SR, factor=1)(scan_of(tmp_path, 4.0))["thickness"] == 1.0


def test_a_thickness_that_is_given_overrides_the_header(item, tmp_path):
    task = SetTaskd(**SR, factor=4, slice_thickness=6.0)(scan_of(tmp_path, 4.0))
    assert task["thickness"] == pytest.approx(1.2) and LoadedScan.from_item(task).slice_thickness == 6.0


@pytest.mark.parametrize("plane", ["coronal", "sagittal"])
def test_slices_along_another_axis_than_the_scanner_s_have_no_thickness_of_the_header(item, tmp_path, plane):
    task = SetTaskd(**SR, factor=4)(scan_of(tmp_path, 4.0, through_plane=plane))
    assert task["thickness"] == 1.0 and LoadedScan.from_item(task).slice_thickness is None


@pytest.mark.parametrize(("thickness", "relative"), [(10.0, 1.3), (1.0, 0.6), (4.0, 0.8), (6.5, 1.3), (3.0, 0.6)])
def test_a_thickness_outside_of_the_training_range_is_clipped_with_a_warning(
    item, tmp_path, caplog, thickness, relative
):
    trained = {"relative_thickness": [0.6, 1.3]}
    task = SetTaskd(**SR, factor=4, training_range=trained)(scan_of(tmp_path, thickness))
    assert task["thickness"] == pytest.approx(relative)
    outside = f"relative thickness of {thickness / 5:.4g} is outside of what the network was trained on, 0.6 to 1.3"
    assert (outside in caplog.text) == (thickness / 5 != pytest.approx(relative))
    assert len(LoadedScan.from_item(task).warnings) == (outside in caplog.text)


@pytest.mark.parametrize("thickness", [0, -1, float("nan"), "one", True])
def test_an_invalid_slice_thickness_is_refused(thickness):
    with pytest.raises(ValueError, match="slice_thickness is .*positive number, in mm, or null"):
        SetTaskd(**SR, slice_thickness=thickness)


@pytest.mark.parametrize(
    ("voxel", "pixels", "options", "planes"),
    [
        ((1, 1, 1), [0.8, 1.33], {}, 3),
        ((1, 1, 1), None, {}, 3),
        ((0.5, 0.5, 1.3), [0.8, 1.33], {}, 3),
        ((1, 1, 1), [0.8, 1.33], {"average_planes": False}, 1),
        ((1, 1, 1), [0.8, 1.33], {"target_modality": "t1"}, 1),
        ((1, 1, 1), [0.8, 1.33], {"factor": 2}, 1),
        ((1, 1, 4), [0.8, 1.33], {}, 1),
        ((1, 1, 4), None, {}, 1),
        ((1, 1, 4), [0.8, 1.33], {"output_spacing": 1.0}, 1),
    ],
)
def test_planes_are_averaged_in_a_synthesis_of_slices_as_close_as_pixels(tmp_path, voxel, pixels, options, planes):
    volume = np.random.default_rng(0).uniform(1, 9, (6, 7, 5)).astype(np.float32)
    nib.save(nib.Nifti1Image(volume, np.diag([*voxel, 1])), tmp_path / "a.nii")
    loaded = LoadStackd(in_plane_spacing=pixels, through_plane="axial")({"image": str(tmp_path / "a.nii")})
    given = {"modalities": NAMES, "source_modality": "t1", "target_modality": "t2", "average_planes": True} | options
    assert SetTaskd(**given)(loaded)["planes"] == planes
