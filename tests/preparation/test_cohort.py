import csv
import re
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from monai.transforms import ScaleIntensityRangePercentiles

from unicoal_components.datasets.datalist import read_datalist, read_modalities
from unicoal_components.datasets.hdf5 import read_header, read_history, read_volume, write_subject
from unicoal_components.preparation.cohort import prepare_cohort
from unicoal_components.preparation.common_grid import check_common_grid
from unicoal_components.preparation.options import PreparationSteps
from unicoal_components.preparation.subject import prepare_subject, scale_intensity
from unicoal_components.preparation.subject_files import SubjectFiles
from unicoal_components.scans.scan import Scan

AFFINE = np.diag([1.0, 1.0, 2.0, 1.0])


def brain(seed=0, shape=(8, 9, 7)):
    array = np.zeros(shape, np.float32)
    array[1:-1, 2:-1, 1:-2] = np.random.default_rng(seed).uniform(5, 500, array[1:-1, 2:-1, 1:-2].shape)
    return array


def save(folder, subject, section=None, affine=AFFINE, **arrays):
    folder.mkdir(exist_ok=True)
    files = {}
    for name, array in arrays.items():
        files[name] = folder / f"{subject}_{name}.nii.gz"
        nib.save(nib.Nifti1Image(array, affine), files[name])
    return SubjectFiles(subject, files, section)


def cohort(folder, total=3, section=None):
    return [save(folder, f"p{n}", section, t1=brain(n), t2=brain(n + 50)) for n in range(total)]


def scan(stack, affine=AFFINE, name="t1.nii"):
    return Scan(Path(name), np.asarray(stack, np.float32), np.asarray(affine, float))


def test_intensities_between_the_percentiles_of_non_zero_voxels_become_0_to_255():
    stack = brain()
    scaled, (low, high) = scale_intensity(scan(stack))
    inside = stack[stack != 0]
    assert (low, high) == pytest.approx(tuple(np.percentile(inside, (0.5, 99.5))), rel=1e-6)
    expected = ScaleIntensityRangePercentiles(0.5, 99.5, 0, 255, clip=True)(inside).numpy()
    np.testing.assert_allclose(scaled[stack != 0], expected, atol=0.5001)
    assert scaled.dtype == np.uint8
    assert (scaled[stack == 0] == 0).all()


def test_background_stays_0_when_the_low_percentile_is_negative():
    stack = brain() - 100 * (brain() != 0)
    scaled, (low, _) = scale_intensity(scan(stack))
    assert low < 0
    assert (scaled[stack == 0] == 0).all()


def test_scaling_does_not_see_a_change_of_unit():
    stack = brain()
    np.testing.assert_array_equal(scale_intensity(scan(stack))[0], scale_intensity(scan(stack * 1024))[0])


def test_nan_is_background_on_request_and_recorded(tmp_path):
    item, zeros = (save(tmp_path / name, "p0", t1=brain()) for name in ("nan", "zero"))
    with_nan = brain()
    with_nan[with_nan == 0] = np.nan
    nib.save(nib.Nifti1Image(with_nan, AFFINE), item.files["t1"])
    with pytest.raises(ValueError, match=r"p0_t1\.nii\.gz.*NaN.*--nan_background"):
        prepare_subject(item, tmp_path / "p0.h5", modalities=["t1"])
    prepare_subject(item, tmp_path / "p0.h5", modalities=["t1"], steps=PreparationSteps(nan_background=True))
    prepare_subject(zeros, tmp_path / "zero.h5", modalities=["t1"])
    np.testing.assert_array_equal(read_volume(tmp_path / "p0.h5", "t1"), read_volume(tmp_path / "zero.h5", "t1"))
    history = read_history(tmp_path / "p0.h5")
    assert history["recipe"]["options"] == {"nan_background": True}
    assert "NaN" in history["modalities"]["t1"]["warnings"][0]


def test_a_nearly_constant_scan_is_named():
    stack = np.ones((10, 10, 10))
    stack[0, 0, 0] = 5
    with pytest.raises(ValueError, match=r"t1\.nii.*nearly constant.*mask"):
        scale_intensity(scan(stack))


def test_grids_within_a_thousandth_of_the_spacing_are_common():
    moved = AFFINE.copy()
    moved[0, 3] += 0.9e-3
    check_common_grid([scan(brain()), scan(brain(1), moved)])


@pytest.mark.parametrize(
    ("stack", "affine"),
    [
        (brain(), AFFINE + np.eye(4)[:, [3, 3, 3, 0]] * [[0], [0], [0], [0]] + 1.1e-3 * np.eye(4, k=3)),
        (brain(), AFFINE @ np.diag([1.01, 1, 1, 1])),
        (brain(shape=(8, 9, 8)), AFFINE),
    ],
)
def test_different_grids_name_both_files_and_the_remedy(stack, affine):
    with pytest.raises(ValueError, match=r"'t1\.nii' and 't2\.nii' .*on different grids.*--register_to"):
        check_common_grid([scan(brain()), scan(stack, affine, "t2.nii")])


def test_a_subject_is_written_with_its_grid_limits_and_sources(tmp_path):
    array = brain()
    path = tmp_path / "p1.h5"
    prepare_subject(save(tmp_path, "p1", t1=array, t2=brain(1)), path, modalities=["t1", "t2"])
    header = read_header(path)
    assert header.shape == (7, 9, 8)
    assert header.spacing == (2.0, 1.0, 1.0)
    assert nib.aff2axcodes(header.affine) == ("L", "P", "S")
    low, high = header.intensity["t1"]
    back = (read_volume(path, "t1") + 1) / 2 * (high - low) + low
    expected = np.clip(array[::-1, ::-1].transpose(2, 1, 0), low, high)
    np.testing.assert_allclose(back, expected, atol=(high - low) / 255)


def test_scans_of_one_grid_in_different_orientations_are_common(tmp_path):
    array = brain()
    item = save(tmp_path, "p1", t1=array)
    flipped = tmp_path / "flipped.nii.gz"
    affine = AFFINE @ np.array([[-1, 0, 0, 7], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    nib.save(nib.Nifti1Image(array[::-1], affine), flipped)
    item = SubjectFiles("p1", {**item.files, "t2": flipped})
    prepare_subject(item, tmp_path / "p1.h5", modalities=["t1", "t2"])
    np.testing.assert_array_equal(read_volume(tmp_path / "p1.h5", "t1"), read_volume(tmp_path / "p1.h5", "t2"))


def test_a_missing_modality_is_an_error_unless_allowed(tmp_path):
    item = save(tmp_path, "p1", t1=brain())
    with pytest.raises(ValueError, match=r"'p1' has no file for \['t2'\].*--allow_missing"):
        prepare_subject(item, tmp_path / "p1.h5", modalities=["t1", "t2"])
    prepare_subject(item, tmp_path / "p1.h5", modalities=["t1", "t2"], allow_missing=True)
    assert read_header(tmp_path / "p1.h5").modalities == ("t1",)
    with pytest.raises(ValueError, match="'p1' has no file"):
        prepare_subject(item, tmp_path / "p1.h5", modalities=["t2"], allow_missing=True)


def test_a_cohort_is_split_and_listed(tmp_path):
    output = tmp_path / "out"
    report = prepare_cohort(cohort(tmp_path), modalities=["t1", "t2"], output=output)
    assert report.failed == {}
    assert sorted(sum(report.sections.values(), [])) == ["p0", "p1", "p2"]
    assert read_modalities(report.datalist) == ["t1", "t2"]
    for section, subjects in report.sections.items():
        assert [entry["subject"] for entry in read_datalist(report.datalist, section)] == subjects
    assert sorted(path.name for path in output.iterdir()) == [
        "datalist.json",
        "manifest.csv",
        "p0.h5",
        "p1.h5",
        "p2.h5",
    ]


def test_given_sections_are_kept_and_may_be_empty(tmp_path):
    subjects = [*cohort(tmp_path, 2, "training"), save(tmp_path, "p9", "test", t1=brain(9), t2=brain(10))]
    report = prepare_cohort(subjects, modalities=["t1", "t2"], output=tmp_path / "out")
    assert report.sections == {"training": ["p0", "p1"], "validation": [], "test": ["p9"]}


def test_one_failure_is_reported_and_moves_no_other_subject(tmp_path):
    subjects = cohort(tmp_path, 4)
    whole = prepare_cohort(subjects, modalities=["t1", "t2"], output=tmp_path / "whole")
    broken = subjects[1].files["t2"]
    broken.write_bytes(broken.read_bytes()[:200])
    report = prepare_cohort(subjects, modalities=["t1", "t2"], output=tmp_path / "out")
    assert list(report.failed) == ["p1"]
    assert "p1_t2.nii.gz" in report.failed["p1"]
    for section, names in whole.sections.items():
        assert report.sections[section] == [name for name in names if name != "p1"]
    assert not (tmp_path / "out" / "p1.h5").exists()


def test_when_all_fail_the_reasons_are_given_and_no_datalist_is_written(tmp_path):
    subjects = [save(tmp_path, f"p{n}", t1=np.zeros((4, 4, 4), np.float32)) for n in range(5)]
    with pytest.raises(ValueError, match=r"none of the 5 subjects.*manifest\.csv.*p0: scan .*p0_t1.*empty") as error:
        prepare_cohort(subjects, modalities=["t1"], output=tmp_path / "out")
    assert "\n" not in str(error.value)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["manifest.csv"]


def test_the_same_cohort_gives_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        prepare_cohort(cohort(tmp_path), modalities=["t1", "t2"], output=tmp_path / name, seed=7)
    for path in [*(tmp_path / "a").glob("*.h5"), tmp_path / "a" / "datalist.json"]:
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def make_unknown_subject_file(output):
    volume = np.ones((2, 3, 4), np.uint8)
    write_subject(
        output / "p0.h5", volumes={"t1": volume}, affine=AFFINE, intensity={"t1": (0, 1)}, sources={"t1": "simulated"}
    )


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (make_unknown_subject_file, "p0.h5"),
        (lambda output: (output / "p1.h5").write_text("theirs"), "p1.h5"),
        (lambda output: (output / "datalist.json").write_text("{}"), "datalist.json"),
    ],
)
def test_results_without_a_history_are_replaced_with_overwrite_only(tmp_path, make, name):
    (tmp_path / "out").mkdir()
    make(tmp_path / "out")
    before = (tmp_path / "out" / name).read_bytes()
    with pytest.raises(ValueError, match=rf"out/{name}'.*--overwrite"):
        prepare_cohort(cohort(tmp_path), modalities=["t1"], output=tmp_path / "out")
    assert (tmp_path / "out" / name).read_bytes() == before
    report = prepare_cohort(cohort(tmp_path), modalities=["t1"], output=tmp_path / "out", overwrite=True)
    assert len(read_history(tmp_path / "out" / "p0.h5")["modalities"]) == 1
    assert report.failed == {}


def test_an_output_folder_with_other_subjects_is_an_error_and_not_changed(tmp_path):
    output = tmp_path / "out"
    output.mkdir()
    (output / "stranger.h5").write_text("theirs")
    with pytest.raises(ValueError, match=r"out'.* 1 files.*'stranger\.h5'"):
        prepare_cohort(cohort(tmp_path), modalities=["t1", "t2"], output=output, overwrite=True)
    assert [path.name for path in output.iterdir()] == ["stranger.h5"]


def test_an_output_folder_that_cannot_be_written_is_named_before_any_work(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OSError, match="cannot write .*file/out"):
        prepare_cohort(cohort(tmp_path), modalities=["t1", "t2"], output=tmp_path / "file" / "out")


@pytest.mark.parametrize("name", ["", "a/b", "..", ".hidden"])
def test_subject_names_that_cannot_be_file_names_are_errors(tmp_path, name):
    with pytest.raises(ValueError, match=rf"subjects.*file name.*'{re.escape(name)}'"):
        prepare_cohort([SubjectFiles(name, {})], modalities=["t1"], output=tmp_path / "out")


def test_sections_for_some_subjects_only_or_next_to_a_split_are_errors(tmp_path):
    some = [SubjectFiles("a", {}, "test"), SubjectFiles("b", {})]
    with pytest.raises(ValueError, match="1 of 2 subjects.* section"):
        prepare_cohort(some, modalities=["t1"], output=tmp_path / "out")
    with pytest.raises(ValueError, match=r"split is \(1, 0, 0\)"):
        prepare_cohort(some[:1], modalities=["t1"], output=tmp_path / "out", split=(1, 0, 0))


def interpolated(*axes, seed=0, shape=(40, 44, 48)):
    """Return noise with a positive mean, interpolated linearly from every third slice along some axes."""
    array = np.random.default_rng(seed).uniform(300, 700, shape).astype(np.float32)
    for axis in axes:
        positions = np.arange(shape[axis]) / 3
        low = np.floor(positions).astype(int)
        part = (positions - low).reshape([-1 if a == axis else 1 for a in range(3)]).astype(np.float32)
        array = np.take(array, low, axis=axis) * (1 - part) + np.take(array, low + 1, axis=axis) * part
    return array


def test_the_axes_along_which_scans_are_truly_thin_are_measured_and_recorded(tmp_path):
    item = save(tmp_path, "p1", t1=interpolated(2), t2=interpolated(0, 1, 2))  # voxels (x, y, z): S, P, L are z, y, x
    report = prepare_cohort([item], modalities=["t1", "t2"], output=tmp_path / "out", split=(1, 0, 0))
    assert read_header(tmp_path / "out" / "p1.h5").thin_axes == {"t1": (1, 2), "t2": ()}
    known = read_history(tmp_path / "out" / "p1.h5")["modalities"]["t1"]["thin_axes"]
    assert (known["planes"], known["by"]) == (["coronal", "sagittal"], "spectrum")
    assert known["detail"]["axial"] < 0.04 < known["detail"]["coronal"]
    with (tmp_path / "out" / "manifest.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["thin_axes"] for row in rows] == ["coronal sagittal", "none"]
    assert rows[0]["detail"].startswith("axial:0.0")
    assert report.failed == {}


def test_a_scan_without_a_thin_axis_is_an_error_if_it_is_a_subjects_only_one_unless_named(tmp_path):
    item, path = save(tmp_path, "p1", t1=interpolated(0, 1, 2)), tmp_path / "p1.h5"
    with pytest.raises(
        ValueError, match=r"p1_t1\.nii\.gz' is truly thin along no axis.*coronal 0\.0.*--thin_axes axial"
    ):
        prepare_subject(item, path, modalities=["t1"])
    prepare_subject(item, path, modalities=["t1"], steps=PreparationSteps(thin_axes=("axial",)))
    assert read_header(path).thin_axes == {"t1": (0,)}
    assert "spectrum looks interpolated" in read_history(path)["modalities"]["t1"]["warnings"][-1]


def test_voxels_of_any_size_are_kept_as_they_are(tmp_path):
    affine = np.diag([0.8, 1.33, 0.9, 1.0])
    array = interpolated()
    prepare_subject(save(tmp_path, "p1", affine=affine, t1=array), tmp_path / "p1.h5", modalities=["t1"])
    header = read_header(tmp_path / "p1.h5")
    assert header.shape == array.shape[::-1]
    assert header.spacing == pytest.approx((0.9, 1.33, 0.8))
    low, high = header.intensity["t1"]
    back = (read_volume(tmp_path / "p1.h5", "t1") + 1) / 2 * (high - low) + low
    np.testing.assert_allclose(back, np.clip(array[::-1, ::-1].transpose(2, 1, 0), low, high), atol=(high - low) / 255)


def test_modalities_of_different_voxel_spacings_are_an_error_that_names_both(tmp_path):
    item = save(tmp_path, "p1", t1=brain())
    other = save(tmp_path, "p2", affine=np.diag([1.0, 1.0, 1.5, 1.0]), t2=brain(1))
    with pytest.raises(ValueError, match=r"p1_t1.*p2_t2.*different grids: .*1 x 1 x 2 mm.*1 x 1 x 1\.5 mm"):
        prepare_subject(SubjectFiles("p1", item.files | other.files), tmp_path / "p1.h5", modalities=["t1", "t2"])
