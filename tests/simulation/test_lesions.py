import numpy as np

from unicoal_components.simulation.lesions import random_lesions


def brain():
    white = np.zeros((24, 24, 24), np.float32)
    white[3:-3, 3:-3, 3:-3] = 1.0
    csf = np.zeros_like(white)
    csf[10:14, 10:14, 10:14] = 1.0
    white[csf > 0] = 0.0
    return {"background": 1.0 - white - csf, "white": white, "csf": csf}


def test_lesions_take_white_matter_only_and_the_sum_stays():
    before = brain()
    after = random_lesions(before, np.random.default_rng(0), count=5, spacing=1.0)
    assert after["lesion"].max() > 0.99
    assert (after["lesion"] <= before["white"] + 1e-6).all()
    np.testing.assert_allclose(sum(after.values()), 1.0, atol=1e-6)
    np.testing.assert_array_equal(after["csf"], before["csf"])


def test_lesions_are_millimeters_large_whatever_the_voxels_are():
    fine = random_lesions(brain(), np.random.default_rng(0), count=1, spacing=1.0)["lesion"].sum()
    assert 4 / 3 * np.pi * 8 * 0.3 < fine < 4 / 3 * np.pi * 216 * 1.3


def test_no_lesions_and_no_white_matter_leave_the_fractions_as_they_are():
    assert "lesion" not in random_lesions(brain(), np.random.default_rng(0), count=0, spacing=1.0)
    bare = {"background": np.ones((4, 4, 4), np.float32)}
    assert set(random_lesions(bare, np.random.default_rng(0), count=3, spacing=1.0)) == {"background"}
