import json
import logging

import h5py
import numpy as np
import pytest

from unicoal_components.datasets.cases import CaseDataset
from unicoal_components.datasets.datalist import read_datalist, read_modalities, sections_of, write_datalist
from unicoal_components.datasets.fingerprint import scan_fingerprints
from unicoal_components.datasets.hdf5 import read_header, read_volume, write_subject
from unicoal_components.datasets.packed_set import check_packed_set, pack_training_set
from unicoal_components.datasets.slices import SliceDataset
from unicoal_components.datasets.training_record import training_subjects
from unicoal_components.evaluation.held_out import HeldOutSubjects
from unicoal_components.keys import Keys
from unicoal_components.training.draw import DrawSliceTaskd
from unicoal_components.training.load_slice_group import LoadSliceGroupd

AFFINE = np.array([[-0.5, 0, 0, 10], [0, -0.75, 0, 20], [0, 0, 3.0, -30], [0, 0, 0, 1]])


def volume(seed, shape=(40, 36, 34)):
    rng = np.random.default_rng(seed)
    stack = np.zeros(shape, np.uint8)
    stack[10:30, 8:28, 9:29] = rng.integers(1, 256, (20, 20, 20))
    return stack


@pytest.fixture
def datalist(tmp_path):
    """Three subjects for training, the second first and repeated, one for validation, one for test."""
    sections = {"training": ["p02", "p01", "p03"], "validation": ["p04"], "test": ["p05"]}
    entries = {}
    for section, names in sections.items():
        for name in names:
            write_subject(
                tmp_path / f"{name}.h5",
                volumes={modality: volume(hash_of(name, modality)) for modality in ("t1", "t2")},
                affine=AFFINE,
                intensity={"t1": (3.0, 900.0), "t2": (0.0, 255.0)},
                sources={"t1": f"{name}_t1.nii.gz", "t2": f"{name}_t2.nii.gz"},
                history=json.dumps({"recipe": {}, "modalities": {"t1": {"sha256": f"scan of {name}"}}}),
                thin_axes={"t1": (0, 2), "t2": (1,)},
            )
        entries[section] = [{"subject": name, "path": f"{name}.h5"} for name in names]
    path = tmp_path / "datalist.json"
    write_datalist(path, sections=entries, modalities=["t2", "t1"])
    content = json.loads(path.read_text())
    content["training"][0]["repeat"] = 3
    path.write_text(json.dumps(content))
    return path


def hash_of(name, modality):
    return int(name[1:]) * 10 + int(modality[1:])


@pytest.fixture
def packed(datalist, tmp_path):
    path = tmp_path / "elsewhere" / "set.h5"
    assert pack_training_set(path, datalist=datalist).path == path
    return path


def test_a_set_is_a_datalist(packed, datalist):
    entries = read_datalist(packed, "training")
    assert entries[0] == {"subject": "p02", "path": f"{packed}::training/p02", "repeat": 3}
    assert [entry["subject"] for entry in entries] == ["p02", "p01", "p03"]
    assert read_datalist(packed, "validation") == [{"subject": "p04", "path": f"{packed}::validation/p04"}]
    assert read_modalities(packed) == ["t2", "t1"]
    assert sections_of(packed) == ["training", "validation"]
    with pytest.raises(ValueError, match=r"set\.h5' has no section 'test'; it has \['training', 'validation'\]"):
        read_datalist(packed, "test")


def test_a_subject_has_the_content_of_its_file_without_borders(packed, tmp_path):
    whole, small = read_header(tmp_path / "p01.h5"), read_header(f"{packed}::training/p01")
    d0, d1, h0, h1, w0, w1 = (6, 34, 4, 32, 5, 33)
    assert small.shape == (28, 28, 28) and small.foreground_box == (4, 24, 4, 24, 4, 24)
    for field in ("modalities", "spacing", "intensity", "thin_axes"):
        assert getattr(small, field) == getattr(whole, field), field
    np.testing.assert_allclose(small.affine, AFFINE + np.pad((AFFINE @ [w0, h0, d0, 0])[:, None], ((0, 0), (3, 0))))
    for name in ("t1", "t2"):
        expected = read_volume(tmp_path / "p01.h5", name)[d0:d1, h0:h1, w0:w1]
        np.testing.assert_array_equal(read_volume(f"{packed}::training/p01", name), expected)
    with h5py.File(packed) as file:
        dataset = file["training/p01/t1"]
        assert dataset.attrs["source"] == "p01_t1.nii.gz" and dataset.compression == "gzip"
        assert "history" not in file["training/p01"].attrs
        assert file.attrs["left_out"] == "borders without foreground cut off"


def test_the_same_input_gives_the_same_bytes(packed, datalist, tmp_path):
    pack_training_set(tmp_path / "again.h5", datalist=datalist)
    assert (tmp_path / "again.h5").read_bytes() == packed.read_bytes()


def test_a_packed_set_can_be_packed_again(packed, tmp_path):
    pack_training_set(tmp_path / "again.h5", datalist=packed)
    entries = [read_datalist(path, "training") for path in (tmp_path / "again.h5", packed)]
    assert [entry["subject"] for entry in entries[0]] == [entry["subject"] for entry in entries[1]]
    assert entries[0][0]["repeat"] == 3
    for again, once in zip(*entries, strict=True):
        np.testing.assert_array_equal(read_volume(again["path"], "t2"), read_volume(once["path"], "t2"))
        assert read_header(again["path"]).foreground_box == read_header(once["path"]).foreground_box
        assert scan_fingerprints(again["path"]) == scan_fingerprints(once["path"])


def test_the_loaders_accept_it_like_files(packed, datalist):
    def items(path):
        draw = DrawSliceTaskd(modalities=["t1", "t2"], resolution=16, factors=[1], axes="axial", crop="center")
        load = LoadSliceGroupd()
        dataset = SliceDataset(data=read_datalist(path, "training"), transform=None)
        for index in range(0, len(dataset), 17):
            draw.set_random_state(seed=index)
            yield load(draw(dataset[index]))

    def cases(path):
        case = {"source": "t1", "target": "t1", "factor": 4}
        dataset = CaseDataset(data=read_datalist(path, "validation"), modalities=["t1", "t2"], cases=[case])
        return dataset[0][Keys.LABEL]

    pairs = list(zip(items(packed), items(datalist), strict=True))
    assert len(pairs) == 6  # 20 slices each, those of the first subject three times
    for small, whole in pairs:
        assert small[Keys.SUBJECT] == whole[Keys.SUBJECT]
        assert small[Keys.LABEL].shape == whole[Keys.LABEL].shape and small[Keys.LABEL].max() > 0
    assert cases(packed).shape[2:] == (28, 28) and cases(datalist).shape[2:] == (36, 34)


def test_training_subjects_are_recognized_by_their_original_scans(packed, datalist, tmp_path):
    seen = training_subjects(data=read_datalist(datalist, "training"))
    assert training_subjects(data=read_datalist(packed, "training")) == seen
    assert seen["p01"].keys() == {"t1", "t2", "t1 source"}
    assert scan_fingerprints(f"{packed}::validation/p04") == scan_fingerprints(tmp_path / "p04.h5")
    assert [entry["subject"] for entry in HeldOutSubjects(path=packed, section="validation").data] == ["p04"]


def test_the_reduction_is_the_smallest_that_fits(datalist, tmp_path):
    size = pack_training_set(tmp_path / "whole.h5", datalist=datalist, max_mb=None).size
    packed = pack_training_set(tmp_path / "set.h5", datalist=datalist, max_mb=0.9 * size / 1e6)
    assert packed.size <= 0.9 * size and packed.reduction.step > 1 and packed.reduction.kept_percent == 100
    exact = pack_training_set(tmp_path / "exact.h5", datalist=datalist, max_mb=0.9 * size / 1e6, largest_step=1)
    assert exact.size <= 0.9 * size and exact.reduction.step == 1 and exact.reduction.kept_percent < 100
    path = f"{tmp_path / 'exact.h5'}::training/p01"
    shape = read_header(path).shape
    start = 10 + (20 - shape[0]) // 2
    inside = volume(hash_of("p01", "t1"))[start : start + shape[0]]
    np.testing.assert_array_equal(np.rint((read_volume(path, "t1")[:, 3, 3] + 1) * 127.5) > 0, inside.any((1, 2)))
    assert check_packed_set(tmp_path / "exact.h5") == 8


def test_a_limit_that_cannot_be_met_is_named_and_no_file_remains(datalist, tmp_path):
    with pytest.raises(ValueError, match=r"more than max_mb 0\.001 MB.*'borders.*raise max_mb"):
        pack_training_set(tmp_path / "set.h5", datalist=datalist, max_mb=0.001)
    assert not list(tmp_path.glob("*set.h5*"))


@pytest.mark.parametrize("max_mb", [0, -1, "x"])
def test_a_wrong_limit_is_named(datalist, tmp_path, max_mb):
    with pytest.raises(ValueError, match="max_mb is"):
        pack_training_set(tmp_path / "set.h5", datalist=datalist, max_mb=max_mb)


def test_empty_sections_and_a_name_with_a_slash_are_refused(datalist, tmp_path):
    write_datalist(tmp_path / "empty.json", sections={}, modalities=["t1"])
    with pytest.raises(ValueError, match=r"no subject.*\[\'training\', \'validation\'\]"):
        pack_training_set(tmp_path / "set.h5", datalist=tmp_path / "empty.json")
    odd = {"training": [{"subject": "a/b", "path": "p01.h5"}]}
    write_datalist(tmp_path / "odd.json", sections=odd, modalities=["t1"])
    with pytest.raises(ValueError, match="'a/b' cannot name a group"):
        pack_training_set(tmp_path / "set.h5", datalist=tmp_path / "odd.json")


def test_changed_voxels_are_found_by_their_checksum(packed, caplog):
    caplog.set_level(logging.INFO)
    assert check_packed_set(packed) == 8
    with h5py.File(packed, "r+") as file:
        file["training/p01/t2"][5, 5, 5] ^= 1
    with pytest.raises(ValueError, match=r"set\.h5' is damaged: 1 of 8 datasets.*: training/p01/t2\. Copy the packed"):
        check_packed_set(packed)


def test_damaged_bytes_are_found_by_the_check_and_in_training(packed):
    with h5py.File(packed) as file:
        place = file["validation/p04/t1"].id.get_chunk_info(0)
    content = bytearray(packed.read_bytes())
    content[place.byte_offset + place.size // 2] ^= 255
    packed.write_bytes(content)
    with pytest.raises(ValueError, match=r"validation/p04/t1"):
        check_packed_set(packed)
    with pytest.raises(OSError, match=r"set\.h5::validation/p04'.*damaged.*pack_training_set"):
        read_volume(f"{packed}::validation/p04", "t1")


def test_other_hdf5_files_are_refused_as_datalists(packed, tmp_path):
    with pytest.raises(ValueError, match=r"p01\.h5' is an HDF5 file.*pack_training_set"):
        read_datalist(tmp_path / "p01.h5", "training")
    with h5py.File(packed, "r+") as file:
        file.attrs["schema"] = 2
    with pytest.raises(ValueError, match="has schema 2, this version reads up to 1"):
        read_datalist(packed, "training")
    packed.write_bytes(packed.read_bytes()[:900])
    with pytest.raises(OSError, match=r"set\.h5'.*Copy the packed set again"):
        read_datalist(packed, "training")
    with pytest.raises(FileNotFoundError, match=r"none\.h5' does not exist"):
        check_packed_set(tmp_path / "none.h5")


def test_official_files_without_affine_and_history_are_packed(tmp_path):
    with h5py.File(tmp_path / "bare.h5", "w") as file:
        file["T1"] = volume(0)
    write_datalist(
        tmp_path / "bare.json", sections={"training": [{"subject": "b", "path": "bare.h5"}]}, modalities=["t1"]
    )
    pack_training_set(tmp_path / "set.h5", datalist=tmp_path / "bare.json")
    header = read_header(f"{tmp_path / 'set.h5'}::training/b")
    assert header.affine is None and header.modalities == ("t1",) and header.shape == (28, 28, 28)
