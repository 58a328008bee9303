import pytest

from unicoal_components.transforms.task import SetTaskd

NAMES = ["t1", "t2", "pd", "flair"]


def test_names_become_class_indices():
    task = SetTaskd(modalities=NAMES, source_modality="t1", target_modality="flair", factor=4)
    assert task({"image": "a.nii"}) == {"image": "a.nii", "modality": 3, "source_modality": 0, "factor": 4.0}


@pytest.mark.parametrize("field", ["source_modality", "target_modality"])
def test_an_unknown_modality_is_refused_with_those_known(field):
    names = {"source_modality": "t1", "target_modality": "t2", field: "T1w"}
    with pytest.raises(ValueError, match=rf"{field} is 'T1w'.*t1.*t2.*pd.*flair"):
        SetTaskd(modalities=NAMES, factor=1, **names)


@pytest.mark.parametrize("factor", [0.99, 0, -2, float("nan")])
def test_a_factor_below_one_is_refused(factor):
    with pytest.raises(ValueError, match="factor is"):
        SetTaskd(modalities=NAMES, source_modality="t1", target_modality="t2", factor=factor)
