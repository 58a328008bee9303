"""The bundle's files: what MONAI asks of them, and the house's own rules."""

import importlib.metadata
import json
import re

import monai.bundle
import pytest
import torch
from monai.bundle import ConfigParser, ConfigWorkflow

import unicoal_components

OVERLAYS = {"evaluate": ("train",), "paper": ("train", "inference"), "demo": ("train", "inference")}
CONFIGS = ("train", "inference", *OVERLAYS)


def load(bundle, name):
    return json.loads((bundle.configs / f"{name}.json").read_text(encoding="utf-8"))


def leaves(node, path=()):
    """Every (path, value) below a node, values that are no containers."""
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else None
    if children is None:
        yield path, node
    else:
        for key, child in children:
            yield from leaves(child, (*path, key))


def strings(config):
    return [(path, value) for path, value in leaves(config) if isinstance(value, str)]


@pytest.mark.parametrize(
    ("names", "kind"),
    [
        (("train",), "train"),
        (("train", "evaluate"), "train"),
        (("train", "paper"), "train"),
        (("train", "evaluate", "paper"), "train"),
        (("train", "paper", "evaluate"), "train"),
        (("train", "demo"), "train"),
        (("inference",), "infer"),
        (("inference", "paper"), "infer"),
        (("inference", "demo"), "infer"),
    ],
)
def test_no_property_that_monai_asks_for_is_missing(bundle, cohort, weights, names, kind):
    narrow = {"channel_base": 1024, "channel_max": 16}  # the paper's full widths only take time
    training = narrow | {"discriminator_channel_base": 1024, "sam_weight": 0.0}
    options = training if kind == "train" else narrow | {"input": str(weights)}
    workflow = ConfigWorkflow(
        config_file=[str(bundle.configs / f"{name}.json") for name in names],
        workflow_type=kind,
        logging_file=False,
        bundle_root=str(bundle.root),
        dataset_dir=str(cohort),
        output_dir=str(weights.parent / "out"),
        ckpt_path=str(weights.parent / "not_trained_yet.pt"),  # read when the run starts, not before
        **options,
    )
    workflow.initialize()
    assert workflow.check_properties() == []
    assert not (weights.parent / "out" / "checkpoint.pt").exists()


@pytest.mark.parametrize("name", ["train", "inference"])
def test_the_network_takes_and_gives_what_the_metadata_say(bundle, name):
    monai.bundle.verify_net_in_out(
        net_id="network_def",
        meta_file=str(bundle.configs / "metadata.json"),
        config_file=str(bundle.configs / f"{name}.json"),
        device="cpu",
    )


@pytest.mark.parametrize("name", ["train", "inference"])
def test_the_default_network_has_at_most_two_million_parameters(bundle, name):
    parser = ConfigParser(load(bundle, name))
    assert sum(parameter.numel() for parameter in parser.get_parsed_content("network_def").parameters()) <= 2_000_000


def test_a_training_can_start_from_weights_and_its_average_too(bundle, weights):
    parser = ConfigParser(load(bundle, "train") | bundle.network | {"pretrained": str(weights)})
    expected = torch.load(weights, weights_only=True)
    for state in (
        parser.get_parsed_content("network").state_dict(),
        parser.get_parsed_content("average").state_dict(),
    ):
        assert list(state) == list(expected)
        assert all(torch.equal(one, other) for one, other in zip(state.values(), expected.values(), strict=True))


@pytest.mark.parametrize("name", ["train", "inference"])
def test_the_papers_overlay_gives_the_papers_networks(bundle, name):
    parser = ConfigParser(load(bundle, name) | load(bundle, "paper"))
    with torch.device("meta"):
        networks = [parser.get_parsed_content(key) for key in ("network_def", "discriminator") if key in parser]
    millions = [sum(parameter.numel() for parameter in network.parameters()) / 1e6 for network in networks]
    assert millions == pytest.approx([59.25, 24.59][: len(millions)], abs=0.005)


@pytest.mark.parametrize("name", [*CONFIGS, "metadata"])
def test_json_is_canonical(bundle, name):
    text = (bundle.configs / f"{name}.json").read_text(encoding="utf-8")
    assert text == json.dumps(json.loads(text), indent=4) + "\n"


@pytest.mark.parametrize(("overlay", "base"), [(o, b) for o, bases in OVERLAYS.items() for b in bases])
def test_an_overlay_only_sets_values_that_its_base_has(bundle, overlay, base):
    keys = set(load(bundle, overlay))
    known = set(load(bundle, base))
    if base == "inference":  # it ignores what concerns training alone
        assert {"resolution", "channel_base", "num_layers"} <= keys & known
        known |= set(load(bundle, "train"))
    assert keys <= known
    assert not any("#" in key or "::" in key or key.startswith("+") for key in keys)
    assert not any("_target_" in path for path, _ in leaves(load(bundle, overlay)))


def test_an_overlay_replaces_no_list_of_components(bundle):
    wiring = {"imports", "train", "validate", "network_def"}
    for overlay in OVERLAYS:
        assert not wiring & set(load(bundle, overlay))


def test_train_and_inference_have_one_network(bundle):
    train, inference = load(bundle, "train"), load(bundle, "inference")
    assert train["network_def"].pop("checkpointing") == "@checkpointing"  # it concerns training alone
    values = {name[1:] for name in map(str, train["network_def"].values()) if name.startswith("@")}
    assert train["network_def"] == inference["network_def"]
    assert {name: train[name] for name in values} == {name: inference[name] for name in values}
    assert train["modalities"] == inference["modalities"]


def test_values_stand_above_the_wiring(bundle):
    for name in ("train", "inference"):
        config = load(bundle, name)
        keys = list(config)
        wiring = keys[keys.index("imports") :]
        plain = [key for key in wiring if not isinstance(config[key], dict | list) and key not in ("device", "network")]
        assert plain == []
        assert all(re.fullmatch(r"\w+", key) for key in keys)


@pytest.mark.parametrize("name", CONFIGS)
def test_references_are_words_and_lead_somewhere(bundle, name):
    config = load(bundle, "train") | load(bundle, name) if name in OVERLAYS else load(bundle, name)
    parser = ConfigParser(config)
    for path, text in strings(config):
        if path[-1] == "_desc_":
            continue
        for reference in re.findall(r"@([\w:]+(?:-\w)?)", text):
            assert "-" not in reference, (path, text)
            assert reference in parser, (path, text)


@pytest.mark.parametrize("name", CONFIGS)
def test_scripts_are_named_as_targets_only_and_exist(bundle, name):
    exported = set(unicoal_components.__all__)
    for path, text in strings(load(bundle, name)):
        if path[-1] == "_target_":
            assert text.removeprefix("scripts.") in exported or not text.startswith("scripts."), text
        elif path[-1] != "_desc_":
            assert "scripts" not in text, (path, text)


def test_every_exported_name_exists_and_is_listed_once():
    exported = unicoal_components.__all__
    assert len(set(exported)) == len(exported)
    assert all(hasattr(unicoal_components, name) for name in exported)


def test_adam_gets_two_floats(bundle):
    found = [value for path, value in leaves(load(bundle, "train")) if "betas" in path]
    assert found == ["@beta1", 0.99, 0.0, 0.99]
    rates = [load(bundle, name)["beta1"] for name in ("train", "paper")]
    assert [(rate, type(rate)) for rate in rates] == [(0.9, float), (0.0, float)]


def test_every_handler_is_written_in_place(bundle):
    train, inference = load(bundle, "train"), load(bundle, "inference")
    for handlers in (train["train"]["handlers"], train["validate"]["handlers"], inference["handlers"]):
        assert all(isinstance(handler, dict) and "_target_" in handler for handler in handlers)


def test_the_metadata_follow_the_schema_of_2024_07_25(bundle):
    metadata = load(bundle, "metadata")
    assert metadata["schema"].endswith("/meta_schema_20240725.json")
    texts = ("schema", "version", "monai_version", "pytorch_version", "numpy_version")
    texts += ("task", "description", "authors", "copyright")
    texts += ("name", "data_source", "data_type", "image_classes", "intended_use")
    assert all(isinstance(metadata[key], str) and metadata[key] for key in texts)
    tables = ("required_packages_version", "changelog", "eval_metrics", "supported_apps", "network_data_format")
    assert all(isinstance(metadata[key], dict) for key in tables)
    assert isinstance(metadata["references"], list)
    assert all(isinstance(reference, str) for reference in metadata["references"])
    assert metadata["version"] in metadata["changelog"]
    assert all(isinstance(value, int | float) for value in metadata["eval_metrics"].values())
    for direction, name in (("inputs", "image"), ("outputs", "pred")):
        tensor = metadata["network_data_format"][direction][name]
        assert all(isinstance(tensor[key], str) for key in ("type", "format", "dtype"))
        assert isinstance(tensor["num_channels"], int)
        assert all(isinstance(size, int | str) for size in tensor["spatial_shape"])
        assert all(isinstance(bound, int | float) for bound in tensor["value_range"])
        assert isinstance(tensor["is_patch_data"], bool)
        assert list(tensor["channel_def"]) == [str(channel) for channel in range(tensor["num_channels"])]


def test_the_metadata_name_versions_that_are_installed(bundle):
    metadata = load(bundle, "metadata")
    pins = metadata["required_packages_version"] | {
        "monai": metadata["monai_version"],
        "torch": metadata["pytorch_version"],
        "numpy": metadata["numpy_version"],
    }
    assert "unicoal_components" not in pins
    for package, pin in pins.items():
        installed = importlib.metadata.version(package).split("+")[0]
        assert installed.split(".")[:2] == pin.split(".")[:2], f"{package} {installed} is installed, {pin} is pinned"
    assert metadata["unicoal_components_version"] == unicoal_components.__version__


def test_the_metadata_agree_with_the_default_values(bundle):
    data, config = load(bundle, "metadata")["network_data_format"], load(bundle, "train")
    image, pred = data["inputs"]["image"], data["outputs"]["pred"]
    assert (image["num_channels"], pred["num_channels"]) == (config["slice_group_size"], 1)
    assert image["spatial_shape"] == pred["spatial_shape"] == [config["resolution"]] * 2
    assert image["value_range"] == pred["value_range"] == [-1, 1]
    assert image["dtype"] == pred["dtype"] == "float32"


def test_the_bundle_holds_what_a_bundle_must(bundle):
    for name in ("LICENSE", "configs/logging.conf", "docs/README.md", "docs/data_license.txt", "scripts/__init__.py"):
        assert (bundle.root / name).is_file(), name
    repository = bundle.root.parents[1]
    assert not (repository / "scripts" / "__init__.py").exists()  # it would hide the bundle's own
