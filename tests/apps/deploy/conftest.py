import importlib
import json
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
DEPLOY = ROOT / "apps" / "deploy"


@pytest.fixture
def deploy(monkeypatch):
    """Importer of the app's modules, which find their neighbors as in a script: `deploy("study")`."""
    monkeypatch.syspath_prepend(str(DEPLOY))
    yield importlib.import_module
    for path in DEPLOY.glob("*.py"):
        sys.modules.pop(path.stem, None)


@pytest.fixture
def bundle(tmp_path):
    """A bundle whose run writes the values that it was given to `values.json` in its folder."""
    folder = tmp_path / "a bundle"
    names = ["input", "output_dir", "bundle_root", "ckpt_path"]
    names += ["source_modality", "target_modality", "factor", "output_format"]
    config = dict.fromkeys(names, "unset") | {
        "modalities": ["t1", "t2"],
        "imports": ["$import json", "$import pathlib"],
    }
    values = ", ".join(f"{name!r}: @{name}" for name in names)
    write = f"$pathlib.Path({str(folder / 'values.json')!r}).write_text(json.dumps({{{values}}}))"
    config |= {"run": [write], "initialize": [], "finalize": []}
    (folder / "configs").mkdir(parents=True)
    (folder / "configs" / "inference.json").write_text(json.dumps(config))
    (folder / "configs" / "metadata.json").write_text(json.dumps({"name": "fake", "version": "1.0.0"}))
    return folder
