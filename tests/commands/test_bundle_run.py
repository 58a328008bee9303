"""Values on their way to MONAI, by configuration and by its command line."""

import shlex
from pathlib import Path

import pytest
from fire.parser import DefaultParseValue
from monai.bundle import ConfigParser

from unicoal_components.commands.bundle_run import BundleRun, Expression, for_monai, typed_value
from unicoal_components.commands.settings import read_settings

WORDS = ["scan.nii.gz", "100307", "2023_01", "1e5", "None", "True", "out#1", "$x", "$1 + 1", "@seed", "%a.json", "a%b"]
WORDS += [
    "it's",
    'a "b"',
    "['a']",
    "a,b",
    "folder::1.2.3",
    "with space",
    "-x",
    "--seed",
    "ü",
    "a\\x23b",
    "(1)",
    "",
    "##1",
]


@pytest.mark.parametrize("word", WORDS)
def test_a_word_stays_itself_in_a_configuration_and_on_the_command_line(word):
    for value in (word, [word, "other"]):
        run = BundleRun([Path("a.json")], {"given": value})
        last = shlex.split(run.command())[6:]
        typed = last[0].partition("=")[2] if len(last) == 1 else last[1]
        for understood in (for_monai(value), DefaultParseValue(typed)):
            parser = ConfigParser({"seed": 1, "given": None})
            parser["given"] = understood
            assert parser.get_parsed_content("given") == value


def test_numbers_and_expressions_are_understood_as_such():
    values = {"a": 1, "b": -1.5, "c": True, "d": None, "e": Expression("$2 * 3"), "f": [{"source": "t1", "factor": 4}]}
    words = shlex.split(BundleRun([Path("a.json"), Path("b.json")], values).command())
    assert words[:6] == ["python", "-m", "monai.bundle", "run", "--config_file", "['a.json', 'b.json']"]
    options = " ".join(words[6:])
    assert "--b=-1.5" in options and "--e $2 * 3" in options
    assert DefaultParseValue(words[-1]) == values["f"]
    parser = ConfigParser({"e": for_monai(values["e"])})
    assert parser.get_parsed_content("e") == 6


def test_settings_are_understood_as_by_monai():
    settings = read_settings(["a=1", "b=[1, 'x']", "c=$1 + 1", "d=x=y", "e=null", "f=true", "g=False"])
    assert settings == {"a": 1, "b": [1, "x"], "c": "$1 + 1", "d": "x=y", "e": None, "f": True, "g": False}
    paths = ["input", "ckpt_path"]
    assert [for_monai(read_settings([f"{name}=100#1"])[name]) for name in paths] == ["$'100\\x231'"] * 2
    assert for_monai(settings["c"]) == "$1 + 1" and typed_value("2023_01") == DefaultParseValue("2023_01")
    with pytest.raises(ValueError, match="--set is 'a'"):
        read_settings(["a"])
