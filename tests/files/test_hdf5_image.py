import errno

import h5py
import numpy as np
import pytest

from unicoal_components.files.hdf5_image import image_of, write_image


def fill(file):
    for name in "ab":
        volume = np.random.default_rng(0).integers(0, 9, (40, 50, 30)).astype(np.uint8)
        group = file.create_group(name, track_order=True)
        group.create_dataset("t1", data=volume, chunks=(32, 32, 30), compression="gzip").attrs["low"] = 1.5


def test_a_file_made_in_memory_has_the_bytes_of_one_made_on_disk(tmp_path):
    with h5py.File(tmp_path / "disk.h5", "w") as file:
        fill(file)
    with h5py.File.in_memory() as file:
        fill(file)
        image = image_of(file)
    write_image(tmp_path / "memory.h5", image)
    assert (tmp_path / "memory.h5").read_bytes() == (tmp_path / "disk.h5").read_bytes()


def test_a_write_that_the_system_refuses_half_way_is_an_error_and_leaves_nothing(tmp_path):
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(OSError, match=r"cannot write .*set\.h5'") as raised:
            write_image(tmp_path / "set.h5", bytes(5000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert raised.value.errno == errno.EFBIG and not list(tmp_path.iterdir())
