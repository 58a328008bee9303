"""The ONNX example makes what the bundle makes, without this package."""

import ast
import importlib.util
import json
from pathlib import Path
from types import SimpleNamespace

import nibabel as nib
import numpy as np
import pytest
import torch

from unicoal_components.commands import export
from unicoal_components.commands.bundles import METADATA
from unicoal_components.inference.onnx import SliceNetwork, description_of, save_onnx

onnxruntime = pytest.importorskip("onnxruntime", reason="it is in the extra `export`")
ROOT = Path(__file__).parents[2]
EXAMPLE, UNIFIED = ROOT / "examples" / "onnx", ROOT / "bundles" / "unified"


SPEC = importlib.util.spec_from_file_location("synthesize", EXAMPLE / "synthesize.py")
example = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(example)
synthesize = example.synthesize


@pytest.fixture(scope="module")
def lively_weights(weights, tmp_path_factory):
    """Weights of which no tensor is at the zero that training begins with, so that every part counts."""
    rng = torch.Generator().manual_seed(1)
    state = torch.load(weights, weights_only=True)
    zero = {name: value for name, value in state.items() if not value.any()}
    state |= {name: 0.1 * torch.randn(value.shape, generator=rng) for name, value in zero.items()}
    path = tmp_path_factory.mktemp("lively") / "model.pt"
    torch.save(state, path)
    return path


@pytest.fixture(scope="module")
def loaded(lively_weights, tiny_sizes, bundle):
    """The tiny network as the export takes it, and what its file tells."""
    config, network = export.read_network([UNIFIED / "configs" / "inference.json", tiny_sizes], lively_weights)
    return SliceNetwork(network).eval(), description_of(config, json.loads((UNIFIED / METADATA).read_text()))


class Session:
    """As much of an onnxruntime session as the example uses, around the network in PyTorch; no export is needed."""

    def __init__(self, network, facts):
        self.network = network
        self.facts = {"unicoal": json.dumps(facts)}

    def get_modelmeta(self):
        return SimpleNamespace(custom_metadata_map=self.facts)

    def run(self, names, inputs):
        with torch.no_grad():
            outputs = self.network(**{name: torch.from_numpy(value) for name, value in inputs.items()})
        return [dict(zip(("slice", "error"), outputs, strict=False))[name].numpy() for name in names]


@pytest.fixture(scope="module")
def session(loaded):
    return Session(*loaded)


def affine_of(axes, spacing):
    """Affine of a scan with these axes, such as "LPS", tilted a little."""
    columns = {"R": (1, 0, 0), "A": (0, 1, 0), "S": (0, 0, 1), "L": (-1, 0, 0), "P": (0, -1, 0), "I": (0, 0, -1)}
    turn = nib.eulerangles.euler2mat(0.05, -0.1, 0.08)
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.transpose([columns[axis] for axis in axes]) * spacing
    affine[:3, 3] = (-20, 11, 7)
    return affine


@pytest.fixture
def save_scan(tmp_path):
    """Write a random scan with a few bright voxels, and zeros around it and in whole slices."""

    def save(shape, axes, spacing):
        voxels = np.zeros(shape, np.float32)
        inner = tuple(slice(3, size - 2) if size > 12 else slice(1, None) for size in shape)
        voxels[inner] = np.random.default_rng(0).gamma(3, 60, voxels[inner].shape)
        path = tmp_path / "scan.nii.gz"
        nib.save(nib.Nifti1Image(voxels, affine_of(axes, spacing)), path)
        return path

    return save


@pytest.mark.parametrize(
    ("shape", "axes", "spacing", "source", "target", "factor"),
    [
        ((36, 45, 4), "RAS", (1, 1.2, 4), "t1", "t1", 2.5),
        ((30, 4, 50), "LAI", (0.8, 3, 0.9), "t2", "t2", 4),
        ((5, 20, 34), "SRP", (1, 1, 1), "flair", "t1", 1),
        ((3, 33, 20), "RIP", (4, 1.3, 1), "t1", "flair", 3),
        ((61, 44, 4), "RAS", (1, 1.2, 4), "t1", "t2", 2),
    ],
    ids=[
        "axial, super-resolution",
        "coronal, super-resolution",
        "isotropic, synthesis",
        "sagittal, both",
        "wide, both",
    ],
)
def test_it_makes_what_the_bundle_makes(
    bundle, session, lively_weights, save_scan, tmp_path, shape, axes, spacing, source, target, factor
):
    path = save_scan(shape, axes, spacing)
    task = {"source_modality": source, "target_modality": target, "factor": factor}
    bundle.run("inference.json", input=str(path), output_dir=str(tmp_path), ckpt_path=str(lively_weights), **task)
    expected = nib.load(tmp_path / f"scan_{target}.nii.gz")
    thin = synthesize(session, nib.load(path), source, target, factor)
    assert thin.shape == expected.shape
    assert np.allclose(thin.affine, expected.affine, atol=1e-4)
    values, made = expected.get_fdata(), thin.get_fdata()
    white = np.percentile(nib.load(path).get_fdata(), 99.5) if source == target else 1
    assert np.abs(made - values).max() <= 1e-3 * white
    assert 0.2 < np.mean(values == 0) < 0.9
    assert values.std() > 0.1 * white


def test_pixels_that_need_resampling_are_refused(session, save_scan):
    with pytest.raises(ValueError, match=r"pixels of \[1. 2.\] mm.*0\.8, 1\.33"):
        synthesize(session, nib.load(save_scan((20, 20, 4), "RAS", (1, 2, 6))), "t1", "t1", 2)


def test_the_example_imports_nothing_of_this_package():
    source = (EXAMPLE / "synthesize.py").read_text(encoding="utf-8")
    names = {name.name for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Import) for name in node.names}
    names |= {node.module for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ImportFrom)}
    assert names == {"argparse", "itertools", "json", "nibabel", "numpy", "nibabel.orientations", "onnxruntime"}


def test_what_the_file_tells_are_the_values_of_the_bundle(loaded):
    facts, config = loaded[1], json.loads((UNIFIED / "configs" / "inference.json").read_text(encoding="utf-8"))
    assert facts["modalities"] == config["modalities"]
    assert facts["in_plane_spacing"]["range"] == config["in_plane_spacing"]
    assert facts["thickness"]["range"] == config["training_range"]["relative_thickness"]
    assert facts["windows"]["overlap"] == config["inferer"]["overlap"]
    assert (
        config["inferer"]["context"] and config["inferer"]["data_consistency"] and config["inferer"]["slice_smoothing"]
    )
    assert facts["output"]["another_modality"] == config["synthesis_range"]


class Generator(torch.nn.Module):
    """Takes what a generator takes; the export of a real one is checked in tests/bundles/test_checks.py."""

    in_channels, resolution = 4, 32

    def __init__(self, *, error_output):
        super().__init__()
        self.conv = torch.nn.Conv2d(4, 1, 3, padding=1)
        self.error_output = error_output

    def forward(self, image, *, modality, position, same_modality, source_modality, factor, thickness, with_error):
        level = modality + 0.3 * source_modality + 5 * same_modality.float() + position + factor.log2() + thickness**2
        made = self.conv(image) + level[:, None, None, None]
        return torch.cat([made, made.exp()], dim=1) if with_error else made


@pytest.mark.parametrize("outputs", [["slice", "error"], ["slice"]])
def test_the_file_computes_as_the_network_for_any_number_of_images_and_tells_how_to_use_it(loaded, tmp_path, outputs):
    network, facts = SliceNetwork(Generator(error_output=len(outputs) == 2)), loaded[1]
    save_onnx(network, facts, tmp_path / "tiny.onnx")
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.onnx"]
    exported = onnxruntime.InferenceSession(str(tmp_path / "tiny.onnx"), providers=["CPUExecutionProvider"])
    assert [output.name for output in exported.get_outputs()] == outputs
    assert json.loads(exported.get_modelmeta().custom_metadata_map["unicoal"]) == json.loads(json.dumps(facts))
    rng = np.random.default_rng(0)
    inputs = {"image": rng.uniform(-1, 1, (3, 4, 32, 32)), "position": np.array([0, 0.3, 0.9])}
    inputs |= {"factor": np.array([1, 2.5, 6]), "thickness": np.array([1, 0.7, 1.2])}
    inputs = {name: value.astype(np.float32) for name, value in inputs.items()}
    inputs |= {"source": np.array([0, 1, 3]), "target": np.array([2, 1, 3])}
    expected = Session(network, facts).run(outputs, inputs)
    for made, wanted in zip(exported.run(outputs, inputs), expected, strict=True):
        assert np.abs(made - wanted).max() <= 1e-5 * np.abs(wanted).max()
