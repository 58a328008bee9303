import multiprocessing
import pickle

import numpy as np
import pytest

from unicoal_components.datasets.hdf5 import write_subject
from unicoal_components.datasets.open_files import OpenFiles


@pytest.fixture
def paths(tmp_path):
    volume = np.arange(8, dtype=np.uint8).reshape(2, 2, 2)
    for n in range(5):
        write_subject(
            tmp_path / f"{n}.h5",
            volumes={"t1": volume + n},
            affine=np.eye(4),
            intensity={"t1": (0, 255)},
            sources={"t1": "x"},
        )
    return [tmp_path / f"{n}.h5" for n in range(5)]


def _open_in_child(files, path, results):
    results.put((len(files), int(files(path)["t1"][0, 0, 0])))


def test_a_file_is_opened_once(paths):
    files = OpenFiles()
    assert files(paths[0]) is files(str(paths[0]))
    assert len(files) == 1


def test_the_least_recently_used_file_is_closed_beyond_the_limit(paths):
    files = OpenFiles(limit=2)
    first, second = files(paths[0]), files(paths[1])
    files(paths[0])
    files(paths[2])
    assert len(files) == 2 and first and not second


def test_a_pickled_copy_has_nothing_open(paths):
    files = OpenFiles(limit=3)
    files(paths[0])
    copy = pickle.loads(pickle.dumps(files))
    assert len(copy) == 0 and copy.limit == 3
    assert copy(paths[1])["t1"][0, 0, 0] == 1


def test_a_forked_process_opens_its_own_files(paths):
    files = OpenFiles()
    files(paths[3])
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    child = context.Process(target=_open_in_child, args=(files, paths[3], results))
    child.start()
    assert results.get(timeout=30) == (0, 3)
    child.join()
    assert files(paths[3])["t1"][0, 0, 0] == 3


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="missing.h5"):
        OpenFiles()(tmp_path / "missing.h5")


def test_a_limit_of_zero_is_refused():
    with pytest.raises(ValueError, match="at least 1"):
        OpenFiles(limit=0)
