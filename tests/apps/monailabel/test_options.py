"""What viewers show of a bundle, and what of a request reaches it."""

import doctest
import inspect
import json
import re
from pathlib import Path

import pytest

BUNDLES = Path(__file__).parents[3] / "bundles"


@pytest.fixture
def options(part):
    return part("lib.options")


def shown(options, bundle="unified", **more):
    values = json.loads((BUNDLES / bundle / "configs" / "inference.json").read_text())
    return options.shown_options(values, **more)


def test_each_bundle_shows_the_options_of_its_task(options):
    names = {bundle: set(shown(options, bundle)) for bundle in ("unified", "sr", "cms", "cmsr")}
    assert names["unified"] == names["cmsr"] == names["sr"] | names["cms"]
    assert names["unified"] - names["sr"] == {"target_modality"}
    assert names["unified"] - names["cms"] == {"factor", "output_spacing"}
    assert [shown(options, bundle)["factor"] for bundle in ("unified", "sr", "cmsr")] == ["1", "4", "4"]
    assert shown(options)["source_modality"] == ["auto", "t1", "t2", "pd", "flair"]
    assert "store_result" in shown(options, can_store=True)


def test_options_are_values_of_inference_json_but_for_the_store(options):
    values = json.loads((BUNDLES / "unified" / "configs" / "inference.json").read_text())
    assert shown(options, can_store=True).keys() - values.keys() == {"store_result"}


def test_a_request_without_options_has_the_defaults(options):
    read = options.read_options({"model": "unified", "image": "a", "result_dtype": "uint8"}, shown(options))
    assert read["source_modality"] == "auto" and read["target_modality"] == "t2" and read["factor"] == 1
    assert read["output_spacing"] is None and read["error_map"] is False and "result_dtype" not in read


@pytest.mark.parametrize(
    ("given", "value"),
    [
        ({"factor": 2.5}, 2.5),
        ({"factor": " 3 "}, 3),
        ({"factor": None}, 1),
        ({"factor": ""}, None),
        ({"output_spacing": "0.9"}, 0.9),
        ({"target_modality": "FLAIR"}, "flair"),
        ({"target_modality": ""}, "t2"),
        ({"error_map": "true"}, True),
        ({"error_map": False}, False),
    ],
)
def test_values_are_understood_as_viewers_send_them(options, given, value):
    (name,) = given
    assert options.read_options(given, shown(options))[name] == value


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"target_modality": "t9"}, ["target_modality", "'t9'", "t1, pd, flair"]),
        ({"target_modality": ["t1"]}, ["target_modality", "['t1']"]),
        ({"source_modality": "$__import__('os').abort()"}, ["source_modality", "auto, t1"]),
        ({"factor": 0.5}, ["factor", "0.5", "at least 1"]),
        ({"factor": "four"}, ["factor", "'four'"]),
        ({"factor": True}, ["factor", "True"]),
        ({"factor": float("inf")}, ["factor", "inf"]),
        ({"output_spacing": 0}, ["output_spacing", "0", "mm"]),
        ({"output_spacing": "nan"}, ["output_spacing", "'nan'"]),
        ({"output_spacing": [1]}, ["output_spacing", "[1]"]),
        ({"error_map": 1}, ["error_map", "1", "true or false"]),
        ({"target": "t2"}, ["'target'", "target_modality"]),
        ({"ckpt_path": "/etc/passwd"}, ["'ckpt_path'"]),
    ],
)
def test_what_is_wrong_is_named_with_what_is_right(options, given, words):
    with pytest.raises(ValueError, match=".") as error:
        options.read_options(given, shown(options))
    assert all(word in str(error.value) for word in words) and "\n" not in str(error.value)


def test_the_examples_are_right(part):
    for name in ("lib.options", "lib.answer"):
        assert doctest.testmod(part(name)).failed == 0


def test_the_readme_has_every_option(options, part):
    text = (BUNDLES.parent / "apps" / "monailabel" / "README.md").read_text(encoding="utf-8")
    rows = set(re.findall(r"^\| `(\w+)` \|", text, flags=re.MULTILINE))
    assert rows == {*shown(options, can_store=True), "result_extension"}
    parameters = inspect.signature(part("serve").serve).parameters
    assert set(re.findall(r"`--(\w+)`", text)) == set(parameters)


def test_the_requests_of_the_readme_have_options_of_their_models(options):
    text = (BUNDLES.parent / "apps" / "monailabel" / "README.md").read_text(encoding="utf-8")
    requests = re.findall(r"^    curl -F 'params=(\{.*?\})'.*/infer/(\w+)\?", text, flags=re.MULTILINE)
    assert {model for _, model in requests} == {"unified", "sr", "cms"}
    for params, model in requests:
        options.read_options(json.loads(params), shown(options, model, can_store=True))
