"""The command that packs bundles; tests/bundles/test_packed.py runs what it packs."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from zipfile import ZIP_STORED, ZipFile

import pytest

import unicoal_components
from unicoal_components.commands.pack import pack as pack_bundle

ROOT = Path(__file__).parents[2]
PACKAGE = Path(unicoal_components.__file__).parent
NAMES = ("cms", "cmsr", "sr", "unified")
LEFT_BEHIND = shutil.ignore_patterns("__pycache__", "models", "output", "data", "eval")


@pytest.fixture
def bundles(tmp_path):
    """A copy of the bundles' sources, each with separate weights."""
    folder = Path(shutil.copytree(ROOT / "bundles", tmp_path / "bundles", ignore=LEFT_BEHIND))
    for name in NAMES:
        (folder / name / "models").mkdir()
        (folder / name / "models" / "model.pt").write_bytes(f"weights of {name}".encode())
    return folder


def version(name):
    return json.loads((ROOT / "bundles" / name / "configs" / "metadata.json").read_text())["version"]


def change(bundles, name, *left_out, **values):
    path = bundles / name / "configs" / "metadata.json"
    metadata = json.loads(path.read_text()) | values
    path.write_text(json.dumps({key: value for key, value in metadata.items() if key not in left_out}))


def packed(output, name):
    """Map every file of a bundle's zip to its content."""
    with ZipFile(output / f"unicoal_{name}_v{version(name)}.zip") as archive:
        return {path: archive.read(path) for path in archive.namelist()}


def files(folder):
    found = (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def test_a_zip_holds_the_bundle_and_the_package_and_nothing_else(bundles, tmp_path):
    expected = {name: files(bundles / name) for name in NAMES}
    for name in NAMES:
        junk = ("output/checkpoint.pt", "data/datalist.json", "eval/schema.json", "models/model.ts", "configs/own.txt")
        for path in (*junk, "docs/.hidden", "scripts/__pycache__/x.pyc", "scripts/unicoal_components/old.py", "x.tmp"):
            (bundles / name / path).parent.mkdir(parents=True, exist_ok=True)
            (bundles / name / path).write_text("junk")
    pack_bundle(folder=str(bundles), output=str(tmp_path / "out"))
    package = {f"scripts/unicoal_components/{path}": content for path, content in files(PACKAGE).items()}
    for name in NAMES:
        content = packed(tmp_path / "out", name)
        assert content == {f"unicoal_{name}/{path}": data for path, data in (expected[name] | package).items()}
    assert len(list((tmp_path / "out").iterdir())) == 4


def test_templates_are_in_zips_and_in_wheels(bundles, tmp_path):
    """What setuptools builds from the package's settings is what a wheel holds."""
    templates = {path for path in files(PACKAGE) if not path.endswith(".py")}
    assert {"report/templates/report.html.j2", "viewer/templates/viewer.js"} <= templates
    pack_bundle(bundles="sr", folder=str(bundles), output=str(tmp_path))
    assert {f"unicoal_sr/scripts/unicoal_components/{path}" for path in templates} <= packed(tmp_path, "sr").keys()
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    shutil.copytree(PACKAGE, tmp_path / "source" / PACKAGE.name, ignore=LEFT_BEHIND)
    script = (
        "import setuptools; setuptools.setup(name='x', version='1', "
        f"packages=setuptools.find_namespace_packages(include={settings['packages']['find']['include']}), "
        f"package_data={settings['package-data']}, script_args=['--quiet', 'build_py', '--build-lib', '../built'])"
    )
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path / "source", check=True)
    assert files(tmp_path / "built" / PACKAGE.name) == files(PACKAGE)


def test_the_same_files_give_the_same_bytes_at_any_time_for_any_user_in_any_folder(bundles, tmp_path, monkeypatch):
    pack_bundle(bundles=["sr", "unified"], folder=str(bundles), output=str(tmp_path / "first"))
    other = Path(shutil.copytree(bundles, tmp_path / "elsewhere" / "other name"))
    for age, path in enumerate(sorted(other.rglob("*"))):
        path.chmod(0o755 if path.is_dir() or age % 2 else 0o600)
        os.utime(path, (10**9, 10**9 + age))
    monkeypatch.chdir(other.parent)
    mask = os.umask(0o077)
    try:
        pack_bundle(bundles=("unified", "sr"), folder="other name", output="second")
    finally:
        os.umask(mask)
    first, second = files(tmp_path / "first"), files(other.parent / "second")
    assert len(first) == 2
    assert first == second


def test_entries_are_sorted_and_carry_nothing_of_this_computer(bundles, tmp_path):
    pack_bundle(bundles="cms", folder=str(bundles), output=str(tmp_path))
    with ZipFile(tmp_path / f"unicoal_cms_v{version('cms')}.zip") as archive:
        entries = archive.infolist()
    assert [entry.filename for entry in entries] == sorted(entry.filename for entry in entries)
    assert {entry.date_time for entry in entries} == {(1980, 1, 1, 0, 0, 0)}
    assert {entry.external_attr >> 16 for entry in entries} == {0o100644}
    assert {(entry.create_system, entry.compress_type, entry.extra) for entry in entries} == {(3, ZIP_STORED, b"")}


def test_a_changed_file_gives_other_bytes_and_replaces_the_earlier_zip(bundles, tmp_path):
    (tmp_path / "out").mkdir()
    pack_bundle(bundles="sr", folder=str(bundles), output=str(tmp_path / "out"))
    before = files(tmp_path / "out")
    (bundles / "sr" / "models" / "model.pt").write_bytes(b"better weights")
    pack_bundle(bundles="sr", folder=str(bundles), output=str(tmp_path / "out"))
    assert files(tmp_path / "out").keys() == before.keys()
    assert files(tmp_path / "out") != before


def test_without_weights_there_are_none(bundles, tmp_path):
    shutil.rmtree(bundles / "sr" / "models")
    pack_bundle(bundles=["sr", "unified"], folder=str(bundles), output=str(tmp_path / "out"), without_weights=True)
    for name in ("sr", "unified"):
        content = packed(tmp_path / "out", name)
        assert f"unicoal_{name}/configs/train.json" in content
        assert not any("/models/" in path for path in content)


def test_the_command_logs_name_size_and_checksum(bundles, tmp_path, unicoal, caplog):
    unicoal("bundle", "pack", "--bundles", "cms,sr", "--folder", bundles, "--output", tmp_path / "out")
    for name, said in zip(("cms", "sr"), caplog.messages, strict=True):
        content = (tmp_path / "out" / f"unicoal_{name}_v{version(name)}.zip").read_bytes()
        path = tmp_path / "out" / f"unicoal_{name}_v{version(name)}.zip"
        checksum = hashlib.sha256(content).hexdigest()
        assert said == f"wrote {path}, {len(content) / 1e6:.2f} MB, SHA-256 {checksum}"


@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        ({"version": "0.9.0"}, "changelog in .*sr/configs/metadata.json' has no entry for version 0.9.0; say there"),
        ({"version": "../1"}, r"version in .*sr/configs/metadata.json' is '../1'; it must be three numbers"),
        ({"version": None}, "version in .*sr/configs/metadata.json' is None; it must be three numbers"),
        (
            {"unicoal_components_version": "0.0.1"},
            "unicoal_components_version in .* is '0.0.1', but .* Try the bundle with that package, then set the value",
        ),
    ],
)
def test_metadata_that_do_not_fit_are_refused_and_nothing_is_packed(bundles, tmp_path, metadata, words):
    change(bundles, "sr", **metadata)
    with pytest.raises(ValueError, match=words):
        pack_bundle(bundles=["unified", "sr"], folder=str(bundles), output=str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_metadata_that_lack_a_key_or_are_no_json_are_refused(bundles, tmp_path):
    for key in ("version", "changelog", "unicoal_components_version"):
        change(bundles, "cms", key)
        with pytest.raises(ValueError, match=f"{key} in .*cms/configs/metadata.json'"):
            pack_bundle(bundles="cms", folder=str(bundles), output=str(tmp_path / "out"))
        shutil.copy(ROOT / "bundles" / "cms" / "configs" / "metadata.json", bundles / "cms" / "configs")
    (bundles / "cms" / "configs" / "metadata.json").write_text("{,}")
    with pytest.raises(ValueError, match=r"cms/configs/metadata.json' is no JSON: .*line 1.*Correct it"):
        pack_bundle(bundles="cms", folder=str(bundles), output=str(tmp_path / "out"))


def test_missing_weights_are_an_error_with_remedies_and_nothing_is_packed(bundles, tmp_path):
    (bundles / "cmsr" / "models" / "model.pt").unlink()
    with pytest.raises(FileNotFoundError, match=r"cmsr/models/model.pt' are not there. Train .* --without_weights"):
        pack_bundle(folder=str(bundles), output=str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_large_weights_are_refused_unless_allowed(bundles, tmp_path):
    (bundles / "sr" / "models" / "model.pt").write_bytes(bytes(25_100_000))
    options = {"bundles": "sr", "folder": str(bundles), "output": str(tmp_path / "out")}
    with pytest.raises(ValueError, match=r"have 25.1 MB; more than 25 MB .* or --largest_weights 25.2 to share"):
        pack_bundle(**options)
    pack_bundle(**options, largest_weights=25.2)
    assert len(packed(tmp_path / "out", "sr")["unicoal_sr/models/model.pt"]) == 25_100_000


@pytest.mark.parametrize("name", ["unifid", "", "sr/"])
def test_an_unknown_bundle_is_refused_with_the_names_that_there_are(bundles, tmp_path, name):
    with pytest.raises(FileNotFoundError, match=f"'{re.escape(name)}' is no bundle .*: cms, cmsr, sr, unified"):
        pack_bundle(bundles=name, folder=str(bundles), output=str(tmp_path / "out"))


@pytest.mark.parametrize("path", ["LICENSE", "configs/logging.conf", "docs", "scripts/__init__.py"])
def test_a_bundle_that_lacks_a_file_is_refused(bundles, tmp_path, path):
    missing = bundles / "unified" / path
    shutil.rmtree(missing) if missing.is_dir() else missing.unlink()
    with pytest.raises(FileNotFoundError, match=rf"unified' lacks {path}.*; restore it"):
        pack_bundle(bundles="unified", folder=str(bundles), output=str(tmp_path / "out"))
