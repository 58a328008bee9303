import errno
import os

import numpy as np
import pytest

from unicoal_components.files import scratch
from unicoal_components.files.scratch import release, scratch_array


@pytest.mark.parametrize("order", ["C", "F"])
def test_written_values_are_read_back_after_release(tmp_path, order):
    values = np.random.default_rng(0).uniform(size=(40, 50, 60)).astype(np.float32)
    array = scratch_array(values.shape, np.float32, tmp_path / "new", order=order)
    array[:20] = values[:20]
    release(array)
    array[20:] = values[20:]
    release(array)
    np.testing.assert_array_equal(array, values)
    assert array.flags[f"{order}_CONTIGUOUS"] and os.listdir(tmp_path / "new") == []


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r"cannot write 0 MB into '.*file'.*--output_dir"):
        scratch_array((2, 2), np.int16, tmp_path / "file")


def test_a_full_disk_is_an_error_before_anything_is_written(tmp_path, monkeypatch):
    def full(file, size):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(scratch, "reserve", full)
    with pytest.raises(OSError, match=r"cannot write 4 MB into '.*' while .*: No space left on device. Choose"):
        scratch_array((1000, 1000), np.float32, tmp_path)
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="the system cannot reserve space")
def test_more_space_than_any_disk_has_is_refused(tmp_path):
    with pytest.raises(OSError, match="cannot write"):
        scratch_array((1 << 20, 1 << 20, 1 << 20), np.uint8, tmp_path)
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="the system does not tell")
def test_letting_go_lowers_the_resident_memory(tmp_path):
    def resident():
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")

    array = scratch_array((64, 1 << 20), np.uint8, tmp_path)
    before = resident()
    array[:] = 1
    filled = resident()
    release(array)
    assert filled - before > 48 << 20 and resident() - before < 8 << 20
    assert array[::7].min() == 1
