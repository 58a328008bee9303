"""The package is imported quickly, and a component at its first use."""

import subprocess
import sys
from pathlib import Path

import pytest

import unicoal_components

ROOT = Path(__file__).parents[1]
NOTHING_ELSE = """
import sys
before = set(sys.modules)
import unicoal_components
heavy = {name.partition(".")[0] for name in set(sys.modules) - before} - sys.stdlib_module_names
assert heavy == {"unicoal_components"}, heavy
assert "Generator" in dir(unicoal_components)
from unicoal_components import read_datalist
assert callable(read_datalist) and "torch" not in sys.modules and "monai" not in sys.modules
"""


def test_the_import_loads_no_other_package_and_the_datalist_no_torch():
    subprocess.run([sys.executable, "-c", NOTHING_ELSE], cwd=ROOT, check=True)


def test_every_name_is_that_of_its_module():
    assert unicoal_components.__all__ and set(unicoal_components.__all__) <= set(dir(unicoal_components))
    for name in unicoal_components.__all__:
        component = getattr(unicoal_components, name)
        assert component.__name__ == name and component.__module__.startswith("unicoal_components.")


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="'unicoal_components' has no attribute 'Generatr'"):
        _ = unicoal_components.Generatr


@pytest.mark.parametrize(
    "module", ["preparation.cohort", "simulation.cohort", "datasets.packed_set", "report.html_report"]
)
def test_modules_without_networks_load_neither_torch_nor_monai(module):
    code = f"import sys, unicoal_components.{module}; assert not {{'torch', 'monai', 'itk'}} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
