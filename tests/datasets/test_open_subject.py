import zlib

import h5py
import numpy as np
import pytest

from unicoal_components.datasets.datalist import read_datalist
from unicoal_components.datasets.open_files import OpenFiles
from unicoal_components.datasets.open_subject import open_subject, split_packed
from unicoal_components.files import memory_limit


@pytest.fixture
def packed(tmp_path):
    path = tmp_path / "set.h5"
    with h5py.File(path, "w") as file:
        for number, name in enumerate(("p01", "p02")):
            file.create_dataset(f"training/{name}/t1", data=np.full((2, 2, 2), number, np.uint8))
            file[f"training/{name}"].attrs["number"] = number
    return path


def test_a_packed_subject_is_used_like_a_file(packed):
    with open_subject(f"{packed}::training/p02") as subject:
        assert list(subject) == ["t1"] and subject.attrs["number"] == 1
        assert subject["t1"][0, 0, 0] == 1
        assert subject.filename == f"{packed}::training/p02"
    assert not subject


def test_one_subject_is_closed_and_another_of_the_same_set_stays_open(packed):
    first, second = open_subject(f"{packed}::training/p01"), open_subject(f"{packed}::training/p02")
    first.close()
    assert not first and second["t1"][0, 0, 0] == 1
    second.close()


def test_few_of_many_subjects_stay_open(packed):
    files = OpenFiles(limit=1)
    first = files(f"{packed}::training/p01")
    assert files(f"{packed}::training/p02")["t1"][0, 0, 0] == 1
    assert not first and len(files) == 1


def test_a_missing_subject_and_a_missing_set_are_named(packed, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"set\.h5' has no subject 'training/p03'"):
        open_subject(f"{packed}::training/p03")
    with pytest.raises(FileNotFoundError, match=r"none\.h5' does not exist"):
        open_subject(tmp_path / "none.h5::training/p01")


def test_a_damaged_set_has_its_own_remedy(packed):
    packed.write_bytes(packed.read_bytes()[:100])
    with pytest.raises(OSError, match=r"set\.h5::training/p01.*pack_training_set"):
        open_subject(f"{packed}::training/p01")


def test_a_file_may_have_the_separator_in_its_name(tmp_path):
    path = tmp_path / "odd::name.h5"
    path.touch()
    assert split_packed(path) == (path, None)


def other_files(kind, file, folder):
    """Make "t1" of an open file refer to something else than its own data."""
    shape, secret = (4, 4, 4), folder / "secret"
    secret.write_bytes(b"s" * 64)
    with h5py.File(folder / "other.h5", "w") as other:
        other.create_dataset("t1", data=np.ones(shape, np.uint8))
    if kind == "external link":
        file["t1"] = h5py.ExternalLink(str(folder / "other.h5"), "t1")
    elif kind == "soft link":
        file["t1"] = h5py.SoftLink("/elsewhere")
    elif kind == "external storage":
        file.create_dataset("t1", shape, np.uint8, external=[(str(secret), 0, 64)])
    else:
        layout = h5py.VirtualLayout(shape, np.uint8)
        layout[:] = h5py.VirtualSource(str(folder / "other.h5"), "t1", shape)
        file.create_virtual_dataset("t1", layout)


@pytest.mark.parametrize("kind", ["external link", "soft link", "external storage", "virtual dataset"])
def test_a_subject_that_reads_other_files_is_refused(tmp_path, kind):
    path, packed = tmp_path / "p01.h5", tmp_path / "set.h5"
    with h5py.File(path, "w") as file:
        other_files(kind, file, tmp_path)
    with h5py.File(packed, "w") as file:
        other_files(kind, file.create_group("training/p01"), tmp_path)
    for subject in (str(path), f"{packed}::training/p01"):
        with pytest.raises(ValueError) as error:
            open_subject(subject)
        assert "'t1'" in str(error.value) and subject in str(error.value)


def test_a_packed_set_that_leads_to_another_file_is_refused(packed, tmp_path):
    with h5py.File(tmp_path / "linked.h5", "w") as file:
        file.attrs.update({"content": "packed training set", "schema": 1, "modalities": ["t1"]})
        file["training"] = h5py.ExternalLink(str(packed), "training")
    for read in (lambda path: open_subject(f"{path}::training/p01"), lambda path: read_datalist(path, "training")):
        with pytest.raises(ValueError, match=r"'training' .*linked\.h5"):
            read(tmp_path / "linked.h5")


def test_a_dataset_that_claims_more_than_is_stored_is_refused_before_it_is_read(tmp_path):
    for name, bomb in (("absurd.h5", False), ("bomb.h5", True)):
        with h5py.File(tmp_path / name, "w") as file:
            dataset = file.create_dataset(
                "t1", (32, 32, 32) if bomb else (9000, 9000, 32), np.uint8, chunks=(32, 32, 8), compression="gzip"
            )
            for start in range(0, dataset.shape[2], 8):
                dataset.id.write_direct_chunk((0, 0, start), zlib.compress(bytes(10**7 if bomb else 32 * 32 * 8)))
        with pytest.raises(ValueError, match=f"'t1'.*{name}"):
            open_subject(tmp_path / name)


def test_a_dataset_larger_than_memory_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(memory_limit, "memory_size", lambda: 1000)
    with h5py.File(tmp_path / "p01.h5", "w") as file:
        file["t1"] = np.ones((11, 11, 11), np.uint8)
    with pytest.raises(ValueError, match=r"p01\.h5"):
        open_subject(tmp_path / "p01.h5")
