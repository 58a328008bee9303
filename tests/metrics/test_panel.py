"""Panels are drawn whole, in proportion, and without a display."""

import numpy as np
import pytest
from matplotlib.image import imread

from unicoal_components.metrics.panel import foreground_middle, save_panel


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
    assert tall.shape[0] - flat.shape[0] == pytest.approx(2 * 10 * 264 / 20, abs=2)


def test_the_error_column_is_dark_where_the_prediction_is_right(tmp_path):
    same = np.full((10, 24, 20), 0.5)
    right = imread(save_panel(tmp_path / "a.png", images={"ours": same, "truth": same}, title=""))
    wrong = imread(save_panel(tmp_path / "b.png", images={"ours": -same, "truth": same}, title=""))
    column = slice(2 * 264 + 40, 3 * 264 - 40)
    assert right[150:250, column, :3].max() < 0.05
    assert wrong[150:250, column, :3].min(axis=(0, 1)).max() > 0.9


def test_the_same_panel_is_drawn_twice_with_the_same_bytes(tmp_path):
    files = [save_panel(tmp_path / n, images=volumes("ours", "truth"), title="p") for n in ("a.png", "b.png")]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_the_middle_of_an_empty_volume_is_its_own_middle():
    assert foreground_middle(np.full((9, 5, 4), -1.0)) == (4, 2)


@pytest.mark.parametrize(
    ("images", "options", "message"),
    [
        ({}, {}, "shapes"),
        ({"a": np.zeros((2, 3, 4)), "b": np.zeros((2, 3, 5))}, {}, "one shape"),
        ({"a": np.zeros((3, 4))}, {}, "one shape"),
        (volumes("a"), {"axial": 10}, "axial slice is 10; allowed is 0 to 9"),
        (volumes("a"), {"coronal": -1}, "coronal slice is -1"),
    ],
)
def test_wrong_images_are_refused(tmp_path, images, options, message):
    with pytest.raises(ValueError, match=message):
        save_panel(tmp_path / "a.png", images=images, title="", **options)
    assert not list(tmp_path.iterdir())
