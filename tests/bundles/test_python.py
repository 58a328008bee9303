"""The bundles from Python: `monai.bundle.load` and `create_workflow`, without a network connection."""

import json
import shutil
import socket
import sys

import monai.bundle
import pytest
import torch
from monai.bundle import ConfigParser

from unicoal_components.inference.volume_inferer import VolumeInferer
from unicoal_components.networks.generator import Generator

TASKS = ("cms", "sr", "cmsr", "unified")
pytestmark = pytest.mark.filterwarnings("ignore:parsing config_file")


@pytest.fixture(params=TASKS)
def task(request):
    return request.param


@pytest.fixture
def copied(bundle, task, tmp_path, monkeypatch):
    """The bundle in a folder of its own, with its weights. No way into a network."""
    root = tmp_path / "bundles" / task
    shutil.copytree(bundle.root, root, ignore=shutil.ignore_patterns("__pycache__", "output", "data", "logging.conf"))
    monkeypatch.setattr(sys, "path", [str(root) if entry == str(bundle.root) else entry for entry in sys.path])
    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("somebody looks for a network connection"))
    return root


@pytest.mark.parametrize("workflow_type", ["train", "inference"])
def test_load_gives_the_network_with_the_weights(copied, task, workflow_type):
    network = monai.bundle.load(name=task, bundle_dir=str(copied.parent), workflow_type=workflow_type, device="cpu")
    weights = torch.load(copied / "models" / "model.pt", weights_only=True)
    assert isinstance(network, Generator)
    assert network.state_dict().keys() == weights.keys()
    assert all(torch.equal(value, weights[name]) for name, value in network.state_dict().items())
    image = torch.zeros(1, 4, network.resolution, network.resolution)
    with torch.no_grad():
        assert network.eval()(image).shape == (1, 1, network.resolution, network.resolution)


def test_load_fills_a_network_that_is_there(copied, task):
    parser = ConfigParser(json.loads((copied / "configs" / "inference.json").read_text()))
    network = parser.get_parsed_content("network_def")
    loaded = monai.bundle.load(name=task, bundle_dir=str(copied.parent), model=network, device="cpu")
    weights = torch.load(copied / "models" / "model.pt", weights_only=True)
    assert loaded is network
    assert all(torch.equal(value, weights[name]) for name, value in network.state_dict().items())


def create(bundle, *names, **options):
    return monai.bundle.create_workflow(
        config_file=[str(bundle.configs / f"{name}.json") for name in names],
        bundle_root=str(bundle.root),
        logging_file=False,
        **bundle.network,
        **options,
    )


@pytest.mark.parametrize("written", [True, False])
def test_an_inference_workflow_gives_the_prediction_in_memory_and_as_a_file(
    bundle, task, weights, scan, tmp_path, written
):
    options = {} if written else {"postprocessing#transforms": []}
    workflow = create(
        bundle,
        "inference",
        workflow_type="infer",
        input=str(scan),
        ckpt_path=str(weights),
        output_dir=str(tmp_path / "out"),
        **options,
    )
    assert workflow.check_properties() == []
    assert isinstance(workflow.network_def, Generator)
    assert isinstance(workflow.inferer, VolumeInferer)
    assert workflow.dataset_data == [{"image": str(scan)}]
    workflow.run()
    (output,) = workflow.evaluator.state.output
    workflow.finalize()
    factor, target = (workflow.parser.get_parsed_content(key) for key in ("factor", "target_modality"))
    image, error = output["pred"]
    assert image.shape == (4 * factor, 19, 19)  # on pixels of 1.33 mm, those of the scan are 2 mm
    assert -1 <= image.min() <= image.max() <= 1 and 0 <= error.min() <= error.max()
    assert (tmp_path / "out" / f"t1_{target}.nii.gz").is_file() == written


def test_a_training_workflow_has_what_it_says_and_starts_again_after_a_change(bundle, task, cohort, tmp_path):
    workflow = create(
        bundle,
        "train",
        workflow_type="train",
        dataset_dir=str(cohort),
        output_dir=str(tmp_path / "out"),
        ckpt_path=str(tmp_path / "model.pt"),
        evaluation_panels=0,
        **bundle.training,
    )
    workflow.max_epochs = 1
    workflow.initialize()  # a change asks for it
    assert workflow.trainer.network is workflow.network_def
    assert workflow.trainer.state.max_epochs == workflow.max_epochs == 1
    workflow.run()
    assert workflow.trainer.state.epoch == 1
    assert workflow.evaluator.state.metrics["val_psnr"] > 0
    workflow.finalize()
    assert (tmp_path / "model.pt").is_file()
