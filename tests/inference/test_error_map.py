"""The expected error of a network: its image next to the output, and its mean in the record."""

import json
import os

import nibabel as nib
import numpy as np
import pytest
import torch

from unicoal_components.geometry.pixel_size import InPlane
from unicoal_components.inference.load_stack import FAINTEST, LoadStackd
from unicoal_components.inference.loaded_scan import LoadedScan
from unicoal_components.inference.save_stack import SaveStackd
from unicoal_components.inference.task import SetTaskd
from unicoal_components.inference.volume_inferer import VolumeInferer
from unicoal_components.scans.dicom.series import choose_series
from unicoal_components.scans.dicom.volume import read_series

NAMES = ["t1", "t2"]
RANGE = (0.0, 4000.0)
AFFINE = np.array([[-1.0, 0, 0, 9], [0, 1.0, 0.1, -7], [0, 0, 4.0, 3], [0, 0, 0, 1]])


class Doubtful:
    """Linear between the two middle slices; expects an error of 0.1 + 0.05 times its output."""

    def __init__(self):
        self.conditions = []

    def __call__(self, groups, *, position, with_error=False, **conditions):
        self.conditions.append(
            {name: conditions[name][0].item() for name in ("source_modality", "factor", "thickness")}
        )
        weight = position[:, None, None, None]
        output = (1 - weight) * groups[:, 1:2] + weight * groups[:, 2:3]
        return torch.cat([output, 0.1 + 0.05 * output], dim=1) if with_error else output


def run(path, output_dir, *, target="t1", num_samples=1, pixel=None, network=None, factor=2.0, **options):
    """Synthesize with an error map; return the loaded scan."""
    task = SetTaskd(modalities=NAMES, source_modality="t1", target_modality=target, factor=factor)
    item = task(LoadStackd(in_plane_spacing=pixel)({"image": str(path)}))
    inferer = VolumeInferer(resolution=32, batch_size=16, num_samples=num_samples, z_dim=4, with_error=True)
    conditions = {name: torch.tensor([item[name]]) for name in ("modality", "source_modality", "factor", "thickness")}
    pred = inferer(item["image"][None], network or Doubtful(), **conditions)[0]
    options = {"with_error": True, "error_map": True, "synthesis_range": RANGE} | options
    SaveStackd(output_dir=output_dir, modalities=NAMES, **options)({**item, "pred": pred})
    return LoadedScan.from_item(item)


def scan(path, shape=(12, 10, 5), affine=AFFINE):
    """A stripped scan: 0 in two rows on each side, noise inside."""
    volume = np.zeros(shape, np.int16)
    volume[2:-2, 2:-2] = np.random.default_rng(0).integers(50, 900, volume[2:-2, 2:-2].shape)
    nib.save(nib.Nifti1Image(volume, affine), path)
    return volume


def expected(volume, source, scale):
    """The error of `Doubtful` at factor 2 in the units of the output, up to the last thick slice; 0 outside."""
    unit = np.maximum(2 * np.clip((volume - source.low) / (source.high - source.low), 0, 1) - 1, FAINTEST)
    unit[volume == 0] = -1
    thin = np.stack([unit[..., :-1], (unit[..., :-1] + unit[..., 1:]) / 2], axis=-1).reshape(*unit.shape[:2], -1)
    thin = np.concatenate([thin, unit[..., -1:]], axis=-1)
    error = (0.1 + 0.05 * thin) * (scale[1] - scale[0]) / 2
    error[volume[..., 0] == 0] = 0  # the background is the same in all slices
    return error


@pytest.mark.parametrize("target", NAMES)
def test_the_written_error_is_the_network_s_in_the_units_of_the_image(tmp_path, target):
    volume = scan(tmp_path / "a.nii.gz")
    source = run(tmp_path / "a.nii.gz", tmp_path / "out", target=target)
    image, error = (nib.load(tmp_path / "out" / f"a_{target}{suffix}.nii.gz") for suffix in ("", "_error"))
    scale = (source.low, source.high) if target == "t1" else RANGE
    assert error.shape == image.shape == (12, 10, 10) and error.get_data_dtype() == np.float32
    np.testing.assert_array_equal(error.affine, image.affine)
    want = expected(volume, source, scale)
    np.testing.assert_allclose(error.get_fdata()[..., :9], want, rtol=1e-5, atol=1e-4)
    assert (
        error.header["descrip"].item().decode() == f"UniCOAL: expected error of synthesized {target} from t1, factor 2"
    )


@pytest.mark.parametrize("target", NAMES)
def test_the_written_series_of_the_error_is_the_network_s(tmp_path, dicom_series, target):
    folder = dicom_series(5)
    source = run(folder, tmp_path / "out", target=target)
    stem = f"{folder.name}_{target}"
    made, image = (read_series(choose_series(tmp_path / "out" / f"{stem}{suffix}")) for suffix in ("_error", ""))
    mapping = made.source[0].RealWorldValueMappingSequence[0]
    values = made.voxels * mapping.RealWorldValueSlope + mapping.RealWorldValueIntercept
    original = read_series(choose_series(folder)).voxels
    scale = (source.low, source.high) if target == "t1" else RANGE
    unit = np.maximum(2 * np.clip((original - source.low) / (source.high - source.low), 0, 1) - 1, FAINTEST)
    unit[original == 0] = -1
    want = (0.1 + 0.05 * unit) * (scale[1] - scale[0]) / 2
    want[original == 0] = 0
    assert values[..., ::2].shape == want.shape
    assert np.abs(values[..., ::2] - want).max() <= mapping.RealWorldValueSlope / 2 + 1e-3
    np.testing.assert_allclose(made.affine, image.affine, atol=1e-6)
    words = made.source[0].SeriesDescription
    assert words.startswith(f"Expected error of {target} synthesized") and words.endswith("NOT FOR DIAGNOSIS")
    assert made.source[0].SeriesInstanceUID != image.source[0].SeriesInstanceUID


def test_image_deviation_and_error_are_three_series_of_one_study(tmp_path, dicom_series):
    run(dicom_series(4), tmp_path / "out", num_samples=2)
    folders = [path for path in (tmp_path / "out").iterdir() if path.is_dir()]
    headers = [read_series(choose_series(folder)).source[0] for folder in folders]
    assert len({header.SeriesNumber for header in headers}) == len(folders) == 3
    assert len({header.StudyInstanceUID for header in headers}) == 1


def test_samples_have_a_deviation_and_an_error(tmp_path):
    scan(tmp_path / "a.nii.gz")
    run(tmp_path / "a.nii.gz", tmp_path / "out", num_samples=3)
    record = json.loads((tmp_path / "out" / "a_t1.json").read_text())
    assert record["outputs"] == {
        "image": "a_t1.nii.gz",
        "standard_deviation": "a_t1_std.nii.gz",
        "expected_error": "a_t1_error.nii.gz",
    }
    deviation, error = (nib.load(tmp_path / "out" / f"a_t1{name}.nii.gz").get_fdata() for name in ("_std", "_error"))
    assert deviation.max() == 0 and error.max() > 0  # the network ignores the latent code


def test_the_error_goes_back_to_the_scan_s_pixels(tmp_path):
    """A linear error over network pixels of 1 mm is linear over the scan's of 0.5 mm, in its units."""
    nib.save(nib.Nifti1Image(np.full((40, 30, 4), 5.0) + np.arange(4), np.diag([0.5, 0.5, 5, 1])), tmp_path / "a.nii")
    task = SetTaskd(modalities=NAMES, source_modality="t1", target_modality="t2", factor=1.0)
    item = task(LoadStackd(in_plane_spacing=1.0)({"image": str(tmp_path / "a.nii")}))
    error = torch.linspace(0.1, 0.3, 20).expand(4, 15, 20)  # stack columns run from right to left
    pred = torch.stack([item["image"][0], error])
    save = SaveStackd(output_dir=tmp_path, modalities=NAMES, with_error=True, error_map=True, synthesis_range=RANGE)
    save({**item, "pred": pred})
    got = nib.load(tmp_path / "a_t2_error.nii.gz").get_fdata()
    assert got.shape == (40, 30, 4)
    resampled = InPlane((30, 40), (0.5, 0.5), 1.0).to_scan(error[0].numpy())  # H, W
    np.testing.assert_allclose(got, np.repeat(resampled.T[::-1, ::-1, None], 4, axis=2) * 2000, rtol=1e-5)
    inner = got[10:-10, 15, 2]
    assert np.diff(inner) == pytest.approx(np.full(19, -0.2 / 19 / 2 * 2000), rel=1e-3)


def test_without_a_map_the_record_still_has_the_mean_error_inside_the_head(tmp_path):
    rng = np.random.default_rng(0)
    head = np.zeros((24, 20, 5), bool)
    head[4:-4, 4:-4] = True
    volume = np.where(head, rng.integers(400, 900, head.shape), rng.integers(1, 20, head.shape)).astype(np.int16)
    nib.save(nib.Nifti1Image(volume, AFFINE), tmp_path / "a.nii.gz")
    source = run(tmp_path / "a.nii.gz", tmp_path / "out", error_map=False, factor=1.0)
    assert sorted(os.listdir(tmp_path / "out")) == ["a_t1.json", "a_t1.nii.gz"]
    record = json.loads((tmp_path / "out" / "a_t1.json").read_text())["expected_error"]
    unit = np.maximum(2 * np.clip((volume - source.low) / (source.high - source.low), 0, 1) - 1, FAINTEST)
    assert record["part_of_range"] == pytest.approx((0.1 + 0.05 * unit[head]).mean() / 2, rel=1e-5)
    assert record["in_units"] == pytest.approx(record["part_of_range"] * (source.high - source.low))


@pytest.mark.parametrize(
    ("usual", "warned"), [(None, False), ({"same": 0.04}, False), ({"same": 0.03}, True), ({"cross": 0.01}, False)]
)
def test_an_expected_error_far_above_the_training_s_is_a_warning(tmp_path, caplog, usual, warned):
    scan(tmp_path / "a.nii.gz")
    run(tmp_path / "a.nii.gz", tmp_path, training_range={"expected_error": usual}, error_map=False)
    record = json.loads((tmp_path / "a_t1.json").read_text())
    assert 0.045 < record["expected_error"]["part_of_range"] < 0.06
    assert any("the network expects an error of 0.05" in warning for warning in record["warnings"]) == warned
    assert ("the network expects an error of 0.05" in caplog.text) == warned


def test_without_an_error_output_the_record_has_no_error(tmp_path):
    scan(tmp_path / "a.nii.gz")
    item = SetTaskd(modalities=NAMES, source_modality="t1", target_modality="t1")(
        LoadStackd()({"image": str(tmp_path / "a.nii.gz")})
    )
    SaveStackd(output_dir=tmp_path, modalities=NAMES)({**item, "pred": item["image"]})
    assert json.loads((tmp_path / "a_t1.json").read_text())["expected_error"] is None
    with pytest.raises(ValueError, match="has 1 channel; with_error"):
        SaveStackd(output_dir=tmp_path, modalities=NAMES, with_error=True)({**item, "pred": item["image"]})


def test_a_map_without_an_error_output_is_refused_at_once(tmp_path):
    with pytest.raises(ValueError, match=r"error_map is true.*error_output is false.*error_map to false"):
        SaveStackd(output_dir=tmp_path, modalities=NAMES, error_map=True)


def test_an_earlier_map_does_not_stay_next_to_a_new_image(tmp_path):
    scan(tmp_path / "a.nii.gz")
    run(tmp_path / "a.nii.gz", tmp_path / "out")
    run(tmp_path / "a.nii.gz", tmp_path / "out", error_map=False)
    assert sorted(os.listdir(tmp_path / "out")) == ["a_t1.json", "a_t1.nii.gz"]


@pytest.mark.parametrize(("thickness", "relative"), [(3.6, 0.9), (5.0, 1.25), ("", 1.0)])
def test_the_thickness_of_a_dicom_header_reaches_the_network_and_the_record(
    tmp_path, dicom_series, thickness, relative
):
    network = Doubtful()
    folder = dicom_series(5, spacing=4.0, thickness=thickness)
    source = run(folder, tmp_path / "out", network=network, target="t2")
    assert source.slice_thickness == (thickness or None)
    assert network.conditions[0]["thickness"] == pytest.approx(relative, abs=1e-5)
    assert network.conditions[0]["factor"] == 2 and network.conditions[0]["source_modality"] == 0
    task = json.loads((tmp_path / "out" / f"{folder.name}_t2.json").read_text())["task"]
    assert task["slice_thickness"] == (thickness or None)
    assert task["relative_thickness"] == pytest.approx(relative, abs=1e-5)


def test_slices_of_several_thicknesses_have_none(dicom_series):
    def each(index, dataset):
        dataset.SliceThickness = str(3 + index % 2)

    assert read_series(choose_series(dicom_series(4, each=each))).slice_thickness is None
