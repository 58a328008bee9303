import itertools
import os
import tracemalloc
from pathlib import Path

import itk
import nibabel as nib
import numpy as np
import pytest
import torch
from monai.data import DataLoader, Dataset
from monai.engines import SupervisedEvaluator
from monai.transforms import Compose
from scipy.ndimage import map_coordinates

from unicoal_components.inference.load_stack import LoadStackd
from unicoal_components.inference.loaded_scan import NATIVE, LoadedScan
from unicoal_components.inference.save_stack import SaveStackd
from unicoal_components.inference.task import SetTaskd
from unicoal_components.inference.volume_inferer import VolumeInferer
from unicoal_components.scans.image_paths import list_images
from unicoal_components.training.prepare_batch import PrepareVolume

NAMES = ["t1", "t2", "flair"]
DATA = Path(__file__).parents[2] / ".." / "shared" / "data"
ORIENTATIONS = [
    "".join(signs) for order in itertools.permutations(["LR", "PA", "IS"]) for signs in itertools.product(*order)
]
DIRECTIONS = {"R": (1, 0, 0), "L": (-1, 0, 0), "A": (0, 1, 0), "P": (0, -1, 0), "S": (0, 0, 1), "I": (0, 0, -1)}
SLOPE = np.array([1.0, 0.37, -0.61]) / np.sqrt(1 + 0.37**2 + 0.61**2)


class Interpolating(torch.nn.Module):
    """A dummy network: linear between the two middle slices."""

    def forward(self, groups, *, position=None, **conditions):
        weight = position[:, None, None, None]
        return (1 - weight) * groups[:, 1:2] + weight * groups[:, 2:3]


def affine_of(orientation, spacing, tilt):
    angle, axis = np.deg2rad(tilt), np.array([1.0, 2.0, -1.0]) / np.sqrt(6)
    cross = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    rotation = np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
    affine = np.eye(4)
    affine[:3, :3] = rotation @ np.array([DIRECTIONS[code] for code in orientation]).T * np.array(spacing)
    affine[:3, 3] = [13.0, -27.5, 41.25]
    return affine


def world(shape, affine):
    """World position in mm of every voxel, (x, y, z, 3)."""
    grid = np.stack(np.meshgrid(*(np.arange(n) for n in shape), indexing="ij"), axis=-1)
    return grid @ affine[:3, :3].T + affine[:3, 3]


def synthesize(
    path,
    output_dir,
    source="t1",
    target="t1",
    factor=4.0,
    through_plane="auto",
    resolution=16,
    spacing=None,
    pixel=None,
):
    """Load, infer with the dummy network, save; return the file and the loaded scan."""
    load = LoadStackd(through_plane=through_plane, in_plane_spacing=pixel)
    names = {"source_modality": source, "target_modality": target}
    item = SetTaskd(modalities=NAMES, factor=factor, output_spacing=spacing, **names)(load({"image": str(path)}))
    inferer = VolumeInferer(resolution=resolution, batch_size=16)
    with torch.no_grad():
        pred = inferer(
            item["image"][None], Interpolating(), modality=torch.tensor([item["modality"]]), factor=item["factor"]
        )
    SaveStackd(output_dir=output_dir, modalities=NAMES)({**item, "pred": pred[0]})
    return output_dir / f"{path.name.removesuffix('.gz').removesuffix('.nii')}_{target}.nii.gz", LoadedScan.from_item(
        item
    )


def ramp(shape, affine):
    """A linear function of the world position with a slope of 1 per mm, nowhere 0."""
    return world(shape, affine) @ SLOPE + 500


def ramp_file(path, affine, shape=(5, 6, 7)):
    nib.save(nib.Nifti1Image(ramp(shape, affine), affine), path)
    return path


@pytest.mark.parametrize("tilt", [0.0, 25.0])
@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_a_ramp_keeps_its_world_position_in_every_orientation(tmp_path, orientation, tilt):
    affine = affine_of(orientation, (1.0, 1.3, 4.0), tilt)
    path = ramp_file(tmp_path / "ramp.nii", affine)
    image = nib.load(synthesize(path, tmp_path, factor=2.5)[0])
    depth = (nib.affines.apply_affine(np.linalg.inv(affine), world(image.shape, image.affine)))[..., 2]
    inside = (depth > -1e-6) & (depth < 6 + 1e-6)  # between two thick slices
    assert image.shape == (5, 6, 18) and nib.aff2axcodes(image.affine) == tuple(orientation)
    assert inside.mean() > 0.8
    assert np.abs(image.get_fdata() - ramp(image.shape, image.affine))[inside].max() < 1e-3
    np.testing.assert_allclose(nib.affines.voxel_sizes(image.affine), [1.0, 1.3, 1.6], atol=1e-6)


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_a_ramp_keeps_its_world_position_through_pixels_of_another_size(tmp_path, orientation):
    affine = affine_of(orientation, (0.4, 0.7, 5.0), 13.0)
    path = ramp_file(tmp_path / "ramp.nii", affine, shape=(40, 30, 4))
    image = nib.load(synthesize(path, tmp_path, spacing=1.25, pixel=1.0, resolution=32)[0])
    depth = (nib.affines.apply_affine(np.linalg.inv(affine), world(image.shape, image.affine)))[..., 2]
    inside = (depth > -1e-6) & (depth < 3 + 1e-6)
    assert image.shape == (40, 30, 16)
    assert np.abs(image.get_fdata() - ramp(image.shape, image.affine))[inside].max() < 1e-3


@pytest.mark.parametrize("target", ["t1", "t2"])
@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_a_point_keeps_its_position_in_every_orientation(tmp_path, orientation, target):
    affine = affine_of(orientation, (0.5, 0.8, 4.0), 20.0)
    shape = (48, 36, 9)
    mark = nib.affines.apply_affine(affine, [22.3, 17.8, 4.3])
    away = ((world(shape, affine) - mark) ** 2).sum(-1)
    nib.save(nib.Nifti1Image(np.float32(1000 * np.exp(-away / (2 * 4.0**2)) + 1), affine), tmp_path / "mark.nii")
    image = nib.load(
        synthesize(tmp_path / "mark.nii", tmp_path, target=target, spacing=1.0, pixel=1.0, resolution=32)[0]
    )
    values = image.get_fdata()
    places = world(image.shape, image.affine)
    around = np.clip(values / values.max() - 0.4, 0, None) * (((places - mark) ** 2).sum(-1) < 8**2)
    found = (places * around[..., None]).sum((0, 1, 2)) / around.sum()
    assert np.abs(found - mark).max() < 0.1  # linear interpolation at 4 mm; the ramps are exact


@pytest.mark.parametrize("plane", ["axial", "coronal", "sagittal"])
def test_any_plane_can_be_made_thin(tmp_path, plane):
    affine = affine_of("RAS", (1.0, 1.0, 1.0), 10.0)
    output, _ = synthesize(ramp_file(tmp_path / "a.nii", affine), tmp_path, factor=2.0, through_plane=plane)
    axis = {"sagittal": 0, "coronal": 1, "axial": 2}[plane]
    image = nib.load(output)
    assert image.shape == tuple(np.array([5, 6, 7]) * np.where(np.arange(3) == axis, 2, 1))
    assert nib.affines.voxel_sizes(image.affine)[axis] == pytest.approx(0.5)
    difference = np.abs(image.get_fdata() - ramp(image.shape, image.affine))
    assert np.median(difference) < 1e-3


def test_sform_and_qform_agree_and_units_are_mm(tmp_path):
    path = ramp_file(tmp_path / "a.nii.gz", affine_of("LIA", (1.0, 1.3, 4.0), 25.0))
    image = nib.load(synthesize(path, tmp_path / "out")[0])
    (qform, qcode), (sform, scode) = image.get_qform(coded=True), image.get_sform(coded=True)
    assert qcode == scode == 2 and image.header.get_xyzt_units()[0] == "mm"
    np.testing.assert_allclose(qform, sform, atol=1e-5)
    assert image.get_data_dtype() == np.float64  # as the input
    assert image.header["descrip"].item().decode() == "UniCOAL: synthesized t1 from t1, factor 4"


@pytest.mark.parametrize("shear", [0.02, 0.9])
def test_a_sheared_scan_keeps_its_shear_and_itk_opens_it_by_the_nearest_qform(tmp_path, shear):
    affine = affine_of("RAS", (1.0, 1.0, 4.0), 0.0)
    affine[0, 2] = shear
    path = synthesize(ramp_file(tmp_path / "a.nii", affine), tmp_path, factor=2.0)[0]
    image = nib.load(path)
    np.testing.assert_allclose(image.affine[:3, 2], affine[:3, 2] / 2, atol=1e-6)
    qform, code = image.get_qform(coded=True)
    assert code == image.get_sform(coded=True)[1] == 2
    axes = qform[:3, :3] / np.linalg.norm(qform[:3, :3], axis=0)
    np.testing.assert_allclose(axes.T @ axes, np.eye(3), atol=1e-6)
    assert np.abs(axes - image.affine[:3, :3] / np.linalg.norm(image.affine[:3, :3], axis=0)).max() < shear / 4
    opened = itk.imread(str(path))
    np.testing.assert_allclose(list(opened.GetSpacing()), np.linalg.norm(image.affine[:3, :3], axis=0), atol=1e-5)


def test_the_same_modality_comes_back_in_the_units_of_the_input(tmp_path):
    path = ramp_file(tmp_path / "a.nii.gz", affine_of("RAS", (1.0, 1.0, 4.0), 0.0))
    output, source = synthesize(path, tmp_path, factor=1.0)
    assert source.high < nib.load(path).get_fdata().max()  # clipped for the network
    np.testing.assert_allclose(nib.load(output).get_fdata(), nib.load(path).get_fdata(), atol=1e-3)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint16", "int32", "float32", "float64"])
@pytest.mark.parametrize(("slope", "intercept"), [(1.0, 0.0), (0.25, -3.0)])
def test_the_same_modality_comes_back_in_the_data_type_of_the_input(tmp_path, dtype, slope, intercept):
    numbers = np.random.default_rng(0).integers(1, 120, (6, 7, 5)).astype(dtype)
    image = nib.Nifti1Image(numbers, affine_of("RAS", (1.0, 1.0, 4.0), 0.0))
    image.header.set_slope_inter(slope, intercept)
    nib.save(image, tmp_path / "a.nii.gz")
    values = nib.load(tmp_path / "a.nii.gz").get_fdata()
    result = nib.load(synthesize(tmp_path / "a.nii.gz", tmp_path, factor=2.0)[0])
    assert result.get_data_dtype() == np.dtype(dtype)
    assert np.abs(result.get_fdata()[..., ::2] - values).max() < 1e-3
    middle = (values[..., :-1] + values[..., 1:]) / 2
    assert np.abs(result.get_fdata()[..., 1:-1:2] - middle).max() < 1e-3 + (np.dtype(dtype).kind != "f") * slope / 2


def test_fine_pixels_keep_their_detail_if_the_network_has_coarser_ones(tmp_path):
    fine = np.random.default_rng(0).uniform(100, 1000, (32, 24, 4)).astype(np.float32)
    nib.save(nib.Nifti1Image(fine, affine_of("RAS", (0.4, 0.7, 5.0), 0.0)), tmp_path / "fine.nii.gz")
    result = nib.load(synthesize(tmp_path / "fine.nii.gz", tmp_path, factor=2.0, pixel=1.0)[0]).get_fdata()
    np.testing.assert_allclose(result[..., ::2], fine, atol=0.01)


@pytest.mark.parametrize(("source", "target"), [("t1", "t1"), ("t1", "flair")])
def test_the_background_of_a_stripped_scan_stays_zero(tmp_path, source, target):
    volume = np.zeros((5, 6, 7), np.float32)
    volume[1:4, 1:5, 2:5] = np.random.default_rng(0).uniform(300, 1000, (3, 4, 3))
    nib.save(nib.Nifti1Image(volume, affine_of("RAS", (1.0, 1.0, 4.0), 0.0)), tmp_path / "a.nii.gz")
    output, _ = synthesize(tmp_path / "a.nii.gz", tmp_path, source=source, target=target, factor=2.0)
    result = nib.load(output).get_fdata()
    inside = np.zeros((5, 6, 14), bool)
    inside[1:4, 1:5, 3:10] = True  # up to, and without, the first empty slice on either side
    assert np.all(result[~inside] == 0) and np.count_nonzero(result[inside]) > 0.9 * inside.sum()


def test_another_modality_is_written_from_0_to_1(tmp_path):
    path = ramp_file(tmp_path / "a.nii.gz", affine_of("RAS", (1.0, 1.0, 4.0), 0.0))
    output, _ = synthesize(path, tmp_path, target="flair", factor=1.0)
    values = nib.load(output).get_fdata()
    assert output.name == "a_flair.nii.gz" and values.max() == 1
    assert values.min() == pytest.approx(1 / 255)  # the darkest voxel is tissue, not background
    header = nib.load(output).header
    assert header["descrip"].item().decode() == "UniCOAL: synthesized flair from t1, factor 1, scale 0-1"
    assert (header["cal_min"], header["cal_max"]) == (0, 1)


def test_the_same_input_gives_the_same_bytes_and_leaves_nothing_else(tmp_path):
    path = ramp_file(tmp_path / "a.nii.gz", affine_of("RAS", (1.0, 1.0, 4.0), 0.0))
    first = synthesize(path, tmp_path / "out")[0].read_bytes()
    assert synthesize(path, tmp_path / "out")[0].read_bytes() == first
    assert sorted(os.listdir(tmp_path / "out")) == ["a_t1.json", "a_t1.nii.gz"]


def item_of(path, **changes):
    """An item of two thick slices, made by the transforms, with a prediction."""
    nib.save(nib.Nifti1Image(np.arange(60, dtype=np.float32).reshape(6, 5, 2) + 1, np.diag([1, 1, 2, 1])), path)
    task = SetTaskd(modalities=NAMES, source_modality="t2", target_modality="t1", factor=2.0)
    return {**task(LoadStackd()({"image": str(path)})), "pred": torch.zeros(1, 4, 5, 6), **changes}


def test_the_input_is_never_overwritten(tmp_path):
    path = tmp_path / "a.nii.gz"
    item = item_of(path)
    before = path.read_bytes()
    (tmp_path / "a_t1.nii.gz").symlink_to(path)
    with pytest.raises(ValueError, match="overwrite the input"):
        SaveStackd(output_dir=tmp_path, modalities=NAMES)(item)
    assert path.read_bytes() == before


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="cannot write"):
        SaveStackd(output_dir=tmp_path / "file", modalities=NAMES)(item_of(tmp_path / "a.nii"))


def test_an_item_without_geometry_and_one_of_single_slices_are_refused(tmp_path):
    save = SaveStackd(output_dir=tmp_path, modalities=NAMES)
    with pytest.raises(ValueError, match=f"lacks .*{NATIVE}.*LoadStackd"):
        save({"pred": torch.zeros(1, 4, 5, 6)})
    with pytest.raises(ValueError, match="single slices"):
        save(item_of(tmp_path / "a.nii", indices=torch.tensor([3])))


def test_monai_s_evaluator_processes_a_folder_of_scans(tmp_path):
    (tmp_path / "in").mkdir()
    for name, orientation in {"a": "RAS", "b": "PIL"}.items():
        ramp_file(tmp_path / "in" / f"{name}.nii.gz", affine_of(orientation, (1.0, 1.0, 4.0), 5.0))
    task = SetTaskd(modalities=NAMES, source_modality="t1", target_modality="t2", factor=2.5)
    dataset = Dataset(list_images(str(tmp_path / "in")), Compose([LoadStackd(), task]))
    SupervisedEvaluator(
        device=torch.device("cpu"),
        val_data_loader=DataLoader(dataset, batch_size=1),
        network=Interpolating(),
        prepare_batch=PrepareVolume(),
        inferer=VolumeInferer(resolution=8),
        postprocessing=Compose([SaveStackd(output_dir=tmp_path / "out", modalities=NAMES)]),
    ).run()
    assert sorted(path.name for path in (tmp_path / "out").glob("*.nii.gz")) == ["a_t2.nii.gz", "b_t2.nii.gz"]
    for name, orientation in {"a": "RAS", "b": "PIL"}.items():
        image = nib.load(tmp_path / "out" / f"{name}_t2.nii.gz")
        assert image.shape == (5, 6, 18) and "".join(nib.aff2axcodes(image.affine)) == orientation
        direct = synthesize(tmp_path / "in" / f"{name}.nii.gz", tmp_path / "direct", "t1", "t2", 2.5, resolution=8)[0]
        np.testing.assert_allclose(image.get_fdata(), nib.load(direct).get_fdata(), atol=1e-6)


REAL = {
    "lesjak_ms_longitudinal/raw/p01_s1_T1W.nii.gz": 3.0,
    "lesjak_ms_longitudinal/raw/p01_s1_FLAIR.nii.gz": 2.5,
}


@pytest.mark.parametrize("name", REAL)
def test_real_scans_agree_with_scipy(tmp_path, name):
    path = DATA / name
    if not path.exists():
        pytest.skip(f"{path} is not there")
    output, source = synthesize(path, tmp_path, factor=REAL[name], resolution=256)
    image, original = nib.load(output), nib.load(path)
    rng = np.random.default_rng(0)
    voxels = rng.integers(0, image.shape, (20000, 3))
    seen = nib.affines.apply_affine(np.linalg.inv(original.affine) @ image.affine, voxels)
    inside = (seen > -1e-4).all(1) & (seen < np.array(original.shape) - 1 + 1e-4).all(1)
    want = map_coordinates(original.get_fdata(), seen[inside].T, order=1, mode="nearest")
    got = image.get_fdata()[tuple(voxels[inside].T)]
    assert inside.mean() > 0.9
    whole = 0.5 * (original.get_data_dtype().kind != "f")  # rounded
    assert np.abs(got - want).max() < whole + 1e-3 * (source.high - source.low)


def test_saving_needs_little_memory_in_addition_to_the_volume(tmp_path):
    """Slices are processed a few at a time; the volume is on disk."""
    edge = 128
    peaks = []
    for count in (160, 320):
        volume = np.ones((edge, edge, count // 4), np.float32) * np.arange(1, edge + 1)[:, None, None]
        nib.save(nib.Nifti1Image(volume, np.diag([1, 1, 4, 1])), tmp_path / "t1.nii")
        task = SetTaskd(modalities=NAMES, source_modality="t1", target_modality="t1", factor=4.0)
        item = task(LoadStackd()({"image": str(tmp_path / "t1.nii")}))
        pred = torch.zeros(1, count, edge, edge)
        tracemalloc.start()
        try:
            SaveStackd(output_dir=tmp_path / "out", modalities=NAMES)({**item, "pred": pred})
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
        assert nib.load(tmp_path / "out" / "t1_t1.nii.gz").shape == (edge, edge, count)
    assert peaks[1] < 1.1 * peaks[0] and peaks[1] < pred.nbytes
