import json
from pathlib import Path

import pytest
from fire.parser import DefaultParseValue
from monai.bundle import ConfigParser

from unicoal_components.typed_values import PATHS, check_kind, meant, typed_options

ROOT = Path(__file__).parents[1]
ODD = [
    "100307",
    "2023_01",
    "out#1",
    "scan#2.nii.gz",
    "$x",
    "%y",
    "@seed",
    "a@b",
    "a%#b",
    "Müller Jürgen",
    "1e5",
    "it's",
]
ODD += ["007", "a::b", 'say "a"', "back\\slash", "import os", "-5", "[1].nii"]


@pytest.mark.parametrize("text", ODD)
def test_a_path_comes_through_fire_and_monai_as_typed(text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if text.startswith("["):
        Path(text).touch()  # which would be a list otherwise
    value = meant("input", text, default="@dataset_dir", parse=DefaultParseValue)
    parser = ConfigParser({"seed": 3, "input": value, "part": {"path": "@input"}})
    assert parser.get_parsed_content("part") == {"path": text}


def test_a_list_of_paths_comes_through_too():
    value = meant("input", "['a#1', '$b', c]", default="x", parse=DefaultParseValue)
    assert ConfigParser({"input": value}).get_parsed_content("input") == ["a#1", "$b", "c"]
    with pytest.raises(ValueError, match=r"input is \[100307, 2023_01\].*--input \"\['first', 'second'\]\""):
        meant("input", "[100307, 2023_01]", default="x", parse=DefaultParseValue)


@pytest.mark.parametrize(
    ("text", "default", "value"),
    [
        ("7", "t1", "7"),
        ("$@modalities[0]", "t1", "$@modalities[0]"),
        ("7", 1, 7),
        ("true", False, True),
        ("null", 1.0, None),
        ("[t1, t2]", ["t1"], ["t1", "t2"]),
        ("[t1]", "@modalities", ["t1"]),
        ("$torch.device('cpu')", "$device", "$torch.device('cpu')"),
        ("['$@check']", ["$@memory"], ["$@check"]),
    ],
)
def test_other_values_are_what_they_look_like(text, default, value):
    assert meant("name", text, default=default, parse=DefaultParseValue) == value


def test_null_is_no_path_unless_there_is_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert meant("unet", "null", default=None, parse=DefaultParseValue) is None
    Path("null").touch()
    assert meant("unet", "null", default=None, parse=DefaultParseValue) == "null"


def test_options_are_split_as_by_fire():
    words = ["run", "--a", "1", "-b", "x=y", "--c=d=e", "--flag", "--some-name", "-3", "--last", "--", "--not", "1"]
    assert typed_options(words) == {"a": "1", "b": "x=y", "c": "d=e", "some_name": "-3"}


def test_a_command_without_words_has_no_options():  # as a script that runs a bundle from Python
    assert typed_options([]) == {}


@pytest.mark.parametrize(
    ("value", "default", "wanted"),
    [
        ("fast", 0.006, "a number"),
        (True, 3, "a number"),
        ("x", 0, "a number"),
        ("yes", False, "true or false"),
        (1, True, "true or false"),
        ("t1", ["t1", "t2"], "a list"),
    ],
)
def test_a_value_of_another_kind_is_named_with_the_default(value, default, wanted):
    with pytest.raises(ValueError, match=f"learning_rate is {value!r}; it must be {wanted}"):
        check_kind("learning_rate", value, default=default)


@pytest.mark.parametrize(("value", "default"), [(None, 3), ("$1 / 3", 0.5), (2.5, 1), ({"min": 1}, [1]), ("t2", "t1")])
def test_a_value_of_the_same_kind_passes(value, default):
    check_kind("factor", value, default=default)


def test_every_value_of_the_configurations_that_is_a_path_is_known():
    names = set()
    for name in ("train", "inference"):
        config = json.loads((ROOT / "bundles" / "unified" / "configs" / f"{name}.json").read_text(encoding="utf-8"))
        names |= set(list(config)[: list(config).index("imports")])
    endings = ("_dir", "_path", "_root", "_checkpoint", "_weights", "input", "list", "unet", "_backbone")
    of_numbers = {"interpolated_input"}
    looks = {name for name in names if name.endswith(endings) and not name.endswith("sam_weight")} - of_numbers
    assert looks | {"pretrained", "segmenter"} == set(PATHS)
