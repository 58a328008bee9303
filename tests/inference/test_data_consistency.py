import numpy as np
import pytest
import torch

from unicoal_components.inference.data_consistency import DAMPING, SMOOTHNESS, make_consistent, profile_matrix
from unicoal_components.inference.volume_inferer import VolumeInferer
from unicoal_components.slices.interpolation import linear_interpolation
from unicoal_components.slices.slice_profile import thick_volume

T1, T2 = torch.tensor([0]), torch.tensor([1])


def volume(depth=48, seed=0):
    """Thin slices in which every wavelength occurs."""
    return np.random.default_rng(seed).uniform(-0.5, 0.5, (depth, 5, 20)).astype(np.float32)


def between(thin, profile, factor, thickness=1.0):
    return thick_volume(thin, factor, profile, thickness=thickness * factor)


@pytest.mark.parametrize(("factor", "thickness"), [(1.5, 0.6), (2, 1), (2.5, 0.8), (4, 1), (4, 1.3), (6.2, 1)])
def test_the_weights_are_the_mean_of_a_box_and_a_gaussian_slice(factor, thickness):
    thin = volume()
    profiles, used = profile_matrix(48, 40, first=0, factor=factor, thickness=thickness)
    expected = (between(thin, "box", factor, thickness) + between(thin, "gaussian", factor, thickness)) / 2
    inner = slice(2, -3)  # the outer ones are cut off at the ends
    np.testing.assert_allclose(np.tensordot(profiles, thin, 1)[inner], expected[used][inner], atol=1e-6)
    np.testing.assert_allclose(profiles.sum(axis=1), 1)


@pytest.mark.parametrize("factor", [2.0, 3.5, 6.0])
def test_only_thick_slices_that_lie_within_the_thin_ones_are_used(factor):
    """Of the first one half lies outside, of the second at most 1 %; and thin slices 24 to 47 hold the later ones."""
    count = int(47 / factor) + 1
    _, used = profile_matrix(48, count, first=0, factor=factor, thickness=1.0)
    assert used[0] == 1 and count - 2 <= used[-1] <= count - 1
    _, used = profile_matrix(24, count, first=24, factor=factor, thickness=1.0)
    assert factor * used[0] - 0.6 * factor >= 24 and factor * used[0] < 24 + 2 * factor


def test_the_change_is_the_damped_least_squares_solution():
    """Against numpy's least squares, with changes W^(1/2) u: |A (x + W^(1/2) u) - y|² + d |u|² is least."""
    thin, stack = volume(seed=1), between(volume(), "gaussian", 3)
    profiles, used = profile_matrix(48, len(stack), first=0, factor=3, thickness=1.0)
    covariance = np.exp(-0.5 * (np.subtract.outer(np.arange(48), np.arange(48)) / (SMOOTHNESS * 3)) ** 2)
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(values.clip(0))
    damping = DAMPING * np.diag(profiles @ covariance @ profiles.T).mean()
    system = np.concatenate([profiles @ root, np.sqrt(damping) * np.eye(48)])
    missing = stack[used] - np.tensordot(profiles, thin, 1)
    for image, slice_ in zip(missing, stack[used] + 1, strict=True):
        image -= np.linalg.lstsq(slice_.reshape(-1, 1), image.ravel(), rcond=None)[0] * slice_
    wanted = np.concatenate([missing.reshape(len(used), -1), np.zeros((48, 100))])
    change = (root @ np.linalg.lstsq(system, wanted, rcond=None)[0]).reshape(thin.shape)
    made = torch.from_numpy(thin.copy())
    make_consistent(made, torch.from_numpy(stack), indices=torch.arange(48), factor=3)
    np.testing.assert_allclose(made, (thin + change).clip(-1, 1), atol=1e-5)


@pytest.mark.parametrize("profile", ["box", "gaussian"])
@pytest.mark.parametrize("factor", [2, 4.5])
def test_an_interpolation_comes_nearer_to_the_truth_with_either_profile(profile, factor):
    rows = np.arange(48)[:, None, None]
    truth = (0.6 * np.sin(2 * np.pi * (rows + np.arange(20)) / (3.2 * factor)) + np.zeros((48, 5, 20))).astype(
        "float32"
    )
    stack = torch.from_numpy(between(truth, profile, factor))
    indices = torch.arange(48)
    before = linear_interpolation(stack, factor, indices)
    after = before.clone()
    make_consistent(after, stack, indices=indices, factor=factor)
    inner = slice(int(2 * factor), int(-2 * factor))
    errors = [float(np.square(image.numpy() - truth)[inner].mean()) for image in (before, after)]
    assert errors[1] < 0.75 * errors[0]


def test_background_stays_and_the_range_is_kept():
    thin, stack = torch.full((24, 5, 20), 0.9), torch.full((6, 5, 20), 0.4)
    stack[..., 5:10], stack[..., 10:15] = -0.9, 1
    thin[:, :2], stack[:, :2] = -1, -1
    make_consistent(thin, stack, indices=torch.arange(24), factor=4)
    assert (thin[:, :2] == -1).all() and thin.max() == 1
    assert (thin[6:18, 2:, 5:10] < -0.5).all() and (thin[6:18, 2:, 10:15] == 1).all()


def test_slices_that_are_brighter_than_their_neighbors_leave_no_stripes():
    """Every other thick slice 20 % brighter, as in interleaved acquisitions, and thin slices that do not show it."""
    thin = torch.from_numpy(volume(1)).repeat(24, 1, 1)
    stack = thin[::4] + 0.0
    stack[::2] = 1.2 * (stack[::2] + 1) - 1
    before = thin.clone()
    make_consistent(thin, stack, indices=torch.arange(24), factor=4)
    torch.testing.assert_close(thin, before, atol=1e-5, rtol=0)


@pytest.mark.parametrize("indices", [[0, 2, 4, 6, 8, 10, 12, 14], [3], [9, 8, 7, 6, 5, 4, 3, 2]])
def test_slices_that_are_no_neighbors_stay(indices):
    thin = torch.from_numpy(volume(len(indices)))
    before = thin.clone()
    make_consistent(thin, torch.ones(6, 5, 20), indices=torch.tensor(indices), factor=4)
    assert torch.equal(thin, before)


def test_inference_is_consistent_within_a_modality_alone():
    """A network that copies the slice below: the mean over a thick slice is wrong until it is corrected."""

    def copy(groups, **conditions):
        return groups[:, 1:2]

    stack = torch.from_numpy(volume(12))[None, None] / 2
    plain, consistent = (VolumeInferer(resolution=20, data_consistency=on) for on in (False, True))
    given = {"source_modality": T1, "factor": 3.0}

    def missing(made, thickness):
        profiles, used = profile_matrix(36, 12, first=0, factor=3, thickness=thickness)
        return float(np.abs(np.tensordot(profiles, made[0, 0].numpy(), 1) - stack[0, 0].numpy()[used]).mean())

    for thickness in (1.0, 0.7):
        told = {**given, "modality": T1, "thickness": torch.tensor([thickness])}
        assert missing(consistent(stack, copy, **told), thickness) < 0.3 * missing(
            plain(stack, copy, **told), thickness
        )
    for other in ({"modality": T2}, {"modality": T1, "factor": 1.0}, {"modality": T1, "source_modality": None}):
        told = given | other
        assert torch.equal(consistent(stack, copy, **told), plain(stack, copy, **told))
    indices = torch.arange(36)[None]
    told = given | {"modality": T1}
    torch.testing.assert_close(consistent(stack, copy, indices=indices, **told), consistent(stack, copy, **told))
