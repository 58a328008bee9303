"""Tests of thin axes on synthetic volumes and on scans whose acquisition is known."""

import math
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import zoom

from unicoal_components.preparation.subject import scale_intensity
from unicoal_components.preparation.thin_axes import (
    ThinAxes,
    axis_detail,
    check_usable,
    describe_detail,
    find_thin_axes,
    thin_axes_of,
)
from unicoal_components.scans.scan import read_scan

DATA = Path(__file__).parents[2] / ".." / "shared" / "data"
SHAPE = (48, 56, 64)
ALL = (0, 1, 2)


def anatomy(seed=0, exponent=2.0, shape=SHAPE):
    """Return a positive volume whose amplitude falls as a power of the frequency, as that of anatomy does."""
    noise = np.fft.rfftn(np.random.default_rng(seed).standard_normal(shape))
    squares = [np.square(np.fft.fftfreq(size) * 2) for size in shape[:2]] + [np.square(np.fft.rfftfreq(shape[2]) * 2)]
    radius = np.sqrt(squares[0][:, None, None] + squares[1][:, None] + squares[2])
    volume = np.fft.irfftn(noise / np.maximum(radius, 0.05) ** exponent, shape)
    return (500 + 100 * volume / volume.std()).clip(150).astype(np.float32)


def interpolated(volume, axis, factor=3):
    """Return a volume acquired with slices of `factor` voxels and interpolated by cubic splines."""
    moved = np.moveaxis(volume, axis, 0)
    thick = moved[: len(moved) // factor * factor].reshape(-1, factor, *moved.shape[1:]).mean(axis=1)
    return np.moveaxis(zoom(thick, (factor, 1, 1), order=3), 0, axis)


def zero_filled(volume, axis, kept):
    """Return a volume of which only the central part of k-space was acquired."""
    spectrum = np.moveaxis(np.fft.fftn(volume), axis, 0)
    spectrum[np.abs(np.fft.fftfreq(len(spectrum))) > kept / 2] = 0
    return np.fft.ifftn(np.moveaxis(spectrum, 0, axis)).real


@pytest.mark.parametrize("noise", [0, 10, 30])
def test_a_volume_with_detail_along_all_axes_is_thin_along_all_with_and_without_noise(noise):
    volume = anatomy() + noise * np.random.default_rng(1).standard_normal(SHAPE)
    assert thin_axes_of(axis_detail(volume)) == ALL


@pytest.mark.parametrize("axis", ALL)
@pytest.mark.parametrize("noise", [0, 20])
def test_an_interpolated_axis_is_found_and_no_other(axis, noise):
    noisy = anatomy() + noise * np.random.default_rng(1).standard_normal(SHAPE)
    others = tuple(other for other in ALL if other != axis)
    for volume in (interpolated(noisy, axis), zero_filled(noisy, axis, 0.5)):
        assert thin_axes_of(axis_detail(volume)) == others


def test_a_background_of_zeros_and_its_sharp_edge_do_not_matter():
    volume = interpolated(anatomy(), 0)
    cut = volume.copy()
    cut[:, :20] = cut[30:] = 0
    np.testing.assert_allclose(axis_detail(cut), axis_detail(volume), rtol=0.35)
    assert thin_axes_of(axis_detail(cut)) == (1, 2)


def test_noise_in_air_does_not_count():
    volume = interpolated(anatomy(), 0)
    air = np.abs(np.random.default_rng(1).normal(0, 8, (48, 56, 128)).astype(np.float32))
    air[..., :64] = volume
    assert thin_axes_of(axis_detail(air)) == (1, 2)


def test_unit_and_orientation_do_not_matter():
    volume = interpolated(anatomy(), 0)
    detail = axis_detail(volume)
    np.testing.assert_allclose(axis_detail(volume * 1024), detail, rtol=1e-3)
    np.testing.assert_allclose(axis_detail(volume.transpose(2, 0, 1)), [detail[2], detail[0], detail[1]], rtol=1e-3)


def test_white_noise_has_a_ratio_of_one():
    noise = 500 + np.random.default_rng(0).standard_normal((64, 64, 64))
    np.testing.assert_allclose(axis_detail(noise), 1, atol=0.05)


def test_a_volume_too_small_to_measure_is_assumed_thin_along_its_first_axis():
    for volume in (np.zeros((20, 20, 20)), anatomy()[:10, :10, :10]):
        detail = axis_detail(volume)
        assert all(map(math.isnan, detail))
        assert thin_axes_of(detail) == (0,)
    few = axis_detail(anatomy()[:12])
    assert thin_axes_of(few) == (1, 2)
    assert describe_detail(few).startswith("axial unknown, coronal 0.")


def test_named_planes_are_kept_with_a_warning_if_the_spectrum_looks_interpolated():
    volume = interpolated(anatomy(), 0)
    found = find_thin_axes(volume)
    assert (found.axes, found.named, found.warnings) == ((1, 2), False, ())
    named = find_thin_axes(volume, ["sagittal", "axial"])
    assert (named.axes, named.named) == ((0, 2), True)
    assert "truly thin: axial," in named.warnings[0]
    assert find_thin_axes(volume, ["coronal"]).warnings == find_thin_axes(volume, []).warnings == ()
    assert named.record()["planes"] == ["axial", "sagittal"]
    assert named.record()["by"] == "name"


def test_an_only_volume_without_a_thin_axis_is_an_error_unless_named():
    blurred = find_thin_axes(interpolated(interpolated(interpolated(anatomy(), 0), 1), 2))
    assert blurred.axes == ()
    with pytest.raises(ValueError, match=r"p\.nii' is truly thin along no axis.*axial 0\.0.*--thin_axes axial"):
        check_usable(blurred, "p.nii", modalities=1)
    check_usable(blurred, "p.nii", modalities=2)
    check_usable(ThinAxes((), blurred.detail, named=True), "p.nii", modalities=1)


KNOWN = {
    "real_thin/ds000011_sub-08_T1w": ALL,
    "real_thin/ds002748_sub-02_T1w": (1, 2),
    "real_thin/mne_misc_seeg_brain": ALL,
    "real_thin/nlb_bitmap_T1": ALL,
    "real_thin/nlb_M2307_T2": ALL,
    "real_thin/osprey_sub-02_T1w_stripped": ALL,
    "cstar_stroke/T1": ALL,
    "cstar_stroke/T2": ALL,
    "cstar_stroke/FLAIR": ALL,
    "lesjak_ms_mni/p07_FLAIR": ALL,
    "lesjak_ms_mni/p07_T1": (1, 2),
    "lesjak_ms_mni/p07_T2": (1, 2),
    "lesjak_ms_mni/p26_T1": (1, 2),
    "lesjak_ms_mni/p26_T2": (1, 2),
    "lesjak_ms_mni/p26_FLAIR": ALL,
    "tcga_lgg/TCGA-DU-7294/bratsspace_T1": (1, 2),
    "tcga_lgg/TCGA-DU-7294/bratsspace_FLAIR": (1, 2),
    "tcga_lgg/TCGA-DU-7294/native_T1": (0,),  # 5 mm as acquired; in plane interpolated to 0.47 mm
}


@pytest.mark.parametrize("name", KNOWN)
def test_scans_whose_acquisition_is_known_are_classified(name):
    path = DATA / f"{name}.nii.gz"
    if not path.is_file():
        pytest.skip(f"'{path}' does not exist")
    volume, _ = scale_intensity(read_scan(path))
    assert thin_axes_of(axis_detail(volume)) == KNOWN[name]
