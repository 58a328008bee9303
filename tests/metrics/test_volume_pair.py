"""Checks of volumes that are to be compared."""

import numpy as np
import pytest
import torch
from monai.data import MetaTensor

from unicoal_components.metrics.volume_pair import checked_mask, finite_volume, volume_pair


def bfloat16(values):
    """A kind that numpy does not know."""
    return torch.tensor(values, dtype=torch.bfloat16)


@pytest.mark.parametrize(
    "kind", [np.asarray, torch.tensor, MetaTensor, lambda x: torch.tensor(x, requires_grad=True), bfloat16]
)
def test_arrays_and_tensors_become_the_same_plain_array(kind):
    values = np.arange(8.0).reshape(2, 2, 2)
    volume = finite_volume(kind(values), name="target")
    assert type(volume) is np.ndarray
    assert volume.dtype == np.float64
    assert np.array_equal(volume, values)


@pytest.mark.parametrize("values", [np.zeros((4, 4)), np.zeros((1, 1, 4, 4)), np.zeros((0, 4, 4))])
def test_other_shapes_than_volumes_are_refused(values):
    with pytest.raises(ValueError, match=r"target has shape .*; it must be \(D, H, W\)"):
        finite_volume(values, name="target")


def test_values_that_are_not_finite_are_counted():
    values = np.zeros((2, 4, 4))
    values[0, 0, :2] = np.nan, -np.inf
    with pytest.raises(ValueError, match="prediction: 2 of 32 values are NaN or infinite"):
        volume_pair(values, np.zeros((2, 4, 4)))


def test_volumes_of_different_shape_are_refused():
    with pytest.raises(ValueError, match=r"prediction has shape \(2, 4, 4\), target \(1, 4, 4\); .* same grid"):
        volume_pair(np.zeros((2, 4, 4)), np.zeros((1, 4, 4)))


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (np.ones((2, 3, 4), dtype=np.uint8), "m is uint8 of shape"),
        (np.ones((2, 3, 5), dtype=bool), r"must be bool of the volumes' shape \(2, 3, 4\)"),
        (torch.zeros(2, 3, 4, dtype=torch.bool), "m is empty"),
    ],
)
def test_masks_of_other_kind_or_shape_or_without_voxels_are_refused(mask, message):
    with pytest.raises(ValueError, match=message):
        checked_mask(mask, shape=(2, 3, 4), name="m")
