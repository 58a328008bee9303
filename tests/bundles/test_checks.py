"""What `tools/verify_bundles.py` checks holds for every bundle, and every check can fail."""

import importlib
import json
import shutil
from pathlib import Path

import monai.bundle
import pytest
import torch

from unicoal_components.networks.generator import Generator

ROOT = Path(__file__).parents[2]
TASKS = ("cms", "sr", "cmsr", "unified")
SMALL = {"resolution": 32, "core_resolution": 16, "num_layers": 4, "channel_base": 128, "channel_max": 8, "w_dim": 12}
SMALL |= {"image_style_dim": 10, "detail_channels": 4, "detail_blocks": 1}
OF_FILES = ("files", "json", "metadata", "versions", "overlays", "shapes", "metrics")
OF_PROPERTIES = ("properties_train", "properties_evaluate", "properties_inference", "properties_processes")
OF_EXPORTS = [("torchscript", task) for task in TASKS]  # the slow ones once for either kind of network
OF_EXPORTS += [("onnx", "cms"), ("torch_export", "unified"), ("onnx_unicoal", "unified")]


@pytest.fixture(scope="module")
def verify():
    """The parts of the script, importable as when it is run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "tools"))
        yield {name: importlib.import_module(f"verify_{name}") for name in ("checks", "exports", "metadata")}


@pytest.fixture(scope="module")
def checks(verify):
    return verify["checks"]


@pytest.fixture(scope="module")
def scratch(tmp_path_factory, cohort):
    folder = tmp_path_factory.mktemp("scratch")
    (folder / "cohort").symlink_to(cohort)
    return folder


@pytest.fixture
def task():
    return "unified"


@pytest.fixture
def original(checks, task, scratch):
    """The bundle itself."""
    return checks.Bundle(root=ROOT / "bundles" / task, scratch=scratch)


def copy_of(task, folder):
    ignored = shutil.ignore_patterns("__pycache__", "models", "output", "data")
    return Path(shutil.copytree(ROOT / "bundles" / task, folder / task, ignore=ignored))


def change(path, *left_out, **values):
    """Leave out some keys at the top of a config, and set others."""
    config = json.loads(path.read_text(encoding="utf-8")) | values
    kept = {key: value for key, value in config.items() if key not in left_out}
    path.write_text(json.dumps(kept, indent=4) + "\n", encoding="utf-8")


@pytest.fixture
def copy(checks, task, scratch, tmp_path):
    """A copy of the bundle to break, without weights."""
    return checks.Bundle(root=copy_of(task, tmp_path), scratch=scratch)


@pytest.fixture
def small(copy):
    """A copy with a small network and untrained weights."""
    configs = copy.root / "configs"
    for name in ("train", "inference"):
        change(configs / f"{name}.json", **SMALL)
    data = copy.config("metadata")["network_data_format"]
    data["inputs"]["image"]["spatial_shape"] = data["outputs"]["pred"]["spatial_shape"] = [SMALL["resolution"]] * 2
    change(configs / "metadata.json", network_data_format=data)
    (copy.root / "models").mkdir()
    torch.save(untrained(copy).state_dict(), copy.root / "models" / "model.pt")
    return copy


def untrained(bundle, **sizes):
    config = bundle.config("inference")
    names = ("z_dim", "position_embedding", "residual", "interpolated_input", "acquisition", "error_output")
    names += ("contrast_curve",)
    settings = SMALL | {"num_modalities": len(config["modalities"])} | {name: config[name] for name in names} | sizes
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = Generator(**settings).eval()
        for parameter in [*network.within.parameters(), *network.across.parameters()]:  # of which some start with zeros
            torch.nn.init.normal_(parameter, std=0.1)
    return network


def test_every_check_is_run_here(checks):
    assert set(checks.CHECKS) == {*OF_FILES, *OF_PROPERTIES, "shared", "weights", "onnx", *dict(OF_EXPORTS)}


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("name", OF_FILES + OF_PROPERTIES)
def test_a_bundle_passes(checks, original, name):
    checks.run_check(name, original)


@pytest.mark.parametrize("task", TASKS)
def test_the_wiring_of_a_bundle_is_that_of_unified(checks, original, copy, task):
    if task == "unified":
        with pytest.raises(checks.Skipped, match="the others follow it"):
            checks.run_check("shared", original)
    else:
        checks.run_check("shared", original)
    with pytest.raises(checks.Skipped):
        checks.run_check("shared", copy)  # alone, as when it is packed


@pytest.mark.parametrize("task", TASKS)
def test_weights_that_are_shipped_fit_and_without_any_the_check_fails(checks, original, copy):
    assert checks.run_check("weights", original).endswith("MB")
    with pytest.raises(FileNotFoundError, match="there are no weights"):
        checks.run_check("weights", copy)


@pytest.mark.parametrize(("name", "task"), OF_EXPORTS)
def test_an_exported_network_gives_what_the_network_gives(checks, small, name):
    checks.run_check("weights", small)
    assert checks.run_check(name, small).startswith("differs by")


@pytest.mark.parametrize(
    "names", [("train", "demo", "evaluate"), ("train", "evaluate", "paper"), ("inference", "demo")]
)
def test_the_demos_overlay_serves_all_and_the_order_of_overlays_is_free(checks, original, names):
    with checks.importable(original.root):
        checks.check_properties_of(original, names)


@pytest.mark.filterwarnings("ignore:No hash value provided")
@pytest.mark.parametrize("task", TASKS)
def test_monais_own_verify_metadata_accepts_the_metadata_where_the_schema_is_there(verify, original, tmp_path):
    schema = tmp_path / "schema.json"
    schema.write_text(json.dumps(verify["metadata"].RULES), encoding="utf-8")
    metadata = original.root / "configs" / "metadata.json"
    monai.bundle.verify_metadata(meta_file=str(metadata), filepath=str(schema))
    change(broken := Path(shutil.copy(metadata, tmp_path)), version=1)
    with pytest.raises(ValueError, match="1 is not of type 'string'"):
        monai.bundle.verify_metadata(meta_file=str(broken), filepath=str(schema))


def fails(checks, bundle, name, message):
    with pytest.raises(Exception, match=message):  # noqa: PT011 - of which kind does not matter
        checks.run_check(name, bundle)


def test_a_file_that_is_missing_is_told(checks, copy):
    (copy.root / "LICENSE").unlink()
    (copy.root / "configs" / "evaluate.json").unlink()
    fails(checks, copy, "files", "LICENSE is missing; configs/evaluate.json is missing")


def test_json_in_another_form_is_told(checks, copy):
    path = copy.root / "configs" / "paper.json"
    path.write_text(path.read_text(encoding="utf-8").rstrip(), encoding="utf-8")
    fails(checks, copy, "json", "configs/paper.json is not as json.dumps")


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("authors", None, "metadata.json: 'authors' is a required property"),
        ("schema", "meta_schema_20220324.json", "metadata.json::schema: .* does not match"),
        ("version", "1", "metadata.json::version: '1' does not match"),
        ("version", "9.9.9", "the changelog has no entry for the version 9.9.9"),
        ("required_packages_version", {"nibabel": 5}, "metadata.json::required_packages_version::nibabel: 5"),
        ("eval_metrics", {"psnr": "good"}, "metadata.json::eval_metrics::psnr: 'good' is not of type 'number'"),
        ("references", ["a", 1], "metadata.json::references::1: 1 is not of type 'string'"),
        ("network_data_format", {"inputs": {}}, "'outputs' is a required property"),
    ],
)
def test_metadata_against_the_schema_are_told_with_their_place(checks, copy, key, value, message):
    change(copy.root / "configs" / "metadata.json", *([key] if value is None else []), **{key: value})
    fails(checks, copy, "metadata", message)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("channel_def", {"0": "a", "2": "b"}, "channel_def of image must name the channels 0, 1, 2, 3"),
        ("num_channels", "4", "metadata.json::network_data_format::inputs::image::num_channels: '4' is not of type"),
        ("spatial_shape", ["16*n", 16], "spatial_shape::0: '16\\*n' is not of type 'integer'"),
    ],
)
def test_a_wrong_description_of_the_input_is_told(checks, copy, key, value, message):
    data = copy.config("metadata")["network_data_format"]
    data["inputs"]["image"][key] = value
    change(copy.root / "configs" / "metadata.json", network_data_format=data)
    fails(checks, copy, "metadata", message)


def test_other_versions_than_those_installed_are_told(checks, copy):
    pins = {"unicoal_components": "0.1.0", "nothing_of_this_name": "1.0.0"}
    change(
        copy.root / "configs" / "metadata.json",
        monai_version="0.9.0",
        unicoal_components_version="9.9.9",
        required_packages_version=pins,
    )
    words = ("the metadata say 9.9.9", "which pip cannot find", "nothing_of_this_name is not installed", "say 0.9.0")
    message = ".*".join(words)
    fails(checks, copy, "versions", message)


@pytest.mark.parametrize(
    ("overlay", "values", "message"),
    [
        ("paper", {"resolutoin": 1}, "paper.json: 'resolutoin' is not in train.json or inference.json"),
        ("evaluate", {"input": "a"}, "evaluate.json: 'input' is not in train.json"),
        ("evaluate", {"train::trainer::max_epochs": 1}, "'train::trainer::max_epochs' is a path"),
        ("paper", {"optimizer": {"_target_": "torch.optim.SGD"}}, "paper.json: _target_ is wiring"),
    ],
)
def test_an_overlay_that_sets_more_than_values_of_its_base_is_told(checks, copy, overlay, values, message):
    change(copy.root / "configs" / f"{overlay}.json", **values)
    fails(checks, copy, "overlays", message)


@pytest.mark.parametrize("task", ["sr"])
def test_wiring_of_its_own_is_told(checks, copy):
    copy_of("unified", copy.root.parent)
    checks.run_check("shared", copy)
    change(copy.root / "configs" / "inference.json", run=[])
    fails(checks, copy, "shared", "sr/configs/inference.json is not as in unified; run: python tools/sync_bundles.py")


def test_a_property_that_monai_misses_is_told(checks, copy):
    path, config = copy.root / "configs" / "inference.json", copy.config("inference")
    renamed = {"cleaning": config["postprocessing"], "evaluator": config["evaluator"] | {"postprocessing": "@cleaning"}}
    change(path, "postprocessing", **renamed)
    fails(checks, copy, "properties_inference", "inference: MONAI misses postprocessing")
    inlined = config["evaluator"] | {"inferer": config["inferer"]}
    change(path, "inferer", evaluator=inlined, postprocessing=config["postprocessing"])
    fails(checks, copy, "properties_inference", "Property 'inferer' with config ID 'inferer' not in the config")


def test_a_process_group_that_is_left_behind_is_told_and_ended(checks, copy):
    change(copy.root / "configs" / "multi_gpu_train.json", finalize=[])
    fails(checks, copy, "properties_processes", "train, multi_gpu_train: finalize leaves the process group behind")
    assert not torch.distributed.is_initialized()


def test_a_network_that_gives_something_else_than_the_metadata_say_is_told(checks, small):
    data = small.config("metadata")["network_data_format"]
    data["outputs"]["pred"]["num_channels"] = 2
    change(small.root / "configs" / "metadata.json", network_data_format=data)
    fails(checks, small, "shapes", "output channel number `1` doesn't match: `2`")


def test_results_without_weights_and_weights_without_results_are_told(checks, small):
    change(small.root / "configs" / "metadata.json", eval_metrics={})
    fails(checks, small, "metrics", "eval_metrics is empty, but there is models/model.pt")
    (small.root / "models" / "model.pt").unlink()
    assert checks.run_check("metrics", small) == "no weights, no results"
    change(small.root / "configs" / "metadata.json", eval_metrics={"psnr": 1.0})
    fails(checks, small, "metrics", "eval_metrics has results of weights that are not there")


def test_weights_that_do_not_fit_or_are_large_are_told(checks, small, monkeypatch):
    monkeypatch.setattr(checks, "LARGEST_WEIGHTS", 1000)
    fails(checks, small, "weights", r"models/model.pt has 0\.\d MB")
    torch.save(untrained(small, w_dim=20).state_dict(), small.root / "models" / "model.pt")
    fails(checks, small, "weights", "does not fit the network: .*w_avg is|does not fit the network")


def test_an_export_that_gives_something_else_is_told(checks, verify, small, tmp_path):
    other = untrained(small)
    with torch.no_grad():
        other.synthesis.layers[-1].conv.bias += 0.1
    with checks.importable(small.root), pytest.raises(ValueError, match=r"the exported network differs by .*1e-05"):
        verify["exports"].compare_torchscript(other, small.root, tmp_path)


@pytest.mark.parametrize(
    ("exported", "message"),
    [
        (lambda image, **given: image.new_full((len(image), 1, 32, 32), float("nan")), "differs by nan"),
        (lambda image, **given: image[:, :2], r"gives \[1, 2, 32, 32\], not \[1, 1, 32, 32\]"),
    ],
)
def test_an_export_that_gives_no_numbers_or_another_shape_is_told(verify, original, exported, message):
    with pytest.raises(ValueError, match=message):
        verify["exports"]._judge(untrained(original), exported, tolerance=1.0)
