import numpy as np
import pytest

from unicoal_components.simulation.mr_signal import gradient_echo, inversion_recovery, mprage, spin_echo

TIMING = {"tr": 2300.0, "te": 3.0, "ti": 900.0, "flip": 9.0}


def test_the_spin_echo_follows_its_closed_form():
    assert spin_echo(0.8, 1000.0, 80.0, tr=1000.0 * np.log(2), te=80.0) == pytest.approx(0.8 * 0.5 / np.e)


def test_the_signals_broadcast_over_arrays():
    t1, t2 = np.array([[300.0], [900.0]]), np.array([50.0, 90.0, 300.0])
    assert spin_echo(1.0, t1, t2, tr=500.0, te=20.0).shape == (2, 3)
    assert gradient_echo(1.0, t1, t2, tr=20.0, te=4.0, flip=20.0).shape == (2, 3)
    assert mprage(1.0, t1, t2, **TIMING).shape == (2, 3)


def test_inversion_recovery_nulls_the_tissue_whose_null_point_is_ti():
    tr, t1 = 9000.0, 2569.0
    ti = t1 * (np.log(2) - np.log1p(np.exp(-tr / t1)))
    assert inversion_recovery(1.0, t1, 300.0, tr=tr, te=0.0, ti=ti) == pytest.approx(0.0, abs=1e-12)


def test_inversion_recovery_with_a_long_ti_and_tr_is_the_fully_relaxed_spin_echo():
    long = inversion_recovery(0.9, 500.0, 70.0, tr=1e6, te=30.0, ti=1e6)
    assert long == pytest.approx(float(spin_echo(0.9, 500.0, 70.0, tr=1e6, te=30.0)))


def test_a_gradient_echo_of_90_degrees_is_the_spin_echo():
    own = (0.7, 800.0, 70.0)
    assert gradient_echo(*own, tr=500.0, te=9.0, flip=90.0) == pytest.approx(float(spin_echo(*own, tr=500.0, te=9.0)))


def test_the_gradient_echo_is_largest_at_the_ernst_angle():
    tr, t1 = 20.0, 900.0
    angles = np.linspace(1.0, 60.0, 5901)
    signals = [float(gradient_echo(1.0, t1, 50.0, tr=tr, te=0.0, flip=angle)) for angle in angles]
    assert angles[np.argmax(signals)] == pytest.approx(np.rad2deg(np.arccos(np.exp(-tr / t1))), abs=0.02)


def test_an_mprage_of_vanishing_flips_is_the_inversion_recovery_of_a_perfect_repeated_inversion():
    flip, t1 = 1e-4, 1000.0
    signal = mprage(0.8, t1, 80.0, **{**TIMING, "te": 0.0, "flip": flip}, efficiency=1.0) / np.sin(np.deg2rad(flip))
    expected = 0.8 * abs(1 - 2 * np.exp(-900.0 / t1) / (1 + np.exp(-2300.0 / t1)))
    assert signal == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("t1", [500.0, 810.0, 1350.0, 4000.0])
def test_the_mprage_equals_a_simulation_of_many_cycles(t1):
    flip, spacing, echoes, efficiency = np.deg2rad(9.0), 7.0, 176, 0.96

    def relax(m, time):
        return 1 + (m - 1) * np.exp(-time / t1)

    m = 1.0
    for _ in range(30):
        m = relax(-efficiency * m, 900.0 - spacing * echoes / 2)
        for echo in range(echoes):
            if echo == echoes // 2:
                center = m * np.sin(flip)
            m = relax(m * np.cos(flip), spacing)
        m = relax(m, 2300.0 - 900.0 - spacing * echoes / 2)
    assert mprage(1.0, t1, 80.0, **{**TIMING, "te": 0.0}) == pytest.approx(abs(center), rel=1e-9)


@pytest.mark.parametrize("change", [{"ti": 300.0}, {"tr": 1200.0}, {"echo_spacing": 20.0}])
def test_an_mprage_train_that_does_not_fit_is_an_error_with_the_limits(change):
    with pytest.raises(ValueError, match="does not fit into tr.* ti must be at least .* ms and tr at least"):
        mprage(1.0, 800.0, 80.0, **{**TIMING, **change})
