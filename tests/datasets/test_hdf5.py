import h5py
import numpy as np
import pytest

from unicoal_components.datasets.hdf5 import (
    dataset_name,
    foreground_box,
    open_subject,
    read_header,
    read_slices,
    read_volume,
    through_plane_spacing,
    write_subject,
)

AFFINE = np.array([[-0.5, 0, 0, 10], [0, -0.75, 0, 20], [0, 0, 3.0, -30], [0, 0, 0, 1]])


def volumes(shape=(6, 8, 10), names=("t1", "t2")):
    rng = np.random.default_rng(0)
    result = {name: np.zeros(shape, np.uint8) for name in names}
    for volume in result.values():
        volume[1:4, 2:7, 3:9] = rng.integers(1, 256, (3, 5, 6))
    return result


def write(path, stacks=None, **changes):
    stacks = volumes() if stacks is None else stacks
    arguments = {
        "volumes": stacks,
        "affine": AFFINE,
        "intensity": dict.fromkeys(stacks, (3.0, 900.0)),
        "sources": {name: f"{name}.nii.gz" for name in stacks},
    }
    write_subject(path, **(arguments | changes))
    return path


def test_a_subject_is_read_as_written(tmp_path):
    stacks = volumes()
    path = write(tmp_path / "p01.h5", stacks)
    for name, stack in stacks.items():
        np.testing.assert_array_equal(np.rint((read_volume(path, name) + 1) * 127.5), stack)
    header = read_header(path)
    assert header.modalities == ("t1", "t2")
    assert header.shape == (6, 8, 10)
    assert header.spacing == pytest.approx((3.0, 0.75, 0.5))
    np.testing.assert_array_equal(header.affine, AFFINE)
    assert header.intensity == {"t1": (3.0, 900.0), "t2": (3.0, 900.0)}
    assert header.foreground_box == (1, 4, 2, 7, 3, 9)


def test_the_file_records_schema_software_and_sources_and_is_chunked_in_cubes(tmp_path):
    with h5py.File(write(tmp_path / "p01.h5")) as file:
        assert file.attrs["schema"] == 1
        assert file.attrs["software"].startswith("unicoal_components ")
        assert file["t2"].attrs["source"] == "t2.nii.gz"
        assert file["t2"].chunks == (6, 8, 10)
        assert (file["t2"].compression, file["t2"].compression_opts) == ("gzip", 0)
    with h5py.File(write(tmp_path / "large.h5", {"t1": np.ones((40, 8, 70), np.uint8)})) as file:
        assert file["t1"].chunks == (32, 8, 32)


def test_the_same_subject_gives_the_same_bytes(tmp_path):
    assert write(tmp_path / "a.h5").read_bytes() == write(tmp_path / "b" / "other.h5").read_bytes()


def test_slices_are_float32_between_minus_one_and_one(tmp_path):
    stack = np.zeros((3, 4, 4), np.uint8)
    stack[1] = 255
    with open_subject(write(tmp_path / "p.h5", {"t1": stack})) as file:
        slices = read_slices(file, "t1", 0, 2)
    assert slices.dtype == np.float32
    assert slices.shape == (2, 4, 4)
    assert (slices[0] == -1).all()
    assert (slices[1] == 1).all()


@pytest.mark.parametrize("window", [None, (1, 5, 2, 6)])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_slices_along_every_axis_and_windows_of_them_are_those_of_the_whole_volume(tmp_path, axis, window):
    stack = np.random.default_rng(1).integers(0, 256, (34, 37, 40), dtype=np.uint8)  # more than one cube
    path = write(tmp_path / "p.h5", {"t1": stack})
    top, bottom, left, right = window or (0, None, 0, None)
    with open_subject(path) as file:
        slices = read_slices(file, "t1", 30, 34, axis=axis, window=window)
        assert through_plane_spacing(file, axis) == pytest.approx((3.0, 0.75, 0.5)[axis])
    whole = np.moveaxis(read_volume(path, "t1"), axis, 0)
    np.testing.assert_array_equal(slices, whole[30:34, top:bottom, left:right])


def test_slices_outside_another_axis_are_refused(tmp_path):
    with open_subject(write(tmp_path / "p01.h5")) as file, pytest.raises(ValueError, match="outside its 10 slices"):
        read_slices(file, "t1", 0, 11, axis=2)


def test_thin_axes_are_read_in_order_and_default_to_the_first(tmp_path):
    path = write(tmp_path / "p01.h5", thin_axes={"t1": [2, 0, 2]})
    assert read_header(path).thin_axes == {"t1": (0, 2), "t2": (0,)}
    assert read_header(write(tmp_path / "none.h5", thin_axes={"t1": [], "t2": (0, 1, 2)})).thin_axes == {
        "t1": (),
        "t2": (0, 1, 2),
    }


@pytest.mark.parametrize("axes", [[3], [-1], ["axial"]])
def test_invalid_thin_axes_are_refused_by_name(tmp_path, axes):
    with pytest.raises(ValueError, match=r"thin_axes of 't1' in .*p01\.h5"):
        write(tmp_path / "p01.h5", thin_axes={"t1": axes})
    assert list(tmp_path.iterdir()) == []


def test_official_bare_files_load_with_lower_case_names(tmp_path):
    path = tmp_path / "official.h5"
    with h5py.File(path, "w") as file:
        for name, stack in zip(("T1", "T2", "PD"), volumes(names=("a", "b", "c")).values(), strict=True):
            file[name] = stack
    header = read_header(path)
    assert header.modalities == ("pd", "t1", "t2")
    assert header.affine is None
    assert header.spacing is None
    assert header.intensity == {}
    assert header.foreground_box == (0, 6, 0, 8, 0, 10)
    assert read_volume(path, "pd").shape == (6, 8, 10)
    with open_subject(path) as file:
        assert dataset_name(file, "t1") == "T1"


def test_the_foreground_box_covers_all_modalities_or_an_empty_volume():
    first, second = np.zeros((2, 4, 5, 6), np.uint8)
    assert foreground_box({"t1": first, "t2": second}) == (0, 4, 0, 5, 0, 6)
    first[0, 1, 2] = second[3, 1, 5] = 1
    assert foreground_box({"t1": first, "t2": second}) == (0, 4, 1, 2, 2, 6)


def test_an_unknown_modality_is_named_with_the_file_and_its_modalities(tmp_path):
    path = write(tmp_path / "p01.h5")
    with pytest.raises(ValueError, match=r"p01\.h5.*no modality 'pd'.*\['t1', 't2'\]"):
        read_volume(path, "pd")


@pytest.mark.parametrize("bounds", [(-1, 2), (0, 7), (3, 2)])
def test_slices_outside_the_volume_are_refused(tmp_path, bounds):
    with open_subject(write(tmp_path / "p01.h5")) as file, pytest.raises(ValueError, match="outside its 6 slices"):
        read_slices(file, "t1", *bounds)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"gone\.h5"):
        read_header(tmp_path / "gone.h5")


@pytest.mark.parametrize("kept", [0, 100, 0.5, 0.9])
def test_a_truncated_file_is_named_with_a_remedy(tmp_path, kept):
    path = write(tmp_path / "p01.h5")
    content = path.read_bytes()
    path.write_bytes(content[: kept if isinstance(kept, int) else int(len(content) * kept)])
    with pytest.raises(OSError, match=r"p01\.h5.*truncated.*unicoal prepare"):
        read_header(path)


def test_damaged_voxels_are_named(tmp_path):
    path = write(tmp_path / "p01.h5")
    with h5py.File(path) as file:
        chunk = file["t1"].id.get_chunk_info(0)
    content = bytearray(path.read_bytes())
    content[chunk.byte_offset : chunk.byte_offset + chunk.size] = b"\xff" * chunk.size
    path.write_bytes(content)
    with pytest.raises(OSError, match=r"p01\.h5.*damaged"):
        read_volume(path, "t1")


@pytest.mark.parametrize(
    "stack", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 4), np.float32), np.zeros((0, 4, 4), np.uint8)]
)
def test_files_with_other_datasets_are_refused_by_name(tmp_path, stack):
    path = tmp_path / "odd.h5"
    with h5py.File(path, "w") as file:
        file["T1"] = stack
    with pytest.raises(ValueError, match=r"'t1'.*odd\.h5.*uint8"):
        read_header(path)


def test_datasets_on_different_grids_are_refused_by_name(tmp_path):
    path = tmp_path / "odd.h5"
    with h5py.File(path, "w") as file:
        file["T1"] = np.zeros((4, 4, 4), np.uint8)
        file["T2"] = np.zeros((4, 4, 5), np.uint8)
    with pytest.raises(ValueError, match=r"'t2'.*odd\.h5.*one grid"):
        read_header(path)


@pytest.mark.parametrize("names", [(), ("T1", "t1")])
def test_a_file_without_volumes_or_with_two_of_the_same_name_is_refused(tmp_path, names):
    path = tmp_path / "odd.h5"
    with h5py.File(path, "w") as file:
        for name in names:
            file[name] = np.zeros((4, 4, 4), np.uint8)
    with pytest.raises(ValueError, match=r"odd\.h5"):
        read_header(path)


def test_a_newer_schema_is_refused(tmp_path):
    path = write(tmp_path / "p01.h5")
    with h5py.File(path, "a") as file:
        file.attrs["schema"] = 2
    with pytest.raises(ValueError, match=r"p01\.h5.*schema 2"):
        read_header(path)


@pytest.mark.parametrize(
    "changes",
    [
        {"volumes": {}},
        {"sources": {"t1": "a"}},
        {"intensity": {}},
        {"affine": np.eye(3)},
        {"affine": np.full((4, 4), np.nan)},
        {"volumes": {"t1": np.zeros((2, 3, 4), np.uint8), "t2": np.zeros((2, 3, 5), np.uint8)}},
        {"volumes": {"t1": np.zeros((2, 3, 4)), "t2": np.zeros((2, 3, 4))}},
    ],
)
def test_wrong_arguments_are_refused_and_leave_no_file(tmp_path, changes):
    with pytest.raises(ValueError, match=r"p01\.h5"):
        write(tmp_path / "p01.h5", **changes)
    assert list(tmp_path.iterdir()) == []


def test_upper_case_modalities_are_refused(tmp_path):
    with pytest.raises(ValueError, match="lower-case"):
        write(tmp_path / "p01.h5", volumes(names=("T1",)))


def test_a_failed_write_keeps_the_old_file_and_no_partial_one(tmp_path, full_disk):
    path = write(tmp_path / "p01.h5")
    before = path.read_bytes()
    with full_disk("p01.h5"), pytest.raises(OSError, match=r"cannot write .*p01\.h5.*No space left"):
        write(path)
    assert path.read_bytes() == before
    assert [item.name for item in tmp_path.iterdir()] == ["p01.h5"]


def test_a_folder_that_cannot_be_created_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OSError, match=r"cannot write .*file/p01\.h5"):
        write(tmp_path / "file" / "p01.h5")
