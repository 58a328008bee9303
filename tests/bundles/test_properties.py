"""The bundle's files: the house's own rules, beside what `test_checks` and `tools/verify_bundles.py` check."""

import json
import re

import pytest
import torch
from monai.bundle import ConfigParser

import unicoal_components
from unicoal_components.datasets.case_list import read_cases
from unicoal_components.slices.factor_range import FactorRange
from unicoal_components.training.draw import DrawSliceTaskd

TASKS = ("cms", "sr", "cmsr", "unified")
COMPLETE = ("train", "inference")
OF_TRAINING = ("evaluate", "multi_gpu_train", "multi_gpu_evaluate")  # the other overlays serve inference too
EXPERIMENTS = {
    "cms": {"brats19_t1_t2", "brats19_t2_flair", "brats19_flair_t1"},
    "sr": {"adni_t1_x5"},
    "cmsr": {"adni_flair_t1_x5"},
    "unified": {"ixi"},
}

KINDS = {  # (one modality, thick to thin) of a task
    "cms": {(False, False)},
    "sr": {(True, True)},
    "cmsr": {(False, True)},
    "unified": {(False, False), (True, True), (False, True)},
}


@pytest.fixture(params=TASKS)
def task(request):
    """Every test of a bundle runs for each of the four."""
    return request.param


def overlays(bundle):
    """Map each overlay of a bundle to the complete configs that it goes on top of."""
    names = sorted({path.stem for path in bundle.configs.glob("*.json")} - {*COMPLETE, "metadata"})
    return {name: ("train",) if name in OF_TRAINING else COMPLETE for name in names}


def load(bundle, name):
    return json.loads((bundle.configs / f"{name}.json").read_text(encoding="utf-8"))


def values(bundle, name):
    """What stands above the wiring."""
    config = load(bundle, name)
    return {key: config[key] for key in list(config)[: list(config).index("imports")]}


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


@pytest.mark.parametrize("name", COMPLETE)
def test_the_default_root_is_the_bundle_itself_from_the_repository_and_from_its_own_folder(
    bundle, task, monkeypatch, name
):
    for folder, root in ((bundle.root.parents[1], f"bundles/{task}"), (bundle.root, ".")):
        monkeypatch.chdir(folder)
        assert ConfigParser(load(bundle, name)).get_parsed_content("bundle_root") == root


@pytest.mark.parametrize("name", COMPLETE)
def test_the_default_network_has_at_most_two_and_a_half_million_parameters(bundle, name):
    parser = ConfigParser(load(bundle, name))
    assert sum(parameter.numel() for parameter in parser.get_parsed_content("network_def").parameters()) <= 2_500_000


def test_a_training_can_start_from_weights_and_its_average_too(bundle, tmp_path):
    values = load(bundle, "train") | bundle.network
    expected = ConfigParser(dict(values)).get_parsed_content("network_def").state_dict()
    torch.save(expected, tmp_path / "model.pt")
    parser = ConfigParser(values | {"pretrained": str(tmp_path / "model.pt")})
    for key in ("network", "average"):
        state = parser.get_parsed_content(key).state_dict()
        assert list(state) == list(expected)
        assert all(torch.equal(state[name], expected[name]) for name in expected)


@pytest.mark.parametrize("name", COMPLETE)
def test_the_papers_overlay_gives_the_papers_networks(bundle, name):
    parser = ConfigParser(load(bundle, name) | load(bundle, "paper"))
    with torch.device("meta"):
        networks = [parser.get_parsed_content(key) for key in ("network_def", "discriminator") if key in parser]
    millions = [sum(parameter.numel() for parameter in network.parameters()) / 1e6 for network in networks]
    assert millions == pytest.approx([59.25, 24.59][: len(millions)], abs=0.005)


def test_an_overlay_sets_values_and_no_wiring(bundle):
    for name in overlays(bundle):
        places = {"device", "rank", "initialize", "run", "finalize"} if name in OF_TRAINING else set()
        assert set(load(bundle, name)) <= set(values(bundle, "train")) | set(values(bundle, "inference")) | places, name


def test_an_official_experiment_has_an_overlay_that_says_what_it_is_and_needs(bundle, task):
    shared = {"evaluate", "paper", "multi_gpu_train", "multi_gpu_evaluate"}
    assert set(overlays(bundle)) - {"demo"} == shared | EXPERIMENTS[task]
    for name in EXPERIMENTS[task]:
        overlay = load(bundle, name)
        assert all(word in overlay["_desc_"] for word in ("official experiment", "datalist.json", "unicoal prepare"))
        assert 10 <= len(overlay) - 1 <= 20
        assert name in overlay["output_dir"] and name in overlay["ckpt_path"]  # none continues another's training


def test_the_drawn_tasks_and_the_evaluated_cases_are_those_of_the_bundle(bundle, task):
    for overlay in ({}, *(load(bundle, name) for name in EXPERIMENTS[task])):
        config = load(bundle, "train") | overlay
        parser = ConfigParser(config)
        sources, targets, factors = (parser.get_parsed_content(key) for key in ("sources", "targets", "factors"))
        draw = DrawSliceTaskd(
            modalities=config["modalities"],
            sources=sources,
            targets=targets,
            factors=factors,
            same_modality=config["same_modality"],
            cross_modality=config["cross_modality"],
            resolution=16,
        )
        names = config["modalities"]
        tasks = draw._tasks({"modalities": names, "thin_axes": dict.fromkeys(names, (0, 1, 2)), "subject": "p01"})
        kinds = {
            (target == source, isinstance(factor, FactorRange) or factor > 1) for target, source, factor, _ in tasks
        }
        assert kinds <= KINDS[task]
        for key in ("validation_cases", "test_cases"):
            cases = read_cases(parser.get_parsed_content(key), modalities=config["modalities"])
            assert {(case.source == case.target, case.factor > 1) for case in cases} <= kinds, key
            for case in cases:  # unified is also tested at factors it has not seen
                assert task == "unified" or any(trained_for(drawn, case) for drawn in tasks), (key, case)
        if task != "unified":
            assert {(target, source) for target, source, *_ in tasks} == {(case.target, case.source) for case in cases}


def trained_for(drawn, case):
    """Whether a drawn task is, or holds, that of a case."""
    target, source, factor, _ = drawn
    there = factor.low <= case.factor <= factor.high if isinstance(factor, FactorRange) else factor == case.factor
    return (target, source) == (case.target, case.source) and there


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
        plain = [key for key in wiring if not isinstance(config[key], dict | list) and key not in ("device", "rank")]
        assert plain == []
        assert all(re.fullmatch(r"\w+", key) for key in keys)


def test_references_are_words_and_lead_somewhere(bundle):
    combinations = [(name,) for name in COMPLETE]
    combinations += [(base, name) for name, bases in overlays(bundle).items() for base in bases]
    for names in combinations:
        config = {key: value for name in names for key, value in load(bundle, name).items()}
        parser = ConfigParser(config)
        for path, text in strings(config):
            if path[-1] == "_desc_":
                continue
            for reference in re.findall(r"@([\w:]+(?:-\w)?)", text):
                assert "-" not in reference, (names, path, text)
                assert reference in parser, (names, path, text)


def test_scripts_are_named_as_targets_only_and_exist(bundle):
    exported = set(unicoal_components.__all__)
    for name in (*COMPLETE, *overlays(bundle)):
        for path, text in strings(load(bundle, name)):
            if path[-1] == "_target_":
                assert text.removeprefix("scripts.") in exported or not text.startswith("scripts."), text
            elif path[-1] != "_desc_":
                assert "scripts" not in text, (name, path, text)


def test_every_exported_name_exists_and_is_listed_once():
    exported = unicoal_components.__all__
    assert len(set(exported)) == len(exported)
    assert all(hasattr(unicoal_components, name) for name in exported)


def test_adam_gets_two_floats(bundle):
    found = [value for path, value in leaves(load(bundle, "train")) if "betas" in path]
    assert found == ["@beta1", "@beta2", 0.0, 0.99]
    for name, first in (("train", 0.9), ("paper", 0.0)):
        rates = [load(bundle, name)[key] for key in ("beta1", "beta2")]
        assert rates[0] == first and 0.9 <= rates[1] < 1 and all(type(rate) is float for rate in rates)


def test_every_handler_is_written_in_place_but_the_report_that_others_ask(bundle):
    train, inference = load(bundle, "train"), load(bundle, "inference")
    for handlers in (train["train"]["handlers"], train["validate"]["handlers"], inference["handlers"]):
        written = [handler for handler in handlers if handler != "@validate::report"]
        assert all(isinstance(handler, dict) and "_target_" in handler for handler in written)


def test_the_metadata_tell_the_bundles_apart(bundle, task):
    metadata = load(bundle, "metadata")
    assert metadata["name"] == f"Uni-COAL {task}"
    others = [json.loads((bundle.root.parent / name / "configs/metadata.json").read_text()) for name in TASKS]
    for key in ("task", "description", "image_classes"):
        assert [other[key] for other in others].count(metadata[key]) == 1


def test_the_docs_name_no_command_of_another_bundle(bundle, task):
    text = (bundle.root / "docs" / "README.md").read_text(encoding="utf-8")
    named = set(re.findall(r"bundles/(\w+)/configs/(\w+)\.json", text))
    assert {name for name, _ in named} == {task}
    assert {"train", "inference", *OF_TRAINING, "paper"} <= {config for _, config in named}
    assert all((bundle.configs / f"{config}.json").is_file() for _, config in named)


def test_the_metadata_agree_with_the_default_values(bundle):
    data, config = load(bundle, "metadata")["network_data_format"], load(bundle, "train")
    image, pred = data["inputs"]["image"], data["outputs"]["pred"]
    assert (image["num_channels"], pred["num_channels"]) == (config["slice_group_size"], 1)
    assert image["spatial_shape"] == pred["spatial_shape"] == [config["resolution"]] * 2
    assert image["value_range"] == pred["value_range"] == [-1, 1]
    assert image["dtype"] == pred["dtype"] == "float32"
