import numpy as np
import pytest

from unicoal_components.data.mr_signal import (
    SEQUENCES,
    TISSUES,
    Sequence,
    Tissue,
    bias_field,
    inversion_recovery,
    rician_noise,
    spin_echo,
    vary_sequence,
    vary_tissues,
)


def signals(modality):
    return {name: SEQUENCES[modality].signal(tissue) for name, tissue in TISSUES.items()}


def test_the_spin_echo_follows_its_closed_form():
    assert spin_echo(0.8, 1000.0, 80.0, tr=1000.0 * np.log(2), te=80.0) == pytest.approx(0.8 * 0.5 / np.e)


def test_the_spin_echo_broadcasts_over_arrays():
    t1 = np.array([[300.0], [900.0]])
    assert spin_echo(1.0, t1, np.array([50.0, 90.0, 300.0]), tr=500.0, te=20.0).shape == (2, 3)


def test_inversion_recovery_nulls_the_tissue_whose_null_point_is_ti():
    tr, t1 = 9000.0, 2569.0
    ti = t1 * (np.log(2) - np.log1p(np.exp(-tr / t1)))
    assert inversion_recovery(1.0, t1, 300.0, tr=tr, te=0.0, ti=ti) == pytest.approx(0.0, abs=1e-12)
    assert SEQUENCES["flair"].ti == pytest.approx(ti, abs=1.0)


def test_inversion_recovery_with_a_long_ti_and_tr_is_the_fully_relaxed_spin_echo():
    long = inversion_recovery(0.9, 500.0, 70.0, tr=1e6, te=30.0, ti=1e6)
    assert long == pytest.approx(float(spin_echo(0.9, 500.0, 70.0, tr=1e6, te=30.0)))


def test_t1_orders_white_above_deep_gray_above_gray_above_csf():
    s = signals("t1")
    assert s["white"] > s["deep_gray"] > s["gray"] > s["csf"]


def test_t2_orders_csf_above_gray_above_white_above_pallidum():
    s = signals("t2")
    assert s["csf"] > s["lesion"] > s["gray"] > s["white"] > s["pallidum"]


def test_pd_orders_gray_above_white():
    s = signals("pd")
    assert s["gray"] > s["white"]


def test_flair_shows_lesions_brightest_and_csf_dark():
    s = signals("flair")
    assert s["lesion"] > s["gray"] > s["white"] > 10 * s["csf"]


@pytest.mark.parametrize("seed", range(20))
def test_contrast_keeps_its_order_in_every_person(seed):
    rng = np.random.default_rng(seed)
    person = vary_tissues(TISSUES, rng)
    t1, t2, flair = (vary_sequence(SEQUENCES[name], rng) for name in ("t1", "t2", "flair"))
    assert t1.signal(person["white"]) > 1.05 * t1.signal(person["gray"]) > t1.signal(person["csf"])
    assert t2.signal(person["csf"]) > 1.05 * t2.signal(person["gray"]) > t2.signal(person["white"])
    assert flair.signal(person["white"]) > 3 * flair.signal(person["csf"])


def test_varied_tissues_stay_within_their_spread():
    person = vary_tissues(
        {"gray": Tissue(1000.0, 100.0, 1.0)}, np.random.default_rng(0), spread=0.1, contrast_spread=0.0
    )
    assert 900 <= person["gray"].t1 <= 1100
    assert 90 <= person["gray"].t2 <= 110
    assert person["gray"].pd == 1.0


def test_a_spin_echo_has_no_inversion_time_after_variation():
    assert vary_sequence(Sequence(tr=500.0, te=10.0), np.random.default_rng(0)).ti is None


def test_rician_noise_has_the_second_moment_of_the_closed_form():
    signal = np.full(400_000, 3.0, np.float32)
    noisy = rician_noise(signal, np.random.default_rng(0), sigma=1.5)
    assert np.mean(noisy.astype(float) ** 2) == pytest.approx(3.0**2 + 2 * 1.5**2, rel=5e-3)


def test_rician_noise_without_signal_is_rayleigh():
    noisy = rician_noise(np.zeros(400_000, np.float32), np.random.default_rng(0), sigma=2.0)
    assert noisy.mean() == pytest.approx(2.0 * np.sqrt(np.pi / 2), rel=5e-3)
    assert noisy.var() == pytest.approx((2 - np.pi / 2) * 4.0, rel=1e-2)


def test_rician_noise_on_a_strong_signal_is_gaussian():
    noisy = rician_noise(np.full(400_000, 100.0, np.float32), np.random.default_rng(0), sigma=1.0)
    assert noisy.mean() == pytest.approx(100.0 + 1 / 200, abs=0.01)
    assert noisy.std() == pytest.approx(1.0, rel=1e-2)


def test_the_bias_field_is_a_smooth_gain_within_its_strength():
    field = bias_field((20, 24, 22), np.random.default_rng(0), strength=0.2)
    assert field.shape == (20, 24, 22)
    assert np.exp(-0.2) <= field.min() < field.max() <= np.exp(0.2)
    assert max(np.abs(np.diff(field, axis=axis)).max() for axis in range(3)) < 0.1
