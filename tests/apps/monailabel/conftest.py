"""The app's folder: its parts that need no MONAI Label, and the Python of its own environment."""

import importlib
import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
APP = ROOT / "apps" / "monailabel"
PYTHON = "UNICOAL_LABEL_PYTHON"
"""Environment variable with the Python of an environment that install.sh has made elsewhere."""


@pytest.fixture
def part(monkeypatch):
    """Import a module of the app by name, such as "lib.options"."""
    monkeypatch.syspath_prepend(str(APP))
    yield importlib.import_module
    for name in [name for name in sys.modules if name == "serve" or name.partition(".")[0] == "lib"]:
        del sys.modules[name]


@pytest.fixture(scope="session")
def server_python():
    """Python with MONAI Label; a test that uses it is skipped where there is none."""
    python = Path(os.environ.get(PYTHON) or APP / ".venv" / "bin" / "python")
    if not python.is_file():
        pytest.skip(f"no '{python}': run 'bash apps/monailabel/install.sh', or set {PYTHON}")
    return python
