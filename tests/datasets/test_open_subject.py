import h5py
import numpy as np
import pytest

from unicoal_components.datasets.open_files import OpenFiles
from unicoal_components.datasets.open_subject import open_subject, split_packed


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
