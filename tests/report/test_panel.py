"""Panels are drawn whole, in proportion, and without a display."""

import numpy as np
import pytest
from matplotlib.image import imread

from unicoal_components.report.panel import foreground_places, save_panel


def volumes(*names, shape=(10, 24, 20)):
    rng = np.random.default_rng(0)
    return {name: rng.uniform(-1, 1, shape) for name in names}


def test_a_panel_with_truth_has_a_column_more_than_one_without(tmp_path):
    with_truth = imread(save_panel(tmp_path / "a.png", images=volumes("input", "ours", "truth"), title="p01"))
    without = imread(save_panel(tmp_path / "b.png", images=volumes("input", "cubic", "ours"), title="p01"))
    assert with_truth.shape[0] == without.shape[0]
    assert with_truth.shape[1] - without.shape[1] == pytest.approx(264, abs=2)


def test_the_panel_keeps_the_proportions_of_the_body(tmp_path):
    flat = imread(save_panel(tmp_path / "a.png", images=volumes("ours"), title="", spacing=(1, 1, 1)))
    tall = imread(save_panel(tmp_path / "b.png", images=volumes("ours"), title="", spacing=(3, 1, 1)))
    assert tall.shape[0] - flat.shape[0] == pytest.approx(2 * 10 * (264 / 20 + 264 / 24), abs=3)


def test_the_error_column_is_dark_where_the_prediction_is_right(tmp_path):
    same = np.full((10, 24, 20), 0.5)
    right = imread(save_panel(tmp_path / "a.png", images={"ours": same, "truth": same}, title=""))
    wrong = imread(save_panel(tmp_path / "b.png", images={"ours": -same, "truth": same}, title=""))
    column = slice(2 * 264 + 40, 3 * 264 - 40)
    assert right[150:250, column, :3].max() < 0.05
    assert wrong[150:250, column, :3].min(axis=(0, 1)).max() > 0.9


def test_the_expected_error_is_a_column_of_its_own_on_the_scale_of_the_error(tmp_path):
    same = volumes("ours")["ours"]
    images = {"ours": same, "truth": np.clip(same + 0.2, -1, 1)}
    without = imread(save_panel(tmp_path / "a.png", images=images, title=""))
    none, some = (
        imread(save_panel(tmp_path / f"{value}.png", images=images, title="", expected=np.full_like(same, value)))
        for value in (0.0, 0.4)
    )
    assert some.shape[1] > without.shape[1] and none.shape == some.shape
    column = slice(int(none.shape[1] * 0.7), int(none.shape[1] * 0.9))
    assert some[:, column, :3].sum() > none[:, column, :3].sum()
    with pytest.raises(ValueError, match="expected has the shape"):
        save_panel(tmp_path / "c.png", images=images, title="", expected=same[1:])


def test_the_same_panel_is_drawn_twice_with_the_same_bytes(tmp_path):
    files = [save_panel(tmp_path / n, images=volumes("ours", "truth"), title="p") for n in ("a.png", "b.png")]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_the_slices_of_an_empty_volume_are_chosen_from_all_of_it():
    assert foreground_places(np.full((9, 5, 4), -1.0)) == (4, 2, 0)


def boxes(shape):
    """Return (top, bottom) in pixels of the three rows of a panel of `shape`, of columns 264 pixels wide."""
    depth, rows, columns = shape
    scale = 264 / columns
    heights = [rows * scale, depth * scale, depth * 264 / rows]
    tops = np.cumsum([0.65 * 120, *heights])
    return list(zip(tops[:-1], tops[1:], strict=True))


@pytest.mark.parametrize(
    ("row", "corner", "place"),
    [
        ("axial", (5, 0, 0), (0, 0)),  # front and right: above, left
        ("axial", (5, -1, 0), (1, 0)),
        ("coronal", (-1, 12, 0), (0, 0)),  # superior and right: above, left
        ("coronal", (0, 12, -1), (1, 1)),
        ("sagittal", (-1, 0, 9), (0, 0)),  # superior and front: above, left
        ("sagittal", (0, -1, 9), (1, 1)),
    ],
)
def test_each_view_has_its_sides_where_a_radiologist_expects_them(tmp_path, row, corner, place):
    shape = (10, 24, 20)
    volume = np.full(shape, -1.0)
    around = tuple(slice(max(i - 2, 0), i + 3) if i >= 0 else slice(i - 2, None) for i in corner)
    volume[around] = 1.0
    slices = {"axial": 5, "coronal": 12, "sagittal": 9}
    image = imread(save_panel(tmp_path / "a.png", images={"ours": volume}, title="", **slices))[..., 0]
    top, bottom = boxes(shape)[("axial", "coronal", "sagittal").index(row)]
    inside = image[round(top) + 6 : round(bottom) - 6, 8:256]
    down, right = np.argwhere(inside > 0.5).mean(axis=0) / inside.shape
    assert (down > 0.5, right > 0.5) == (bool(place[0]), bool(place[1]))
    assert abs(down - 0.5) > 0.2 and abs(right - 0.5) > 0.2


def test_any_number_of_columns_fits(tmp_path):
    names = ("input", "copy", "linear", "cubic", "unet", "ours", "truth")
    assert imread(save_panel(tmp_path / "a.png", images=volumes(*names), title="p01")).shape[1] == 8 * 264 + 96


@pytest.mark.parametrize(
    ("images", "options", "message"),
    [
        ({}, {}, "shapes"),
        ({"a": np.zeros((2, 3, 4)), "b": np.zeros((2, 3, 5))}, {}, "same shape"),
        ({"a": np.zeros((3, 4))}, {}, "same shape"),
        (volumes("a"), {"axial": 10}, "axial slice is 10.* 0 to 9"),
        (volumes("a"), {"coronal": -1}, "coronal slice is -1"),
        (volumes("a"), {"sagittal": 20}, "sagittal slice is 20.* 0 to 19"),
    ],
)
def test_wrong_images_are_refused(tmp_path, images, options, message):
    with pytest.raises(ValueError, match=message):
        save_panel(tmp_path / "a.png", images=images, title="", **options)
    assert not list(tmp_path.iterdir())
