import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from unicoal_components.simulation.label_map import (
    TISSUE_LABELS,
    default_label_classes,
    load_label_map,
    read_label_classes,
)
from unicoal_components.simulation.tissue_constants import TISSUES

SYNTHSEG = Path(__file__).parents[2].parent / "shared" / "data" / "synthseg_labels" / "training_seg_01.nii.gz"


def save(path, labels, affine=None):
    affine = np.eye(4) if affine is None else affine
    nib.save(nib.Nifti1Image(np.asarray(labels, np.int16), affine), path)
    return path


@pytest.fixture
def labels():
    volume = np.zeros((20, 22, 24), np.int16)
    volume[4:16, 4:18, 4:20] = 3
    volume[7:13, 7:15, 7:17] = 2
    volume[4:6, 4:18, 4:20] = 507
    return volume


def test_every_label_belongs_to_one_known_tissue():
    labels = [label for own in TISSUE_LABELS.values() for label in own]
    assert len(labels) == len(set(labels))
    assert set(TISSUE_LABELS) <= {"background", *TISSUES}


def test_labels_become_tissues_with_soft_borders(tmp_path, labels):
    maps = load_label_map(save(tmp_path / "a.nii.gz", labels))
    white = maps.fractions[maps.tissues.index("white")]
    assert set(maps.tissues) == {"background", "white", "gray", "muscle"}
    assert white.max() == 255
    assert ((white > 40) & (white < 215)).any()
    assert white.sum(dtype=float) / 255 == pytest.approx((labels == 2).sum(), rel=0.01)


@pytest.mark.parametrize("axes", ["RAS", "LPS", "LIA", "SPR"])
def test_any_orientation_of_the_file_gives_the_same_maps(tmp_path, labels, axes):
    image = nib.Nifti1Image(labels, np.diag([1.0, 1.5, 2.0, 1.0]))
    turn = nib.orientations.ornt_transform(nib.io_orientation(image.affine), nib.orientations.axcodes2ornt(axes))
    nib.save(image, tmp_path / "ras.nii.gz")
    nib.save(image.as_reoriented(turn), tmp_path / "other.nii.gz")
    expected, maps = load_label_map(tmp_path / "ras.nii.gz"), load_label_map(tmp_path / "other.nii.gz")
    np.testing.assert_array_equal(maps.fractions, expected.fractions)
    np.testing.assert_allclose(maps.affine, expected.affine)
    assert nib.aff2axcodes(maps.affine) == ("L", "P", "S")
    np.testing.assert_allclose(maps.spacing, [2.0, 1.5, 1.0])


def test_brain_only_leaves_out_the_rest_of_the_head(tmp_path, labels):
    maps = load_label_map(save(tmp_path / "a.nii.gz", labels), brain_only=True)
    assert set(maps.tissues) == {"background", "white", "gray"}


def test_a_custom_table_maps_labels_to_tissues(tmp_path, labels):
    (tmp_path / "t.json").write_text(json.dumps({"0": "background", "2": "csf", "3": "white", "507": "background"}))
    classes = read_label_classes(tmp_path / "t.json")
    maps = load_label_map(save(tmp_path / "a.nii.gz", labels), classes=classes)
    assert set(maps.tissues) == {"background", "csf", "white"}


def test_an_unknown_label_is_an_error_with_the_remedy(tmp_path, labels):
    labels[0, 0, 0], labels[0, 0, 1] = 901, 902
    with pytest.raises(ValueError, match=r"a\.nii\.gz.*\[901, 902\].*--label_classes"):
        load_label_map(save(tmp_path / "a.nii.gz", labels))


def test_a_file_without_tissue_is_an_error(tmp_path, labels):
    with pytest.raises(ValueError, match=r"a\.nii\.gz.*no tissue.*\[\s*0\s+2\s+3\s+507\]"):
        load_label_map(save(tmp_path / "a.nii.gz", labels), classes=dict.fromkeys((0, 2, 3, 507), "background"))


def test_values_between_integers_are_an_error(tmp_path, labels):
    nib.save(nib.Nifti1Image(labels / np.float32(2), np.eye(4)), tmp_path / "a.nii.gz")
    with pytest.raises(ValueError, match=r"a\.nii\.gz.*not integers, such as 1\.5"):
        load_label_map(tmp_path / "a.nii.gz")


def test_a_missing_a_truncated_and_a_4d_file_are_errors_that_name_the_file(tmp_path, labels):
    with pytest.raises(FileNotFoundError, match="none.nii.gz"):
        load_label_map(tmp_path / "none.nii.gz")
    whole = save(tmp_path / "a.nii.gz", labels).read_bytes()
    (tmp_path / "cut.nii.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(OSError, match="cut.nii.gz"):
        load_label_map(tmp_path / "cut.nii.gz")
    with pytest.raises(ValueError, match="b.nii.gz"):
        load_label_map(save(tmp_path / "b.nii.gz", np.stack([labels, labels], axis=-1)))


@pytest.mark.parametrize("text", ["[1, 2]", "{", '{"one": "gray"}', '{"1": "granite"}'])
def test_a_wrong_label_table_is_an_error_that_names_the_file(tmp_path, text):
    (tmp_path / "table.json").write_text(text)
    with pytest.raises(ValueError, match="table.json"):
        read_label_classes(tmp_path / "table.json")


@pytest.mark.skipif(not SYNTHSEG.is_file(), reason=f"needs {SYNTHSEG}")
def test_a_synthseg_label_map_loads_with_the_default_table():
    maps = load_label_map(SYNTHSEG)
    assert set(maps.tissues) == set(TISSUE_LABELS) - {"lesion"}
    assert nib.aff2axcodes(maps.affine) == ("L", "P", "S")
    assert default_label_classes()[515] == "bone"
