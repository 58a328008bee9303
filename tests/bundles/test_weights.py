"""The weights that a bundle ships: they fit, and for a person whom nobody has seen they do what the bundle says."""

import json

import pytest
import torch
from monai.bundle import ConfigParser

from unicoal_components.datasets.hdf5 import read_volume
from unicoal_components.evaluation.baselines import affine_map
from unicoal_components.inference.volume_inferer import VolumeInferer
from unicoal_components.metrics.strict import strict_protocol
from unicoal_components.runtime.weights import load_weights
from unicoal_components.simulation.cohort import simulate_cohort
from unicoal_components.slices.interpolation import cubic_interpolation
from unicoal_components.slices.slice_profile import thick_volume


@pytest.fixture(scope="module")
def person(tmp_path_factory):
    """A person of another seed than those of the training."""
    folder = tmp_path_factory.mktemp("person")
    simulate_cohort(output=folder, subjects=1, split=(0, 0, 1), spacing=1.0, lesions=8, seed=4711)
    return {name: torch.from_numpy(read_volume(folder / "sim_0000.h5", name)) for name in ("t1", "t2", "flair")}


def trained_network(bundle):
    parser = ConfigParser(json.loads((bundle.configs / "inference.json").read_text(encoding="utf-8")))
    network = parser.get_parsed_content("network_def")
    return load_weights(network=network, path=bundle.root / "models" / "model.pt"), parser["modalities"]


def synthesize(network, image, indices, *, source, target, factor=1, **options):
    inferer = VolumeInferer(resolution=network.resolution, **options)
    given = {"source_modality": torch.tensor([source]), "modality": torch.tensor([target])}
    with torch.no_grad():
        return inferer(image[None, None], network, indices=indices, factor=float(factor), **given)[0, 0]


@pytest.mark.parametrize(
    ("task", "source", "target", "factor", "margin"),
    [
        ("unified", "t1", "t2", 1, 1),
        ("unified", "t2", "t1", 1, 8),
        ("unified", "t1", "flair", 1, 0.2),
        ("unified", "flair", "t2", 1, 1.5),
        ("cms", "t2", "t1", 1, 8),
        ("cmsr", "t1", "t2", 4, 1),
        ("cmsr", "flair", "t1", 2, 3),
        ("sr", "t2", "t2", 4, 1.5),
        ("sr", "flair", "flair", 4, 1.5),
    ],
)
def test_a_person_never_seen_comes_out_better_than_by_interpolation_and_an_affine_map_of_the_whole_field(
    bundle, person, source, target, factor, margin
):
    """The margin is in dB; the affine map is fitted to the truth, of the input interpolated by cubic splines."""
    network, modalities = trained_network(bundle)
    image = torch.from_numpy(thick_volume(person[source].numpy(), factor, "gaussian"))
    depth = len(person[target]) // factor * factor
    indices = torch.arange(depth // 4, 3 * depth // 4, 11)
    task = {"source": modalities.index(source), "target": modalities.index(target)}
    output = synthesize(network, image, indices, **task, factor=factor)
    truth, smooth = person[target][indices], cubic_interpolation(image, float(factor), indices)
    ours, *others = (
        strict_protocol(prediction=volume, target=truth)["psnr"]
        for volume in (output, smooth, affine_map(smooth, truth))
    )
    assert ours > max(others) + margin


@pytest.mark.parametrize(("source", "target"), [("t1", "t2"), ("flair", "flair")])
def test_bfloat16_gives_the_float32_result_to_48_db(bundle, person, source, target):
    network, modalities = trained_network(bundle)
    indices = torch.arange(60, 120, 20)
    task = {"source": modalities.index(source), "target": modalities.index(target)}
    exact = synthesize(network, person[source], indices, **task)
    rounded = synthesize(network, person[source], indices, **task, precision="bfloat16")
    assert not torch.equal(exact, rounded)
    assert strict_protocol(prediction=rounded, target=exact)["psnr"] > 48
