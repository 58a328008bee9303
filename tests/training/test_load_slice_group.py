import math

import h5py
import numpy as np
import pytest
import torch
from scipy.ndimage import affine_transform

from unicoal_components.datasets.cases import CaseDataset
from unicoal_components.datasets.hdf5 import read_volume, write_subject
from unicoal_components.slices.slice_group import slice_centers, slice_position
from unicoal_components.slices.slice_profile import PROFILES, thick_slices, thick_volume
from unicoal_components.training.draw import DrawSliceTaskd
from unicoal_components.training.intensity_draw import IntensityDraw, add_noise, bias_field, shade
from unicoal_components.training.load_slice_group import LoadSliceGroupd
from unicoal_components.training.slice_draw import SliceDraw


def anchor_of(thin_index, factor):
    """The center of the last thick slice that is not above a thin slice, where the first lies at 0."""
    return round(math.floor(thin_index / factor + 1e-6) * factor, 8)


SHAPE = (23, 10, 12)
IDENTITY = np.linspace(0, 1, 256)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("subject") / "p01.h5"
    volumes = {
        name: np.random.default_rng(n).integers(0, 256, SHAPE, dtype=np.uint8) for n, name in enumerate(("t1", "t2"))
    }
    return write(path, volumes)


def task(path, *, anchor=8, index=9, modality=1, source_modality=0, **changes):
    """An item of which the thin slice 9 is wanted, in the gap after the thick slice at 8."""
    whole = {
        "source": "t1",
        "target": "t2",
        "factor": 4.0,
        "axis": 0,
        "index": index,
        "offset": index - anchor,
        "profile": None,
        "thickness": None,
        "stack_spacing": 1.0,
        "window": (0, SHAPE[1], 0, SHAPE[2]),
        "flips": (False, False, False),
        "transposed": False,
        "rotation": 0.0,
        "zoom": 1.0,
        "intensity": None,
    }
    draw = SliceDraw(**(whole | changes))
    item = {"subject": "p01", "path": str(path), "slice_index": index, "draw": draw, "factor": draw.factor}
    return item | {"modality": modality, "source_modality": source_modality}


def intensity(curve=IDENTITY, bias=(0.0,) * 5, noise=0.0, noise_seed=0):
    return IntensityDraw(np.asarray(curve), bias, noise, noise_seed)


def write(path, volumes, affine=None):
    limits, sources = dict.fromkeys(volumes, (0.0, 255.0)), dict.fromkeys(volumes, "simulated")
    write_subject(
        path, volumes=volumes, affine=np.eye(4) if affine is None else affine, intensity=limits, sources=sources
    )
    return path


def scaled(stored):
    return stored.astype(np.float32) / np.float32(127.5) - np.float32(1)


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("factor", [1.0, 2.0, 2.5, 4.0])
def test_the_group_at_test_anchors_is_that_of_the_definition(path, profile, factor):
    load = LoadSliceGroupd(profile=profile)
    stack = thick_volume(read_volume(path, "t1"), factor, profile)
    target = read_volume(path, "t2")
    for b in range(SHAPE[0]):
        anchor = anchor_of(b, factor)
        result = load(task(path, index=b, factor=factor, anchor=anchor))
        first = round(anchor / factor) - 1
        for n, image in enumerate(result["image"].numpy(), start=first):
            np.testing.assert_array_equal(image, stack[n] if 0 <= n < len(stack) else np.full(SHAPE[1:], -1))
        np.testing.assert_array_equal(result["label"][0], target[b])
        assert result["position"] == np.float32(slice_position(b, anchor, factor)) and result["factor"] == factor


def test_training_anchors_off_the_thick_grid_give_slices_around_them(path):
    volume = read_volume(path, "t1")
    image = LoadSliceGroupd()(task(path, index=9, anchor=7))["image"]
    for slice_, center in zip(image.numpy(), slice_centers(7, 4), strict=True):
        np.testing.assert_array_equal(slice_, thick_slices(volume, [center], 4, "gaussian")[0])


@pytest.mark.parametrize("profile", ["gaussian", "box"])
def test_of_a_thick_stack_source_and_target_are_made_thick_alike(path, profile):
    result = LoadSliceGroupd(profile=profile)(task(path, index=9, anchor=9, factor=1.0, stack_spacing=2.5))
    for image, center in zip(result["image"].numpy(), (6.5, 9.0, 11.5, 14.0), strict=True):
        np.testing.assert_array_equal(image, thick_slices(read_volume(path, "t1"), [center], 2.5, profile)[0])
    np.testing.assert_array_equal(result["label"].numpy(), thick_slices(read_volume(path, "t2"), [9.0], 2.5, profile))
    assert (result["position"], result["factor"], result["thickness"]) == (0, 1, 1)


def test_dropping_reads_the_slices_at_the_centers(path):
    image = LoadSliceGroupd(profile="drop", slice_group_size=2)(task(path))["image"]
    np.testing.assert_array_equal(image, read_volume(path, "t1")[[8, 12]])


@pytest.mark.parametrize("factor", [1.0, 2.0, 2.5])
@pytest.mark.parametrize(("options", "thickness"), [({"slice_gap": 0.5}, -0.25), ({"slice_thickness": 3.0}, None)])
def test_evaluation_and_training_make_the_same_slices_of_a_thickness_in_mm(tmp_path, factor, options, thickness):
    volumes = {name: np.random.default_rng(0).integers(0, 256, SHAPE, dtype=np.uint8) for name in ("t1", "t2")}
    write(tmp_path / "p01.h5", volumes, np.diag([1.0, 1.0, 2.0, 1.0]))
    (item,) = CaseDataset(
        data=[{"subject": "p01", "path": str(tmp_path / "p01.h5")}],
        modalities=["t1", "t2"],
        cases=[{"source": "t1", "target": "t2", "factor": factor}],
        profile="box",
        **options,
    )
    found = LoadSliceGroupd(profile="box", **options)(
        task(tmp_path / "p01.h5", index=round(2 * factor), anchor=2 * factor, factor=factor)
    )
    assert torch.equal(found["image"], item["image"][0, 1:5])
    expected = 1 if factor == 1 else 1.5 if thickness is None else factor + thickness
    np.testing.assert_array_equal(
        found["image"][1], thick_slices(scaled(volumes["t1"]), [2 * factor], expected, "box")[0]
    )


def test_slices_at_a_random_phase_lie_around_the_target(path):
    result = LoadSliceGroupd(profile="box")(task(path, index=9, anchor=6.8125, factor=2.5))
    volume = read_volume(path, "t1")
    for image, center in zip(result["image"].numpy(), [4.3125, 6.8125, 9.3125, 11.8125], strict=True):
        np.testing.assert_array_equal(image, thick_slices(volume, [center], 2.5, "box")[0])
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
    plain, flipped = load(task(path, window=window)), load(task(path, window=window, flips=(False, False, True)))
    for key in ("image", "label"):
        assert torch.equal(flipped[key], plain[key].flip(-1)) and flipped[key].is_contiguous()


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize(("factor", "anchor"), [(1.0, 5), (3.0, 4), (2.5, 3.25)])
def test_slices_along_an_axis_are_those_of_the_volume_with_this_axis_first(path, axis, factor, anchor):
    volumes = [np.moveaxis(read_volume(path, name), axis, 0) for name in ("t1", "t2")]
    window = (0, volumes[0].shape[1], 0, volumes[0].shape[2])
    found = LoadSliceGroupd()(task(path, axis=axis, index=5, anchor=anchor, factor=factor, window=window))
    for image, center in zip(found["image"].numpy(), slice_centers(anchor, factor), strict=True):
        np.testing.assert_array_equal(image, thick_slices(volumes[0], [center], factor, "gaussian")[0])
    np.testing.assert_array_equal(found["label"][0], volumes[1][5])
    assert found["slice_index"] == 5


def test_reversed_slices_are_those_of_the_reversed_volume(path, tmp_path):
    volumes = {name: np.rint((read_volume(path, name) + 1) * 127.5).astype(np.uint8) for name in ("t1", "t2")}
    mirrored = write(tmp_path / "mirrored.h5", {name: volume[::-1] for name, volume in volumes.items()})
    load = LoadSliceGroupd(profile="box")
    for index in range(SHAPE[0]):
        for offset in (0, 1.75, 2):
            place = SHAPE[0] - 1 - index
            # the thin slice is as far after its anchor, seen from the other end
            found = load(task(path, index=index, anchor=index - offset, factor=2.5, flips=(True, False, False)))
            expected = load(task(mirrored, index=place, anchor=place - offset, factor=2.5))
            for key in ("image", "label", "position"):
                assert torch.equal(found[key], expected[key]), (key, index)
            assert found["slice_index"] == index
            np.testing.assert_array_equal(found["label"][0], read_volume(path, "t2")[index])


@pytest.mark.parametrize("flips", [(False, True, False), (False, True, True)])
@pytest.mark.parametrize("transposed", [False, True])
def test_rows_and_columns_are_mirrored_first_and_then_exchanged(path, flips, transposed):
    load = LoadSliceGroupd()
    plain = load(task(path, window=(1, 9, 2, 10)))
    found = load(task(path, window=(1, 9, 2, 10), flips=flips, transposed=transposed))
    for key in ("image", "label"):
        expected = np.flip(plain[key].numpy(), [axis for axis in (1, 2) if flips[axis]])
        np.testing.assert_array_equal(found[key], np.swapaxes(expected, 1, 2) if transposed else expected)
        assert found[key].is_contiguous()


def test_a_draw_may_name_the_profile_and_the_thickness(path):
    found = LoadSliceGroupd(profile="drop")(task(path, profile="box", thickness=0.75))
    volume = read_volume(path, "t1")
    for image, center in zip(found["image"].numpy(), slice_centers(8, 4), strict=True):
        np.testing.assert_array_equal(image, thick_slices(volume, [center], 3, "box")[0])
    assert found["thickness"] == 0.75
    assert LoadSliceGroupd()(task(path))["thickness"] == 1
    assert LoadSliceGroupd(slice_gap=1)(task(path))["thickness"] == 0.75  # thin slices of 1 mm
    assert LoadSliceGroupd()(task(path, factor=1.0, anchor=9, thickness=0.75))["thickness"] == 1


def test_the_thickness_in_mm_is_that_along_the_axis(tmp_path, path):
    volumes = {name: np.rint((read_volume(path, name) + 1) * 127.5).astype(np.uint8) for name in ("t1", "t2")}
    uneven = write(tmp_path / "p.h5", volumes, np.diag([0.5, 2.0, 1.0, 1.0]))  # W, H, D
    load = LoadSliceGroupd(slice_thickness=2)
    for axis, spacing in enumerate([1.0, 2.0, 0.5]):
        assert load(task(uneven, axis=axis, index=5, anchor=4))["thickness"] == 2 / spacing / 4


def test_a_rotation_by_90_degrees_is_that_of_numpy(path):
    window = (0, 10, 1, 11)
    plain = LoadSliceGroupd()(task(path, window=window))
    for quarters in (1, 2, -1):
        found = LoadSliceGroupd()(task(path, window=window, rotation=quarters * math.pi / 2))
        for key in ("image", "label"):
            expected = np.rot90(plain[key].numpy(), quarters, axes=(1, 2))
            np.testing.assert_allclose(found[key], expected, atol=1e-5)


@pytest.mark.parametrize(("zoom", "angle"), [(1.25, 0.0), (0.8, 0.0), (1.0, 0.2), (1.1, -0.3)])
def test_turned_and_zoomed_slices_are_those_of_scipy(tmp_path, zoom, angle):
    rows, columns = np.mgrid[:64, :64] / 64
    smooth = (255 * (0.5 + 0.4 * np.sin(5 * rows + 1) * np.cos(4 * columns))).astype(np.uint8)
    volumes = dict.fromkeys(("t1", "t2"), np.repeat(smooth[None], 3, axis=0))
    path, window = write(tmp_path / "p.h5", volumes), (16, 48, 16, 48)
    found = LoadSliceGroupd()(task(path, factor=1.0, index=1, anchor=1, window=window, zoom=zoom, rotation=angle))
    turn = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]]) / zoom
    middle, center = np.full(2, 31.5), np.full(2, 15.5)
    expected = affine_transform(
        scaled(smooth).astype(float), turn, middle - turn @ center, output_shape=(32, 32), order=3, mode="nearest"
    )
    np.testing.assert_allclose(found["label"][0], expected, atol=0.02)
    np.testing.assert_allclose(found["image"][1], expected, atol=0.02)


def test_what_is_turned_in_from_outside_the_window_is_read_and_outside_the_volume_is_blank(tmp_path):
    volume = np.full((3, 24, 24), 200, dtype=np.uint8)
    path = write(tmp_path / "p.h5", {"t1": volume, "t2": volume})
    inside = task(path, factor=1.0, index=1, anchor=1, window=(8, 16, 8, 16), zoom=0.9, rotation=0.5)
    np.testing.assert_allclose(LoadSliceGroupd()(inside)["label"], 200 / 127.5 - 1, atol=1e-5)
    whole = task(path, factor=1.0, index=1, anchor=1, window=(0, 24, 0, 24), zoom=0.5)
    label = LoadSliceGroupd()(whole)["label"][0]
    assert (label[:5] == -1).all() and (label[:, -5:] == -1).all()
    np.testing.assert_allclose(label[8:16, 8:16], 200 / 127.5 - 1, atol=1e-5)


def test_a_contrast_curve_acts_on_thin_slices_before_they_are_averaged(path):
    curve = np.abs(np.sin(IDENTITY * 7)) ** 2
    curve[0] = 0
    stored = np.rint((read_volume(path, "t1") + 1) * 127.5).astype(int)
    recolored = (2 * curve[stored] - 1).astype(np.float32)
    found = LoadSliceGroupd()(task(path, target="t1", intensity=intensity(curve)))
    for image, center in zip(found["image"].numpy(), slice_centers(8, 4), strict=True):
        np.testing.assert_allclose(image, thick_slices(recolored, [center], 4, "gaussian")[0], atol=1e-6)
    np.testing.assert_allclose(found["label"][0], recolored[9], atol=1e-6)
    averaged_first = curve[np.rint((LoadSliceGroupd()(task(path))["image"].numpy() + 1) * 127.5).astype(int)]
    assert np.abs(found["image"].numpy() - (2 * averaged_first - 1)).max() > 0.1


def test_intensities_change_the_source_only_where_the_modality_changes_and_both_where_it_does_not(path):
    drawn = intensity(IDENTITY**1.3, bias=(0.1, 0.0, -0.1, 0.2, 0.0))
    field = bias_field(drawn.bias, *SHAPE[1:])
    plain, found = LoadSliceGroupd()(task(path)), LoadSliceGroupd()(task(path, intensity=drawn))
    assert torch.equal(found["label"], plain["label"]) and not torch.equal(found["image"], plain["image"])
    found = LoadSliceGroupd()(task(path, target="t1", intensity=drawn))
    recolored = 2 * ((read_volume(path, "t1")[9] + 1) / 2) ** np.float32(1.3) - 1
    torch.testing.assert_close(found["label"], shade(torch.from_numpy(recolored)[None], field))


def test_noise_is_on_the_source_alone_and_follows_its_seed(path):
    plain = LoadSliceGroupd()(task(path, target="t1"))
    found = LoadSliceGroupd()(task(path, target="t1", intensity=intensity(noise=0.05, noise_seed=3)))
    torch.testing.assert_close(found["image"], add_noise(plain["image"], sigma=0.05, seed=3))
    torch.testing.assert_close(found["label"], plain["label"])


def test_background_stays_blank_under_every_change_of_intensities(tmp_path):
    volume = np.random.default_rng(0).integers(1, 256, SHAPE, dtype=np.uint8)
    volume[:, :4] = 0
    drawn = intensity(np.sqrt(IDENTITY), bias=(0.5, -0.5, 0.5, 0.5, 0.5), noise=0.2)
    found = LoadSliceGroupd()(
        task(write(tmp_path / "p.h5", {"t1": volume}), target="t1", window=(-2, 14, 0, 16), intensity=drawn)
    )
    for key in ("image", "label"):
        assert (found[key][:, :6] == -1).all() and (found[key][:, :, 12:] == -1).all()
        assert found[key].min() >= -1 and found[key].max() <= 1


def test_everything_that_is_drawn_loads_and_repeats_with_the_seed(path):
    names = ["t1", "t2"]
    item = {"subject": "p01", "path": str(path), "slice_index": 9, "modalities": tuple(names), "shape": SHAPE}
    item |= {"foreground_box": (0, 23, 0, 10, 0, 12), "thin_axes": dict.fromkeys(names, (0, 1, 2))}
    draw = DrawSliceTaskd(
        modalities=names,
        factors={"min": 1.5, "max": 4},
        resolution=8,
        axes="thin",
        phase="random",
        thickness=[0.6, 1.3],
        profiles=["gaussian", "box"],
        flip="all",
        rotation=15,
        zoom=0.2,
        gamma=0.4,
        gain=0.2,
        bias=0.2,
        noise=0.03,
        contrast=0.25,
    )
    rounds = []
    for _ in range(2):
        draw.set_random_state(seed=4)
        rounds.append([LoadSliceGroupd()(draw(item)) for _ in range(60)])
    for one, other in zip(*rounds, strict=True):
        assert one["image"].shape == (4, 8, 8) and one["label"].shape == (1, 8, 8) and 0 <= one["position"] < 1
        assert one["image"].abs().max() <= 1 and one["label"].abs().max() <= 1
        assert all(torch.equal(one[key], other[key]) for key in one if isinstance(one[key], torch.Tensor))


def test_an_official_file_with_bare_datasets_loads(tmp_path):
    volume = np.random.default_rng(0).integers(0, 256, SHAPE, dtype=np.uint8)
    with h5py.File(tmp_path / "IXI002.h5", "w") as file:
        file["T1"], file["T2"] = volume, 255 - volume
    result = LoadSliceGroupd(profile="drop")(task(tmp_path / "IXI002.h5"))
    np.testing.assert_allclose(result["image"][2], volume[12] / 127.5 - 1, atol=1e-6)
    np.testing.assert_allclose(result["label"][0], 1 - volume[9] / 127.5, atol=1e-6)
    with pytest.raises(ValueError, match="IXI002.h5.*slice spacing.*slice_gap 1.*unicoal prepare"):
        LoadSliceGroupd(slice_gap=1)(task(tmp_path / "IXI002.h5"))


def test_a_missing_modality_names_the_file_and_what_it_holds(path):
    with pytest.raises(ValueError, match="p01.h5.*'pd'.*t1.*t2"):
        LoadSliceGroupd()(task(path, source="pd"))


@pytest.mark.parametrize("arguments", [{"profile": "hat"}, {"slice_group_size": 3}, {"max_open_files": 0}])
def test_wrong_arguments_are_refused(arguments):
    with pytest.raises(ValueError, match=str(next(iter(arguments.values())))):
        LoadSliceGroupd(**arguments)
