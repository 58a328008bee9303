"""Places of bundles and weights, in a checkout and in what a wheel holds."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from unicoal_components.commands import bundles

ROOT = Path(__file__).parents[2]
PYPROJECT = '[project]\nname = "x"\nversion = "1"\n[tool.setuptools]\npackages = ["unicoal_components"]\n'


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """The package as setup.py builds it; sr has the weights of unified, cms its own."""
    source = tmp_path / "source"
    (source / "unicoal_components").mkdir(parents=True)
    (source / "unicoal_components" / "__init__.py").touch()
    (source / "pyproject.toml").write_text(PYPROJECT)
    shutil.copy(ROOT / "setup.py", source)
    left = shutil.ignore_patterns("model.pt", "output", "data")
    for name in ("unified", "sr", "cms"):
        shutil.copytree(ROOT / "bundles" / name, source / "bundles" / name, ignore=left)
        (source / "bundles" / name / "models").mkdir(exist_ok=True)
        (source / "bundles" / name / "models" / "model.pt").write_text("own" if name == "cms" else "shared")
    (source / "bundles" / "unified" / "output").mkdir()
    (source / "bundles" / "unified" / "output" / "mine.pt").touch()
    command = [sys.executable, "setup.py", "--quiet", "build_py", "--build-lib", str(tmp_path / "built")]
    subprocess.run(command, cwd=source, check=True, capture_output=True)
    package = tmp_path / "built" / "unicoal_components"
    monkeypatch.setattr(bundles, "PACKAGE", package)
    return package


def test_a_wheel_holds_the_weights_that_bundles_share_once(installed):
    weights = sorted(path.relative_to(installed).as_posix() for path in installed.rglob("*.pt"))
    assert weights == ["bundles/cms/models/model.pt", "bundles/unified/models/model.pt"]
    read = {name: bundles.weights_of(bundles.bundle_folder(name)).read_text() for name in ("unified", "sr", "cms")}
    assert read == {"unified": "shared", "sr": "shared", "cms": "own"}
    assert (installed / "bundles" / "sr" / "configs" / "inference.json").is_file()


def test_a_checkout_has_its_own_bundles():
    for name in bundles.NAMES:
        assert bundles.bundle_folder(name) == ROOT / "bundles" / name
        assert bundles.weights_of(ROOT / "bundles" / name) == ROOT / "bundles" / name / "models" / "model.pt"


def test_what_is_not_there_is_named_with_what_there_is(tmp_path):
    with pytest.raises(ValueError, match="'srr' is unknown; give one of unified, sr, cms, cmsr"):
        bundles.bundle_folder("srr")
    with pytest.raises(FileNotFoundError, match=r"models/model\.pt.*--weights"):
        bundles.weights_of(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"none\.json"):
        bundles.configs_of(ROOT / "bundles" / "sr", ["train.json"], [str(tmp_path / "none.json")])


@pytest.mark.parametrize("content", ["[1]", '{"seed": 1,,}', "[" * 100_000], ids=["list", "comma", "deep"])
def test_an_overlay_that_is_no_json_object_is_named(tmp_path, content):
    (tmp_path / "overlay.json").write_text(content)
    with pytest.raises(ValueError, match=r"overlay\.json"):
        bundles.configs_of(ROOT / "bundles" / "sr", ["train.json"], [str(tmp_path / "overlay.json")])
