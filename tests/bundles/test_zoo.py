"""The unit test that goes with a bundle to the model zoo, on a packed bundle; tools/zoo/README.md runs all of it."""

import importlib.util
import logging.config
import unittest
from pathlib import Path

import pytest

pytest.importorskip("parameterized", reason="it is in the extra `test`")
ZOO = Path(__file__).parents[2] / "tools" / "zoo"


@pytest.mark.filterwarnings("ignore:parsing config_file")
def test_inference_of_the_packed_bundle_passes_it(packed, bundle, monkeypatch):  # `bundle` restores the import system
    monkeypatch.setenv("BUNDLE_ROOT", str(packed))
    monkeypatch.setattr(logging.config, "fileConfig", lambda *names, **options: None)  # the handlers of pytest stay
    spec = importlib.util.spec_from_file_location("test_unicoal", ZOO / "test_unicoal.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    result = unittest.TestResult()
    module.TestUniCOAL("test_infer_config_0").run(result)
    assert result.testsRun == 1
    assert not result.errors + result.failures, result.errors + result.failures
    assert str(packed) in str(module.sys.modules["scripts"].__file__)
