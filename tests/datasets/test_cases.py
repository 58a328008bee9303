"""Dataset of evaluation cases."""

import logging

import h5py
import numpy as np
import pytest
import torch
from monai.data import DataLoader

from unicoal_components.datasets.case_list import read_cases
from unicoal_components.datasets.cases import CaseDataset, evaluated_indices
from unicoal_components.datasets.hdf5 import read_volume, write_subject
from unicoal_components.slices.slice_profile import thick_volume

MODALITIES = ["t1", "t2", "flair"]
SHAPE = (13, 16, 12)


@pytest.fixture
def data(tmp_path):
    rng = np.random.default_rng(0)
    subjects = []
    for name, held in (("p01", ["t1", "t2", "flair"]), ("p02", ["t1", "t2"])):
        path = tmp_path / f"{name}.h5"
        write_subject(
            path,
            volumes={m: rng.integers(0, 256, SHAPE, dtype=np.uint8) for m in held},
            affine=np.diag([1.0, 1.5, 2.0, 1.0]),
            intensity=dict.fromkeys(held, (0.0, 1.0)),
            sources=dict.fromkeys(held, "made up"),
        )
        subjects.append({"subject": name, "path": str(path)})
    return subjects


def case(source="t1", target="t2", factor=4, **axis):
    return {"source": source, "target": target, "factor": factor, **axis}


def thin_file(folder, shape=SHAPE, **thin_axes):
    """Write a subject whose volumes are truly thin along the given axes."""
    rng = np.random.default_rng(7)
    names = list(thin_axes)
    write_subject(
        folder / "p9.h5",
        volumes={m: rng.integers(0, 256, shape, dtype=np.uint8) for m in names},
        affine=np.diag([1.0, 1.5, 2.0, 1.0]),
        intensity=dict.fromkeys(names, (0.0, 1.0)),
        sources=dict.fromkeys(names, "made up"),
        thin_axes=thin_axes,
    )
    return [{"subject": "p9", "path": str(folder / "p9.h5")}]


def dataset(data, cases, **options):
    return CaseDataset(data=data, modalities=MODALITIES, cases=cases, **options)


def test_there_is_one_item_for_each_subject_and_case(data):
    items = list(dataset(data, [case(), case("t1", "t1", 2)]))
    assert [(i["subject"], i["source"], i["target"], float(i["factor"])) for i in items] == [
        ("p01", "t1", "t2", 4),
        ("p01", "t1", "t1", 2),
        ("p02", "t1", "t2", 4),
        ("p02", "t1", "t1", 2),
    ]


@pytest.mark.parametrize("profile", ["gaussian", "drop"])
@pytest.mark.parametrize("factor", [1, 2.5, 4])
def test_an_item_is_the_thick_source_and_the_true_thin_target(data, profile, factor):
    item = dataset(data, [case(factor=factor)], profile=profile)[0]
    thick = thick_volume(read_volume(data[0]["path"], "t1"), factor, profile)
    assert item["image"].shape == (1, int(12 / factor) + 1, 16, 12)
    np.testing.assert_array_equal(item["image"][0], thick)
    np.testing.assert_array_equal(item["label"][0], read_volume(data[0]["path"], "t2"))
    assert item["image"].dtype == item["label"].dtype == item["factor"].dtype == torch.float32
    assert (item["modality"], item["source_modality"]) == (1, 0)
    assert item["indices"].tolist() == list(range(13))
    assert item["spacing"].tolist() == [2.0, 1.5, 1.0]


@pytest.mark.parametrize(("plane", "axis", "mm"), [("axial", 0, 2.0), ("coronal", 1, 1.5), ("sagittal", 2, 1.0)])
@pytest.mark.parametrize("gap", [0.0, 0.5])
def test_slices_lie_along_the_axis_of_the_case(tmp_path, plane, axis, mm, gap):
    data = thin_file(tmp_path, t1=(0, 1, 2), t2=(0, 1, 2))
    item = dataset(data, [case(factor=2.5, axis=plane)], slice_gap=gap)[0]
    source, target = (np.moveaxis(read_volume(data[0]["path"], name), axis, 0) for name in ("t1", "t2"))
    thick = thick_volume(source, 2.5, "gaussian", thickness=2.5 - gap / mm)
    np.testing.assert_array_equal(item["image"][0], thick)
    np.testing.assert_array_equal(item["label"][0], target)
    assert item["axis"] == plane
    assert item["spacing"].tolist() == [mm, *np.delete([2.0, 1.5, 1.0], axis)]
    assert item["indices"].tolist() == list(range(SHAPE[axis]))
    assert item["thickness"].dtype == torch.float32
    assert float(item["thickness"]) == pytest.approx(1 - gap / mm / 2.5)


def test_slices_touch_at_a_factor_of_1(data):
    assert float(dataset(data, [case(factor=1)], slice_gap=1.0)[0]["thickness"]) == 1


@pytest.mark.parametrize("axis", ["coronal", "thin"])
@pytest.mark.parametrize("wrong", ["t1", "t2"])
def test_an_interpolated_axis_of_source_or_target_is_refused(tmp_path, wrong, axis):
    thin = {"t1": (0, 1, 2), "t2": (0, 1, 2)} | {wrong: () if axis == "thin" else (0, 2)}
    data = thin_file(tmp_path, **thin)
    with pytest.raises(
        ValueError, match=rf"p9\.h5\) is not truly thin.*{wrong} (axial, sagittal|along none).*--thin_axes"
    ):
        dataset(data, [case(axis=axis)])
    kept = dataset(data, [case(axis=axis), case(factor=1, axis=axis)], skip_missing=True)
    assert [one.factor for _, one in kept.items] == [1]
    assert "1 of 2 cases left out for 'p9', which is not truly thin" in kept.left_out[0]


def test_every_thin_axis_of_both_volumes_is_a_case_of_its_own(tmp_path):
    data = thin_file(tmp_path, t1=(1, 2), t2=(0, 1, 2), flair=())
    made = dataset(data, [case(factor=f, axis="thin") for f in (1, 2)] + [case("t2", "t2", 2, axis="thin")])
    assert [(one.target, one.factor, one.axis) for _, one in made.items] == [
        ("t2", 1, "axial"),
        ("t2", 2, "coronal"),
        ("t2", 2, "sagittal"),
        ("t2", 2, "axial"),
        ("t2", 2, "coronal"),
        ("t2", 2, "sagittal"),
    ]


def test_a_factor_that_leaves_one_thick_slice_is_refused(tmp_path):
    data = thin_file(tmp_path, t1=(0, 1, 2))
    dataset(data, [case("t1", "t1", 12)])
    message = r"p9\.h5\) has 13 slices along the axial axis, one thick slice at a factor of 12.5\..* at most 12"
    with pytest.raises(ValueError, match=message):
        dataset(data, [case("t1", "t1", 12.5)])
    with pytest.raises(ValueError, match="12 slices along the sagittal axis"):
        dataset(data, [case("t1", "t1", 12, axis="thin")])


@pytest.mark.parametrize(
    ("options", "thickness"), [({"slice_gap": 2.0}, 3), ({"slice_gap": -1.0}, 4.5), ({"slice_thickness": 5.0}, 2.5)]
)
def test_thickness_and_gap_are_in_mm_of_the_file(data, options, thickness):  # with a spacing of 2 mm
    item = dataset(data, [case(factor=4)], profile="box", **options)[0]
    expected = thick_volume(read_volume(data[0]["path"], "t1"), 4, "box", thickness=thickness)
    np.testing.assert_array_equal(item["image"][0], expected)


def test_a_gap_that_leaves_nothing_is_refused_before_anything_is_read(data):
    with pytest.raises(ValueError, match="slice_gap is 8 mm.*p01.h5.*4 x 2 mm = 8 mm apart"):
        dataset(data, [case(factor=4)], slice_gap=8)


def test_fewer_slices_are_evaluated_with_a_slice_step(data):
    item = dataset(data, [case()], slice_step=4)[0]
    assert item["indices"].tolist() == [0, 5, 10]
    np.testing.assert_array_equal(item["label"][0], read_volume(data[0]["path"], "t2")[[0, 5, 10]])
    assert item["image"].shape[1] == 4
    assert item["spacing"][0] == 10


@pytest.mark.parametrize("factor", [1, 2, 2.5, 4, 6, 10 / 3])
@pytest.mark.parametrize("step", [1, 2, 3, 4, 6])
def test_every_position_between_thick_slices_is_evaluated(factor, step):
    positions = {round(b / factor % 1, 6) % 1 for b in range(240)}
    chosen = evaluated_indices(depth=240, factor=factor, slice_step=step)
    assert {round(b / factor % 1, 6) % 1 for b in chosen.tolist()} == positions
    assert len(set(chosen.diff().tolist())) == 1
    assert chosen[1] >= step


def test_a_loader_batches_cases_of_different_size(data):
    loader = DataLoader(dataset(data, [case(), case("t2", "t1", 2)]), batch_size=1, num_workers=0)
    batches = list(loader)
    assert [tuple(b["image"].shape) for b in batches[:2]] == [(1, 1, 4, 16, 12), (1, 1, 7, 16, 12)]
    assert batches[0]["modality"].tolist() == [1]
    assert batches[0]["subject"] == ["p01"]


def test_official_files_without_attributes_are_supported(tmp_path):
    with h5py.File(tmp_path / "bare.h5", "w") as file:
        file["T1"] = file["T2"] = np.full((4, 16, 12), 255, np.uint8)
    item = dataset([{"subject": "bare", "path": str(tmp_path / "bare.h5")}], [case(factor=2)])[0]
    assert item["spacing"].tolist() == [1, 1, 1]
    assert torch.all(item["label"] == 1)


def test_a_transform_is_applied(data):
    assert dataset(data, [case()], transform=lambda item: item["subject"])[1] == "p02"


def test_a_missing_modality_is_an_error_that_names_subject_file_and_modality(data):
    with pytest.raises(ValueError, match=r"'p02' \(.*p02.h5\) has no modality flair.*holds t1, t2.*skip_missing"):
        dataset(data, [case(target="flair")])


def test_a_missing_modality_is_logged_by_name_if_skipped(data, caplog):
    with caplog.at_level(logging.WARNING):
        kept = dataset(data, [case(), case(target="flair")], skip_missing=True)
    assert [subject["subject"] for subject, _ in kept.items] == ["p01", "p01", "p02"]
    assert "subject 'p02'" in caplog.text
    assert "flair" in caplog.text


def test_no_supported_pair_is_an_error_even_when_skipping(data):
    with pytest.raises(ValueError, match="nothing to evaluate"):
        dataset(data[1:], [case(target="flair")], skip_missing=True)


@pytest.mark.parametrize(
    ("cases", "message"),
    [
        ([], "cases is empty"),
        ([case(source="t9")], "source 't9' is unknown.*'t1', 't2', 'flair'"),
        ([case(factor=0.5)], "factor is 0.5.*at least 1"),
        ([case(factor="4")], "factor is '4'"),
        ([case(factor=float("nan"))], "factor is nan"),
        ([{"source": "t1", "target": "t2"}], "factor, source, target"),
        ([case() | {"thickness": 4}], "thickness"),
        ([case(), case()], "more than once"),
        ([case(axis="thin"), case(axis="sagittal")], "more than once"),
        ([case(axis="S")], "axis is 'S'.*axial, coronal, sagittal.*thin"),
    ],
)
def test_wrong_cases_are_refused(cases, message):
    with pytest.raises(ValueError, match=message):
        read_cases(cases, modalities=MODALITIES)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"slice_step": 0}, "slice_step is 0"),
        ({"profile": "hat"}, "profile"),
        ({"data": []}, "evaluation_section"),
    ],
)
def test_wrong_options_are_refused(data, options, message):
    with pytest.raises(ValueError, match=message):
        CaseDataset(**{"data": data, "modalities": MODALITIES, "cases": [case()], **options})
