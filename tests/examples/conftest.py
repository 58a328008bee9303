"""The runner and the tiny network of the bundles' tests."""

import importlib.util
from pathlib import Path

import pytest

SPEC = importlib.util.spec_from_file_location("bundles_conftest", Path(__file__).parents[1] / "bundles" / "conftest.py")
bundles = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(bundles)
weights = bundles.weights


@pytest.fixture(scope="module")
def bundle():
    """The bundle `unified`, importable as MONAI makes it, and forgotten afterwards."""
    found = bundles.Bundle("unified")
    with pytest.MonkeyPatch.context() as patch, bundles.importable(found, patch):
        yield found


@pytest.fixture(scope="session")
def tiny_sizes(tmp_path_factory):
    """Config file with the sizes of the tiny network."""
    path = tmp_path_factory.mktemp("sizes") / "tiny.json"
    path.write_text(bundles.json.dumps(bundles.NETWORK))
    return path
