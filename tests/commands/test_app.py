"""The list of commands and their help."""

import inspect
import subprocess
import sys
from pathlib import Path

import docstring_parser
import pytest

from unicoal_components import __version__
from unicoal_components.command_line import run_app
from unicoal_components.commands.app import BUNDLE_COMMANDS, COMMANDS, is_listing, make_app

ROOT = Path(__file__).parents[2]
LIGHT = """
import sys
sys.argv = ["unicoal", "--help"]
from unicoal_components.commands.app import main
main()
heavy = {"torch", "monai", "numpy", "scipy", "fire", "tqdm"} & set(sys.modules)
assert not heavy, heavy
"""


def said(capsys, *words):
    capsys.readouterr()
    run_app(make_app(listing=is_listing(words)), words)
    return " ".join(capsys.readouterr().out.split())


def test_the_list_of_commands_loads_none_of_them():
    process = subprocess.run([sys.executable, "-c", LIGHT], cwd=ROOT, capture_output=True, text=True, check=True)
    assert all(name in process.stdout for name in COMMANDS)


def test_the_list_says_what_each_command_does(capsys):
    listed = said(capsys, "--help")
    assert all(name in listed and line.split()[0] in listed for name, (_, line) in COMMANDS.items())
    assert BUNDLE_COMMANDS["pack"][1].split()[0] in said(capsys, "bundle", "--help")
    assert said(capsys, "--version") == __version__


@pytest.mark.parametrize("words", [(name,) for name in COMMANDS] + [("bundle", name) for name in BUNDLE_COMMANDS])
def test_the_help_of_a_command_has_an_example_and_explains_each_option(capsys, words):
    text = said(capsys, *words, "--help")
    assert f"unicoal {' '.join(words)} " in text.partition("Options")[0].partition("Usage:")[2].partition(".")[2]
    app = make_app()
    for word in words:
        app = app[word]
    second = inspect.getdoc(app.default_command).split("\n\n")[1]
    assert not second.startswith(" "), "an example right after the first sentence is shown without its line breaks"
    explained = {item.arg_name for item in docstring_parser.parse(app.default_command.__doc__).params}
    assert explained == set(inspect.signature(app.default_command).parameters)


def test_an_unknown_command_is_named_with_a_near_one(capsys):
    with pytest.raises(SystemExit) as stop:
        run_app(make_app(), ["synthesise", "x"])
    told = capsys.readouterr().err
    assert stop.value.code == 2 and "synthesise" in told and "synthesize" in told


def test_there_is_a_completion_script_with_the_commands_and_options():
    script = make_app().generate_completion(shell="bash")
    assert "synthesize" in script and "--spacing" in script
