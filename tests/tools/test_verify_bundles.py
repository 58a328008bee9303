"""The command that verifies bundles: what it runs, prints and returns. tests/bundles/test_checks.py has the checks."""

import importlib
import json
import logging
import shutil
from pathlib import Path

import pytest

import unicoal_components
from unicoal_components.command_line import run_command

ROOT = Path(__file__).parents[2]
QUICK = ["files", "json", "metadata", "overlays", "shared"]


@pytest.fixture
def script(monkeypatch):
    """The script, importable as when it is run."""
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    monkeypatch.setattr(logging, "disable", lambda level: None)
    return importlib.import_module("verify_bundles")


@pytest.fixture
def packed(tmp_path):
    """A bundle's folder as it is packed: with the package in its scripts, and nothing next to it."""
    ignored = shutil.ignore_patterns("__pycache__", "models", "output", "data")
    folder = Path(shutil.copytree(ROOT / "bundles" / "sr", tmp_path / "sr", ignore=ignored))
    package = folder / "scripts" / "unicoal_components"
    shutil.copytree(ROOT / "unicoal_components", package, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def results(rows):
    return {row["check"]: row["result"] for row in rows}


def test_all_bundles_pass_the_quick_checks_as_the_table_shows(script, capsys, tmp_path):
    run_command(script.main, [f"--checks={','.join(QUICK)}", f"--output={tmp_path / 'results.json'}"])
    table = capsys.readouterr().out.splitlines()
    assert table[0].split() == ["check", "cms", "cmsr", "sr", "unified"]
    assert [line.split()[0] for line in table[1:]] == QUICK
    told = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    assert results(told["sr"]) == dict.fromkeys(QUICK, "ok")
    assert results(told["unified"]) == dict.fromkeys(QUICK, "ok") | {"shared": "skipped"}
    assert all(row["seconds"] >= 0 for rows in told.values() for row in rows)


def test_a_check_that_fails_is_reported_stops_no_other_and_ends_in_status_1(script, packed, capsys):
    (packed / "configs" / "logging.conf").unlink()
    with pytest.raises(SystemExit, match="error: 2 of 5 checks failed, see above") as ending:
        run_command(script.main, [f"--path={packed}", "--checks=files,json,metadata,shared,weights"])
    assert ending.value.code != 0
    printed = capsys.readouterr().out
    cells = {line.split()[0]: line.split()[1] for line in printed.splitlines()[1:6]}
    assert cells == {"files": "FAILED", "json": "ok", "metadata": "ok", "shared": "-", "weights": "FAILED"}
    assert "sr, files: configs/logging.conf is missing" in printed
    assert f"sr, weights: there are no weights at {packed / 'models' / 'model.pt'}" in printed
    assert "there is no unified beside it" in printed


def test_a_packed_bundle_is_checked_with_the_code_that_it_holds(script, packed):
    place = packed / "scripts" / "unicoal_components" / "_version.py"
    names = ["versions", "shapes", "properties_inference"]
    assert results(script.verify(packed, names)) == dict.fromkeys(names, "ok")
    text = place.read_text(encoding="utf-8")
    place.write_text(text.replace("__version__ = ", '__version__ = "9." + '), encoding="utf-8")
    (row,) = script.verify(packed, ["versions"])
    assert row["result"] == "failed"
    told = unicoal_components.__version__
    assert f"unicoal_components is 9.{told}, the metadata say {told}" in row["remark"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--bundles=cms,srr"], "bundles: there is no 'srr'; there are cms, cmsr, sr, unified."),
        (["--checks=onxx"], "checks: there is no 'onxx'; there are files, json"),
        (["--path=nowhere"], "path 'nowhere' is no bundle, it has no configs/metadata.json"),
        (["--path=bundles/sr", "--bundles=sr"], "give one of them"),
        (["--output=LICENSE/results.json"], "cannot write '.*LICENSE'"),
    ],
)
def test_a_user_error_is_reported_before_anything_is_checked(script, monkeypatch, arguments, message):
    monkeypatch.setattr(script, "verify", lambda root, checks: pytest.fail("a check was run"))
    monkeypatch.chdir(ROOT)
    with pytest.raises(SystemExit, match=message):
        run_command(script.main, arguments)


def test_patterns_choose_checks_in_their_order_and_once(script):
    chosen = script.choose_names("onnx*,files,*x", list(script.CHECKS), field="checks")
    assert chosen == ["files", "onnx", "onnx_unicoal"]
