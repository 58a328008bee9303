import pytest
import torch
from monai.data import MetaTensor

from unicoal_components.training.prepare_batch import PrepareSlices, PrepareVolume


def slices():
    return {
        "image": MetaTensor(torch.rand(3, 4, 8, 8)),
        "label": torch.rand(3, 1, 8, 8),
        "modality": torch.tensor([0, 1, 2]),
        "source_modality": torch.tensor([0, 2, 2]),
        "position": torch.tensor([0.0, 0.5, 0.75]),
        "factor": torch.tensor([1.0, 4.0, 2.5]),
        "thickness": torch.tensor([1.0, 0.8, 1.2]),
    }


def volume():
    return {
        "image": torch.rand(1, 1, 5, 8, 8),
        "modality": torch.tensor([1]),
        "source_modality": torch.tensor([0]),
        "factor": torch.tensor([4.0]),
        "subject": ["p01"],
    }


def test_slices_come_with_latent_codes_and_the_mark_of_an_unchanged_modality():
    image, label, args, conditions = PrepareSlices(z_dim=6)(slices(), "cpu")
    assert type(image) is torch.Tensor and label.shape == (3, 1, 8, 8) and args == ()
    assert conditions["z"].shape == (3, 6)
    assert conditions["same_modality"].tolist() == [True, False, True]
    assert {name: conditions[name].tolist() for name in ("source_modality", "factor")} == {
        "source_modality": [0, 2, 2],
        "factor": [1.0, 4.0, 2.5],
    }
    assert torch.equal(conditions["thickness"], slices()["thickness"])
    names = {"z", "modality", "position", "same_modality", "source_modality", "factor", "thickness"}
    assert set(conditions) == names


def test_the_error_is_requested_only_if_wanted():
    assert PrepareSlices(z_dim=6, with_error=True)(slices())[3]["with_error"] is True
    assert "with_error" not in PrepareSlices(z_dim=6)(slices())[3]


def test_latent_codes_follow_the_random_state_of_torch():
    prepare = PrepareSlices(z_dim=4)
    torch.manual_seed(3)
    first, second = prepare(slices())[3]["z"], prepare(slices())[3]["z"]
    torch.manual_seed(3)
    assert torch.equal(prepare(slices())[3]["z"], first)
    assert not torch.equal(first, second)


@pytest.mark.parametrize("name", ["position", "factor", "thickness"])
def test_a_missing_entry_is_named(name):
    batch = slices()
    del batch[name]
    with pytest.raises(ValueError, match=f"no '{name}'"):
        PrepareSlices(z_dim=4)(batch)


def test_without_a_latent_code_the_network_takes_its_own():
    assert PrepareSlices(z_dim=None)(slices())[3]["z"] is None


def test_z_dim_must_be_positive():
    with pytest.raises(ValueError, match="z_dim"):
        PrepareSlices(z_dim=0)


def test_a_volume_needs_no_truth_and_no_indices():
    image, label, args, conditions = PrepareVolume()(volume())
    assert image.shape == (1, 1, 5, 8, 8) and label is None and args == ()
    assert set(conditions) == {"modality", "source_modality", "factor"}


def test_a_volume_brings_its_truth_and_indices_when_it_has_them():
    batch = volume() | {"label": torch.rand(1, 1, 3, 8, 8), "indices": torch.tensor([[2, 5, 6]])}
    _, label, _, conditions = PrepareVolume()(batch)
    assert label.shape == (1, 1, 3, 8, 8)
    assert conditions["indices"].tolist() == [[2, 5, 6]]


def test_a_volume_brings_its_slice_thickness_when_it_is_known():
    conditions = PrepareVolume()(volume() | {"thickness": torch.tensor([0.8])})[3]
    torch.testing.assert_close(conditions["thickness"], torch.tensor([0.8]))
