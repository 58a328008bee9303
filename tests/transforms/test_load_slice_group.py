import h5py
import numpy as np
import pytest
import torch
from unicoal_components.transforms.intensity_jitter import jitter_intensity

from unicoal_components.data.cases import CaseDataset
from unicoal_components.data.hdf5 import read_volume, write_subject
from unicoal_components.data.slice_group import anchor_of, slice_centers, slice_position
from unicoal_components.data.slice_profile import PROFILES, thick_slice, thick_volume
from unicoal_components.transforms.load_slice_group import LoadSliceGroupd

SHAPE = (23, 10, 12)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("subject") / "p01.h5"
    volumes = {
        name: np.random.default_rng(n).integers(0, 256, SHAPE, dtype=np.uint8) for n, name in enumerate(("t1", "t2"))
    }
    write_subject(
        path,
        volumes=volumes,
        affine=np.eye(4),
        intensity=dict.fromkeys(volumes, (0.0, 255.0)),
        sources=dict.fromkeys(volumes, "simulated"),
    )
    return path


def task(path, **changes):
    whole = {
        "subject": "p01",
        "path": str(path),
        "slice_index": 9,
        "target": "t2",
        "source": "t1",
        "modality": 1,
        "source_modality": 0,
        "factor": 4.0,
        "anchor": 8,
        "window": (0, SHAPE[1], 0, SHAPE[2]),
        "flip": False,
    }
    return {**whole, **changes}


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("factor", [1.0, 2.0, 2.5, 4.0])
def test_the_group_at_test_anchors_is_that_of_the_definition(path, profile, factor):
    load = LoadSliceGroupd(profile=profile)
    stack = thick_volume(read_volume(path, "t1"), factor, profile)
    target = read_volume(path, "t2")
    for b in range(SHAPE[0]):
        anchor = anchor_of(b, factor)
        result = load(task(path, slice_index=b, factor=factor, anchor=anchor))
        first = round(anchor / factor) - 1
        for n, image in enumerate(result["image"].numpy(), start=first):
            np.testing.assert_array_equal(image, stack[n] if 0 <= n < len(stack) else np.full(SHAPE[1:], -1))
        np.testing.assert_array_equal(result["label"][0], target[b])
        assert result["position"] == np.float32(slice_position(b, anchor, factor)) and result["factor"] == factor


def test_training_anchors_off_the_thick_grid_give_slices_around_them(path):
    volume = read_volume(path, "t1")
    image = LoadSliceGroupd()(task(path, slice_index=9, anchor=7))["image"]
    for slice_, center in zip(image.numpy(), slice_centers(7, 4), strict=True):
        np.testing.assert_array_equal(slice_, thick_slice(volume, center, 4, "gaussian"))


def test_dropping_reads_the_slices_at_the_centers(path):
    image = LoadSliceGroupd(profile="drop", slice_group_size=2)(task(path))["image"]
    np.testing.assert_array_equal(image, read_volume(path, "t1")[[8, 12]])


@pytest.mark.parametrize("factor", [1.0, 2.0, 2.5])
@pytest.mark.parametrize(("options", "thickness"), [({"slice_gap": 0.5}, -0.25), ({"slice_thickness": 3.0}, None)])
def test_evaluation_and_training_make_the_same_slices_of_a_thickness_in_mm(tmp_path, factor, options, thickness):
    volumes = {name: np.random.default_rng(0).integers(0, 256, SHAPE, dtype=np.uint8) for name in ("t1", "t2")}
    limits, sources = dict.fromkeys(volumes, (0.0, 255.0)), dict.fromkeys(volumes, "simulated")
    affine = np.diag([1.0, 1.0, 2.0, 1.0])
    write_subject(tmp_path / "p01.h5", volumes=volumes, affine=affine, intensity=limits, sources=sources)
    (item,) = CaseDataset(
        data=[{"subject": "p01", "path": str(tmp_path / "p01.h5")}],
        modalities=["t1", "t2"],
        cases=[{"source": "t1", "target": "t2", "factor": factor}],
        profile="box",
        **options,
    )
    found = LoadSliceGroupd(profile="box", **options)(
        task(tmp_path / "p01.h5", slice_index=round(2 * factor), anchor=2 * factor, factor=factor)
    )
    assert torch.equal(found["image"], item["image"][0, 1:5])
    expected = 1 if factor == 1 else 1.5 if thickness is None else factor + thickness
    np.testing.assert_array_equal(found["image"][1], thick_slice(item_volume(volumes), 2 * factor, expected, "box"))


def item_volume(volumes):
    return volumes["t1"].astype(np.float32) / np.float32(127.5) - np.float32(1)


def test_slices_at_a_random_phase_lie_around_the_target(path):
    result = LoadSliceGroupd(profile="box")(task(path, slice_index=9, anchor=6.8125, factor=2.5))
    volume = read_volume(path, "t1")
    for image, center in zip(result["image"].numpy(), [4.3125, 6.8125, 9.3125, 11.8125], strict=True):
        np.testing.assert_array_equal(image, thick_slice(volume, center, 2.5, "box"))
    assert result["position"] == np.float32(0.875)


def test_a_window_cuts_and_pads_source_and_target_alike(path):
    result = LoadSliceGroupd(profile="drop")(task(path, window=(-2, 6, 7, 15)))
    volume = read_volume(path, "t1")[8]
    expected = np.full((8, 8), -1, dtype=np.float32)
    expected[2:, :5] = volume[:6, 7:]
    np.testing.assert_array_equal(result["image"][1], expected)
    expected[2:, :5] = read_volume(path, "t2")[9][:6, 7:]
    np.testing.assert_array_equal(result["label"][0], expected)


def test_a_flip_mirrors_the_window_left_right_in_source_and_target(path):
    load = LoadSliceGroupd()
    window = (1, 9, 2, 10)
    plain, flipped = load(task(path, window=window)), load(task(path, window=window, flip=True))
    for key in ("image", "label"):
        assert torch.equal(flipped[key], plain[key].flip(-1)) and flipped[key].is_contiguous()


def test_jitter_changes_the_source_only_where_the_contrast_changes_and_both_where_it_does_not(path):
    load = LoadSliceGroupd()
    jitter = {"gamma": 1.2, "bias": (0.1, 0.0, -0.1, 0.2, 0.0)}
    plain, jittered = load(task(path)), load(task(path, **jitter))
    torch.testing.assert_close(jittered["image"], jitter_intensity(plain["image"], **jitter))
    assert torch.equal(jittered["label"], plain["label"])
    plain, jittered = load(task(path, target="t1")), load(task(path, target="t1", **jitter))
    torch.testing.assert_close(jittered["label"], jitter_intensity(plain["label"], **jitter))


def test_an_official_file_with_bare_datasets_loads(tmp_path):
    volume = np.random.default_rng(0).integers(0, 256, SHAPE, dtype=np.uint8)
    with h5py.File(tmp_path / "IXI002.h5", "w") as file:
        file["T1"], file["T2"] = volume, 255 - volume
    result = LoadSliceGroupd(profile="drop")(task(tmp_path / "IXI002.h5"))
    np.testing.assert_allclose(result["image"][2], volume[12] / 127.5 - 1, atol=1e-6)
    np.testing.assert_allclose(result["label"][0], 1 - volume[9] / 127.5, atol=1e-6)
    with pytest.raises(ValueError, match="IXI002.h5.*does not tell its slice spacing.*slice_gap 1.*prepare_data"):
        LoadSliceGroupd(slice_gap=1)(task(tmp_path / "IXI002.h5"))


def test_a_missing_modality_names_the_file_and_what_it_holds(path):
    with pytest.raises(ValueError, match="p01.h5.*'pd'.*t1.*t2"):
        LoadSliceGroupd()(task(path, source="pd"))


@pytest.mark.parametrize("arguments", [{"profile": "hat"}, {"slice_group_size": 3}, {"max_open_files": 0}])
def test_wrong_arguments_are_refused(arguments):
    with pytest.raises(ValueError, match=str(next(iter(arguments.values())))):
        LoadSliceGroupd(**arguments)
