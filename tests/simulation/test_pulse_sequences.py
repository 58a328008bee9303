import numpy as np
import pytest

from unicoal_components.simulation.pulse_sequences import (
    MODALITIES,
    RANGES,
    STANDARD,
    Sequence,
    csf_null,
    draw_sequence,
)
from unicoal_components.simulation.tissue_constants import TISSUES, tissues_at, vary_tissues


def signals(sequence, tissues):
    return {name: sequence.signal(tissue) for name, tissue in tissues.items()}


def draw(seed, modality, spread=1.0):
    rng = np.random.default_rng(seed)
    tissues = vary_tissues(tissues_at(rng.choice([1.5, 3.0])), rng)
    sequence = draw_sequence(modality, tissues, rng, spread=spread)
    return sequence, signals(sequence, tissues)


@pytest.mark.parametrize("seed", range(100))
def test_tissues_have_their_usual_order_in_every_subject(seed):
    _, t1 = draw(seed, "t1")
    assert t1["white"] > 1.05 * t1["gray"] and t1["gray"] > 1.05 * t1["csf"]
    assert t1["white"] > t1["putamen"] > 0.9 * t1["gray"] and t1["white"] > t1["lesion"]
    _, t2 = draw(seed, "t2")
    assert t2["csf"] > 1.05 * t2["gray"] and t2["gray"] > 1.05 * t2["white"]
    assert t2["lesion"] > t2["gray"] and t2["white"] > t2["pallidum"]
    _, pd = draw(seed, "pd")
    assert pd["gray"] > 1.05 * pd["white"] and pd["csf"] > pd["white"] and pd["lesion"] > pd["white"]
    _, flair = draw(seed, "flair")
    assert flair["lesion"] > flair["gray"] > 1.05 * flair["white"] and flair["white"] > 2 * flair["csf"]


@pytest.mark.parametrize("modality", MODALITIES)
def test_without_spread_every_subject_has_the_standard_sequence(modality):
    sequence = draw_sequence(modality, TISSUES, np.random.default_rng(0), spread=0.0)
    assert sequence == STANDARD[modality]


def test_t1_scans_are_mprage_spin_echo_and_gradient_echo():
    kinds = [draw(seed, "t1")[0].kind for seed in range(200)]
    assert 0.4 < np.mean([kind == "mprage" for kind in kinds]) < 0.65
    assert min(kinds.count("spin_echo"), kinds.count("gradient_echo")) > 25


@pytest.mark.parametrize("modality", MODALITIES)
def test_drawn_values_stay_within_their_range_and_fill_it(modality):
    drawn = [draw(seed, modality)[0] for seed in range(200)]
    for own in RANGES[modality]:
        values = np.array([s.te for s in drawn if s.kind == own.standard.kind])
        low, high = own.te
        assert low <= values.min() < low + (high - low) / 4
        assert high - (high - low) / 4 < values.max() <= high


def test_flair_nulls_csf_at_its_tr():
    for tr in (7000.0, 11000.0):
        flair = Sequence("inversion_recovery", tr, 110.0, csf_null(tr, TISSUES["csf"].t1))
        assert flair.signal(TISSUES["csf"]) == pytest.approx(0.0, abs=1e-12)


def test_unusable_options_are_errors_that_name_them():
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="modality is 'ct'.*'t1', 't2', 'pd', 'flair'"):
        draw_sequence("ct", TISSUES, rng)
    with pytest.raises(ValueError, match="contrast_spread is 2; .*from 0.* to 1"):
        draw_sequence("t1", TISSUES, rng, spread=2)
    with pytest.raises(ValueError, match=r"100 \'t1\' sequences .*\(\'white\', \'gray\', \'csf\'\)"):
        draw_sequence("t1", {**TISSUES, "white": TISSUES["csf"]}, rng)
