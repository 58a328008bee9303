"""Results and what belongs to them, found by their records."""

import json
import shutil

import nibabel as nib
import numpy as np
import pytest

from unicoal_components.viewer.packed import read_viewed
from unicoal_components.viewer.results import find_results, open_result, read_result


def names(scene):
    return [[layer.name for layer in column] for column in scene.columns]


@pytest.fixture
def edited(results):
    """Maker of a result whose record was changed by a function."""

    def make(change):
        image = results()
        path = image.with_name("scan_t1.json")
        record = json.loads(path.read_text())
        change(record)
        path.write_text(json.dumps(record))
        return image

    return make


@pytest.mark.parametrize("given", ["scan_t1.nii.gz", "scan_t1_error.nii.gz", "scan_t1.json", "."])
def test_image_map_record_and_folder_lead_to_input_result_and_error(results, given):
    image = results()
    (found,) = find_results(image.parent / given)
    scene = open_result(found)
    assert names(scene) == [["input"], ["result"], ["expected error"]]
    assert [column[0].volume.path for column in scene.columns] == [
        str(path) for path in (image.parents[1] / "scan.nii.gz", image, image.with_name("scan_t1_error.nii.gz"))
    ]
    assert scene.base is scene.columns[1][0].volume and scene.wipe and not scene.notes


def test_the_same_modality_shares_one_window_and_another_does_not(results):
    for target, shared in (("t1", True), ("t2", False)):
        (found,) = find_results(results(target=target))
        scan, image, error = (column[0] for column in open_result(found).columns)
        assert (scan.window == image.window) is shared
        assert (scan.linked == image.linked == "scan") is shared
        assert image.unit == ("input's units" if shared else "scale 0 to 1") == error.unit
        assert error.colors == "error" and error.window[0] == 0
        assert error.window[1] == pytest.approx(np.percentile(error.volume.voxels, 99.5), rel=0.06)


def test_facts_are_those_of_the_record(results):
    (found,) = find_results(results(target="t2"))
    facts = " ".join(open_result(found).facts)
    for text in ("t1 → t2", "factor 4", "axial", "1.11 × 0.954 × 3.93 → 1.11 × 0.954 × 0.981 mm", "not for diagnosis"):
        assert text in facts


def test_a_folder_gives_its_results_in_order_and_ignores_other_json(results):
    folder = results("b").parent
    results("a", target="flair")
    (folder / "dataset.json").write_text('{"outputs": 3}')
    (folder / "broken.json").write_text("{")
    assert [each.image.name for each in find_results(folder)] == ["a_flair.nii.gz", "b_t1.nii.gz"]


def test_an_image_without_record_is_shown_alone_and_says_so(results):
    (found,) = find_results(results.scan())
    scene = open_result(found)
    assert names(scene) == [["result"]] and not scene.wipe
    assert "No record" in scene.notes[0]


def test_without_its_input_the_page_names_it(results):
    image = results()
    scan = image.parents[1] / "scan.nii.gz"
    scan.unlink()
    scene = open_result(find_results(image)[0])
    assert names(scene) == [["result"], ["expected error"]] and not scene.wipe
    assert str(scan) in scene.notes[0]
    moved = results.scan("moved")
    assert names(open_result(find_results(image)[0], input=moved))[0] == ["input"]


def test_an_input_that_was_changed_is_told(results):
    image = results()
    scan = image.parents[1] / "scan.nii.gz"
    shutil.copy(results.scan("another"), scan)
    scene = open_result(find_results(image)[0])
    assert names(scene)[0] == ["input"] and "changed" in scene.notes[0] and str(scan) in scene.notes[0]


def test_a_deidentified_result_has_no_input(results):
    results(deidentify=True)
    (found,) = find_results(results.output_dir)
    scene = open_result(found)
    assert names(scene)[0] == ["result"] and "deidentify" in scene.notes[0]


def test_without_its_error_map_the_page_names_it(results):
    image = results()
    image.with_name("scan_t1_error.nii.gz").unlink()
    scene = open_result(find_results(image)[0])
    assert names(scene) == [["input"], ["result"]] and "scan_t1_error.nii.gz" in scene.notes[0]


def test_warnings_of_the_record_are_notes(edited):
    image = edited(lambda record: record["warnings"].append("beware of this scan"))
    assert open_result(find_results(image)[0]).notes == ["beware of this scan"]


def test_a_record_may_not_lead_out_of_its_folder(edited):
    image = edited(lambda record: record["outputs"].update(image="../scan.nii.gz"))
    with pytest.raises(ValueError, match=r"scan_t1.json.*\.\./scan.nii.gz"):
        find_results(image.with_name("scan_t1.json"))
    assert find_results(image)[0].record == {}


@pytest.mark.parametrize("name", ["task", "input", "intensity"])
def test_a_damaged_record_is_one_error(edited, name):
    image = edited(lambda record: record.update({name: 3}))
    with pytest.raises(ValueError, match="scan_t1.nii.gz.*damaged"):
        open_result(find_results(image)[0])


def test_what_is_no_result_is_refused_with_its_name(results, tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        find_results(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="empty"):
        find_results(tmp_path / "empty")
    image = results()
    image.unlink()
    with pytest.raises(FileNotFoundError, match=r"scan_t1.json.*scan_t1.nii.gz"):
        find_results(image.with_name("scan_t1.json"))


@pytest.mark.parametrize("target", ["t1", "t2"])
def test_a_dicom_result_has_the_values_of_the_nifti_one(results, dicom_series, target):
    folder = dicom_series(5, shape=(16, 12), folder=results.root / "series")
    image = results(path=folder, target=target)
    plain = results(path=folder, target=target, output_format="nifti").with_name(f"series_{target}.nii.gz")
    voxels = nib.load(plain).get_fdata()
    series = read_result(image)
    assert series.format == "dicom" and series.storage.dtype == "uint16"
    order = nib.orientations.ornt_transform(
        nib.io_orientation(series.affine), nib.io_orientation(nib.load(plain).affine)
    )
    found = nib.orientations.apply_orientation(series.voxels, order)
    assert np.abs(found - voxels).max() <= np.ptp(voxels) / 4095


def test_a_dicom_result_is_found_by_its_folder_also_beside_others(results, dicom_series, caplog):
    folder = dicom_series(5, shape=(16, 12), folder=results.root / "series")
    image = results(path=folder)
    assert image.is_dir()
    (found,) = find_results(image)
    scene = open_result(found)
    assert names(scene) == [["input"], ["result"], ["expected error"]] and not scene.notes
    assert not [record for record in caplog.records if "synthetic" in record.getMessage()]
    other = results()
    assert {one.image for one in find_results(image.parent)} == {image, other}
    assert read_viewed(folder).affine.shape == (4, 4)
