import numpy as np
import pytest
import torch
from scipy.ndimage import correlate1d

from unicoal_components.inference.slice_smoothing import smooth_slices
from unicoal_components.inference.volume_inferer import VolumeInferer

T1, T2 = torch.tensor([0]), torch.tensor([1])


def volume(depth=9, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).uniform(-0.9, 0.9, (depth, 4, 5)).astype(np.float32))


@pytest.mark.parametrize(("factor", "weight"), [(1.5, 0.0225), (2, 0.04), (4, 0.16), (7, 0.25)])
def test_slices_are_averaged_with_their_neighbors(factor, weight):
    thin = volume()
    expected = correlate1d(thin.numpy(), [weight, 1 - 2 * weight, weight], axis=0, mode="nearest")
    smooth_slices(thin, indices=torch.arange(3, 12), factor=factor)
    np.testing.assert_allclose(thin, expected, atol=1e-6)


def test_background_neither_changes_nor_darkens_its_neighbors():
    thin = torch.full((6, 4, 5), 0.5)
    thin[:2], thin[4] = -1, 0.7
    smooth_slices(thin, indices=torch.arange(6), factor=4)
    torch.testing.assert_close(thin[:, 0, 0], torch.tensor([-1.0, -1.0, 0.5, 0.532, 0.636, 0.532]))


@pytest.mark.parametrize("indices", [[0, 2, 4], [5], [3, 2, 1]])
def test_slices_that_are_no_neighbors_stay(indices):
    thin = volume(len(indices))
    before = thin.clone()
    smooth_slices(thin, indices=torch.tensor(indices), factor=4)
    assert torch.equal(thin, before)


def test_inference_smooths_across_modalities_at_a_factor_above_1_alone():
    def copy(groups, **conditions):
        return groups[:, 1:2]

    stack = volume()[None, None]
    plain, smooth = (VolumeInferer(resolution=8, slice_smoothing=on) for on in (False, True))
    across = {"source_modality": T1, "modality": T2, "factor": 2.5}
    expected = plain(stack, copy, **across)
    smooth_slices(expected[0, 0], indices=torch.arange(expected.shape[2]), factor=2.5)
    assert torch.equal(smooth(stack, copy, **across), expected)
    for other in ({"modality": T1}, {"factor": 1.0}, {"source_modality": None}):
        told = across | other
        assert torch.equal(smooth(stack, copy, **told), plain(stack, copy, **told))
