import numpy as np
import pytest

from unicoal_components.simulation import tissue_maps
from unicoal_components.simulation.tissue_maps import load_mni152, pack


@pytest.fixture(scope="module")
def mni152():
    return load_mni152()


def world_to_stack(maps, world):
    w, h, d = np.linalg.solve(maps.affine[:3, :3], np.asarray(world, float) - maps.affine[:3, 3]).round().astype(int)
    return d, h, w


@pytest.mark.parametrize(
    ("world", "tissue"),
    [
        ((25, -25, 30), "white"),
        ((0, -75, 10), "gray"),
        ((12, -18, 8), "deep_gray"),
        ((26, 4, 1), "deep_gray"),
        ((-19, -4, -1), "pallidum"),
        ((0, -28, -35), "brainstem"),
        ((6, 10, 10), "csf"),
        ((-60, 60, 60), "background"),
    ],
)
def test_known_positions_of_the_mni152_brain_hold_their_tissue(mni152, world, tissue):
    fractions = mni152.fractions[(slice(None), *world_to_stack(mni152, world))]
    assert mni152.tissues[int(fractions.argmax())] == tissue


def test_the_fractions_of_a_voxel_sum_to_255(mni152):
    total = mni152.fractions.sum(axis=0, dtype=int)
    assert total.min() >= 255 - 4
    assert total.max() <= 255 + 4


def test_the_volumes_of_the_mni152_tissues_are_those_of_a_brain(mni152):
    liters = {t: f.sum(dtype=float) / 255 / 1e6 for t, f in zip(mni152.tissues, mni152.fractions, strict=True)}
    assert 0.8 < liters["gray"] < 1.1
    assert 0.5 < liters["white"] < 0.8
    assert 0.1 < liters["csf"] < 0.4
    assert 0.02 < liters["deep_gray"] < 0.06


def test_the_stack_points_to_left_posterior_superior(mni152):
    assert np.sign(np.diag(mni152.affine)[:3]).tolist() == [-1, -1, 1]
    np.testing.assert_allclose(mni152.spacing, 1.0)


def test_packing_crops_to_the_tissue_and_keeps_world_coordinates():
    fraction = np.zeros((30, 40, 50), np.float32)
    fraction[10:15, 12:20, 30:40] = 1.0
    affine = np.diag([-1.0, -1.0, 2.0, 1.0])
    maps = pack({"white": fraction}, affine, sharpness=1.0, roughness=0.0, source="test", margin=4.0)
    assert maps.tissues == ("background", "white")
    assert maps.fractions.shape == (2, 5 + 2 * 2, 8 + 2 * 4, 10 + 2 * 4)
    assert maps.fractions[1, 2, 4, 4] == 255
    np.testing.assert_allclose(maps.affine @ (4, 4, 2, 1), affine @ (30, 12, 10, 1))


def test_missing_tissue_maps_are_an_error_with_the_file_and_the_remedy(tmp_path):
    with pytest.raises(FileNotFoundError, match="mni_icbm152_t1.*--label_map"):
        load_mni152(tmp_path)


def test_missing_nilearn_is_an_error_with_the_install_command(monkeypatch):
    monkeypatch.setattr(tissue_maps, "find_spec", lambda name: None)
    with pytest.raises(FileNotFoundError, match="pip install nilearn"):
        load_mni152()
