import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt

from unicoal_components.simulation.body_shape import (
    deform,
    leave_skull,
    mix_soft_tissue,
    output_grid,
    sharpen,
    strip_closely,
)
from unicoal_components.simulation.pulse_sequences import STANDARD
from unicoal_components.simulation.subject import SCANNER_UNIT, scan, simulate_subject
from unicoal_components.simulation.tissue_constants import TISSUES
from unicoal_components.simulation.tissue_maps import pack


def ball(radius, size=48):
    grid = np.indices((size,) * 3) - (size - 1) / 2
    return np.clip(radius + 0.5 - np.sqrt((grid**2).sum(axis=0)), 0.0, 1.0).astype(np.float32)


@pytest.fixture(scope="module")
def maps():
    """Return a head of shells: CSF around gray around white around a ventricle, in voxels of 2 mm."""
    csf, gray, white, ventricle = ball(20), ball(18), ball(14), ball(5)
    fractions = {"csf": csf - gray + ventricle, "gray": gray - white, "white": white - ventricle}
    return pack(fractions, np.diag([-2.0, -2.0, 2.0, 1.0]), sharpness=2.0, roughness=0.5, source="test")


@pytest.fixture(scope="module")
def subject(maps):
    return simulate_subject(maps, seed=0, index=0, spacing=2.0)


def inside(maps, subject, tissue):
    """Return voxels that hold one tissue for any deformation, by their distance from the center."""
    grid = np.indices(subject.volumes["t1"].shape)
    radius = np.sqrt(((grid - np.reshape(subject.volumes["t1"].shape, (3, 1, 1, 1)) / 2 + 0.5) ** 2).sum(axis=0))
    return {"csf": radius < 2, "white": (radius > 9) & (radius < 10)}[tissue]


def test_a_subject_has_the_four_modalities_on_one_grid(subject):
    assert list(subject.volumes) == ["t1", "t2", "pd", "flair"]
    for volume in subject.volumes.values():
        assert volume.shape == subject.volumes["t1"].shape
        assert volume.dtype == np.float32
        assert volume.min() == 0.0
        assert np.isfinite(volume).all()


def test_white_matter_and_csf_have_the_contrast_of_each_modality(maps, subject):
    mean = {m: [v[inside(maps, subject, t)].mean() for t in ("white", "csf")] for m, v in subject.volumes.items()}
    assert mean["t1"][0] > 1.3 * mean["t1"][1]
    assert mean["t2"][1] > 1.5 * mean["t2"][0]
    assert mean["flair"][0] > 3 * mean["flair"][1]


def test_the_same_seed_and_index_give_the_same_subject(maps, subject):
    again = simulate_subject(maps, seed=0, index=0, spacing=2.0)
    for modality, volume in subject.volumes.items():
        np.testing.assert_array_equal(again.volumes[modality], volume)


@pytest.mark.parametrize(("seed", "index"), [(0, 1), (1, 0)])
def test_another_seed_or_index_gives_another_subject(maps, subject, seed, index):
    other = simulate_subject(maps, seed=seed, index=index, spacing=2.0)
    outline = (other.volumes["t1"] > 0) != (subject.volumes["t1"] > 0)
    assert outline.mean() > 0.005


def test_noise_and_lesions_do_not_change_the_anatomy(maps, subject):
    other = simulate_subject(maps, seed=0, index=0, spacing=2.0, noise=0.0, lesions=5)
    np.testing.assert_array_equal(other.volumes["t1"] > 0, subject.volumes["t1"] > 0)


def test_lesions_show_on_flair(maps):
    brightest = [
        max(
            np.percentile(
                simulate_subject(maps, seed=0, index=i, spacing=2.0, lesions=n, noise=0.0).volumes["flair"], 99.9
            )
            for i in range(3)
        )
        for n in (0, 40)
    ]
    assert brightest[1] > 1.15 * brightest[0]


@pytest.mark.parametrize("spacing", [1.5, 2.0, 3.0, 5.0])
def test_the_grid_covers_the_maps_around_their_center_with_cubic_voxels(maps, spacing):
    shape, affine = output_grid(maps, spacing)
    np.testing.assert_allclose(np.abs(np.diag(affine)[:3]), spacing)
    center = affine @ (*(np.array(shape[::-1]) - 1) / 2, 1)
    expected = maps.affine @ (*(np.array(maps.fractions.shape[:0:-1]) - 1) / 2, 1)
    np.testing.assert_allclose(center, expected)
    extent, covered = np.array(maps.fractions.shape[1:]) * 2.0, np.array(shape) * spacing
    assert ((covered >= extent - 1e-6) & (covered < extent + spacing)).all()


@pytest.mark.parametrize("spacing", [0.0, -1.0, 500.0, float("nan")])
def test_an_impossible_spacing_is_an_error_with_the_limits(maps, spacing):
    with pytest.raises(ValueError, match=f"spacing is {spacing} mm; .*above 0 and at most"):
        output_grid(maps, spacing)


@pytest.mark.parametrize("field", ["seed", "index", "lesions", "noise"])
def test_a_negative_option_is_an_error_that_names_it(maps, field):
    with pytest.raises(ValueError, match=f"{field} is -1; .* at least 0"):
        simulate_subject(maps, **{"seed": 0, "index": 0, field: -1})


def test_deformation_changes_volumes_by_little_at_any_spacing(maps):
    for spacing in (2.0, 4.0):
        fractions, _ = deform(maps, spacing=spacing, rng=np.random.default_rng(3))
        liters = fractions["white"].sum(dtype=float) * spacing**3
        expected = maps.fractions[maps.tissues.index("white")].sum(dtype=float) / 255 * 8.0
        assert 0.7 < liters / expected < 1.4


def test_sharpened_fractions_add_up_to_one_and_are_purer(maps):
    blurred, _ = deform(maps, spacing=4.0, rng=np.random.default_rng(0))
    sharp = sharpen(blurred, maps, spacing=4.0, rng=np.random.default_rng(0))
    np.testing.assert_allclose(sum(sharp.values()), 1.0, atol=1e-5)
    assert sum((f**2).mean() for f in sharp.values()) > sum((f**2).mean() for f in blurred.values())


def test_without_noise_a_pure_tissues_signal_is_the_equations(maps):
    ones, zeros = np.ones((8, 8, 8), np.float32), np.zeros((8, 8, 8), np.float32)
    means = []
    for seed in range(30):
        volumes = scan(
            {"background": zeros, "gray": ones},
            {"t2": STANDARD["t2"]},
            TISSUES,
            spacing=1.0,
            noise=0.0,
            stripped=True,
            tissue_rng=np.random.default_rng(seed),
            scan_rng=np.random.default_rng(seed),
        )
        means.append(volumes["t2"].mean())
    assert np.mean(means) == pytest.approx(SCANNER_UNIT * STANDARD["t2"].signal(TISSUES["gray"]), rel=0.1)


@pytest.fixture(scope="module")
def head():
    """Return a ball of white matter in fat, with muscle around it."""
    white, fat, muscle = ball(10), ball(14), ball(18)
    fractions = {"white": white, "fat": fat - white, "muscle": muscle - fat}
    return pack(fractions, np.diag([-2.0, -2.0, 2.0, 1.0]), sharpness=1.0, roughness=0.0, source="test")


def test_noise_fills_the_air_around_a_head_but_not_around_a_stripped_brain(maps, head):
    assert maps.stripped and not head.stripped
    for own, share in ((maps, 0.0), (head, 1.0)):
        volume = simulate_subject(own, seed=0, index=0, spacing=2.0).volumes["t1"]
        assert (volume[:2, :2] > 0).mean() == pytest.approx(share, abs=0.01)
    silent = simulate_subject(head, seed=0, index=0, spacing=2.0, noise=0.0).volumes["t1"]
    assert silent[:2, :2].max() == 0.0


def test_a_small_tissue_is_sampled_like_a_large_one(head):
    fractions, _ = deform(head, spacing=2.0, rng=np.random.default_rng(1))
    np.testing.assert_allclose(sum(fractions.values()), 1.0, atol=0.01)
    liters = fractions["white"].sum(dtype=float)
    assert 0.7 < liters / (head.fractions[1].sum(dtype=float) / 255) < 1.4


def test_muscle_and_fat_are_exchanged_without_loss(head):
    fractions, _ = deform(head, spacing=2.0, rng=np.random.default_rng(1))
    mixed = mix_soft_tissue(fractions, np.random.default_rng(0), spacing=2.0)
    both = [own["muscle"] + own["fat"] for own in (fractions, mixed)]
    np.testing.assert_allclose(both[0], both[1], atol=1e-5)
    assert mixed["muscle"].min() >= 0 and mixed["fat"].min() >= 0
    assert np.abs(mixed["fat"] - fractions["fat"]).max() > 0.3


def test_a_subject_records_its_field_strength_and_sequences(maps):
    subjects = [simulate_subject(maps, seed=0, index=i, spacing=5.0) for i in range(8)]
    assert {subject.field for subject in subjects} == {1.5, 3.0}
    assert len({subject.sequences["t2"].te for subject in subjects}) == 8
    standard = simulate_subject(maps, seed=0, index=0, spacing=5.0, contrast_spread=0.0)
    assert standard.field == 3.0
    assert {**standard.sequences, "flair": STANDARD["flair"]} == dict(STANDARD)  # FLAIR nulls the CSF of the subject


def test_one_modality_alone_is_the_same_as_among_others(maps, subject):
    alone = simulate_subject(maps, seed=0, index=0, spacing=2.0, modalities=["t2"])
    assert list(alone.volumes) == ["t2"]
    np.testing.assert_array_equal(alone.volumes["t2"], subject.volumes["t2"])


@pytest.mark.parametrize("value", [-0.1, 1.5, "wide", float("nan")])
def test_a_contrast_spread_outside_0_to_1_is_an_error(maps, value):
    with pytest.raises(ValueError, match=f"contrast_spread is {value!r}; .* from 0 to 1"):
        simulate_subject(maps, seed=0, index=0, contrast_spread=value)


@pytest.mark.parametrize("change", [leave_skull, strip_closely])
def test_brain_extraction_keeps_the_sum_of_the_fractions_and_the_parenchyma(maps, change):
    fractions, _ = deform(maps, spacing=2.0, rng=np.random.default_rng(1))
    for seed in range(3):
        changed = change(fractions, np.random.default_rng(seed), spacing=2.0)
        np.testing.assert_allclose(sum(changed.values()), sum(fractions.values()), atol=1e-5)
        np.testing.assert_array_equal(changed["white"], fractions["white"])
        assert min(own.min() for own in changed.values()) >= 0.0


def test_remains_of_the_skull_lie_within_4_mm_of_the_brain(maps):
    fractions, _ = deform(maps, spacing=2.0, rng=np.random.default_rng(1))
    bone = leave_skull(fractions, np.random.default_rng(0), spacing=2.0)["bone"] > 0
    distance = distance_transform_edt(fractions["background"] > 0.5) * 2.0
    assert bone.sum() > 0 and distance[bone].max() <= 4.0


def test_close_stripping_keeps_the_ventricles(maps):
    fractions, _ = deform(maps, spacing=2.0, rng=np.random.default_rng(1))
    middle = tuple(slice(size // 2 - 1, size // 2 + 1) for size in fractions["csf"].shape)
    stripped = strip_closely(fractions, np.random.default_rng(0), spacing=2.0)["csf"]
    assert stripped.sum() < fractions["csf"].sum()
    np.testing.assert_array_equal(stripped[middle], fractions["csf"][middle])
