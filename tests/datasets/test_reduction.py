import numpy as np
import pytest

from unicoal_components.datasets.reduction import MARGIN, Reduction, head_mask, reduce_volumes, reductions


@pytest.fixture
def head():
    """A bright ball as head in noisy air, and its mask."""
    rng = np.random.default_rng(0)
    places = np.stack(np.meshgrid(*[np.arange(48) - 23.5] * 3, indexing="ij"))
    ball = (places**2).sum(0) < 15**2
    noise = rng.integers(1, 12, ball.shape)
    return np.where(ball, rng.integers(100, 256, ball.shape), noise).astype(np.uint8), ball


def test_the_first_reduction_removes_only_borders():
    volume = np.zeros((40, 30, 20), np.uint8)
    volume[10:20, 5:25, 2:18] = 7
    small, box = reduce_volumes({"t1": volume}, Reduction())
    assert box == (10 - MARGIN, 20 + MARGIN, 5 - MARGIN, 25 + MARGIN, 0, 20)
    np.testing.assert_array_equal(small["t1"], volume[6:24, 1:29])
    assert small["t1"].sum() == volume.sum()


def test_the_air_becomes_0_and_the_head_stays_exact(head):
    volume, ball = head
    mask = head_mask({"t1": volume})
    assert mask[ball].all() and mask.mean() < 2.5 * ball.mean()
    small, box = reduce_volumes({"t1": volume}, Reduction(clear_air=True), mask)
    d0, d1, h0, h1, w0, w1 = box
    kept, inside = small["t1"], ball[d0:d1, h0:h1, w0:w1]
    assert inside.sum() == ball.sum()
    np.testing.assert_array_equal(kept[inside], volume[ball])
    assert not kept[0].any()


@pytest.mark.parametrize("step", [2, 3, 4, 7, 64])
def test_rounding_changes_at_most_half_a_step_and_keeps_the_background(step):
    volume = np.arange(256, dtype=np.uint8).reshape(1, 16, 16)
    small = reduce_volumes({"t1": volume}, Reduction(step=step))[0]["t1"]
    assert np.abs(small.astype(int) - volume).max() <= step // 2
    np.testing.assert_array_equal(small == 0, volume == 0)
    assert len(np.unique(small)) <= 256 // step + 2


def test_the_middle_of_the_foreground_of_all_modalities_is_kept():
    volumes = {name: np.zeros((20, 20, 20), np.uint8) for name in ("t1", "t2")}
    volumes["t1"][0:10], volumes["t2"][5:20] = 1, 1
    small, box = reduce_volumes(volumes, Reduction(kept_percent=50))
    assert box == (5, 15, 5, 15, 5, 15)
    assert {volume.shape for volume in small.values()} == {(10, 10, 10)}


def test_reductions_increase_and_are_described():
    ladder = reductions(3)
    assert ladder[:4] == [Reduction(), *(Reduction(True, step) for step in (1, 2, 3))]
    assert [item.kept_percent for item in ladder[4:]] == list(range(99, 49, -1))
    assert str(ladder[0]) == "borders without foreground cut off"
    assert "air" in str(ladder[1]) and "rounded" not in str(ladder[1])
    assert "steps of 3, so changed by 1 at most; cropped to the middle 99 %" in str(ladder[4])


@pytest.mark.parametrize("step", [0, 65, 1.5, True, "4"])
def test_a_wrong_step_is_named(step):
    with pytest.raises(ValueError, match="largest_step is"):
        reductions(step)


def test_an_empty_volume_is_all_head():
    assert head_mask({"t1": np.zeros((4, 4, 4), np.uint8)}).all()
