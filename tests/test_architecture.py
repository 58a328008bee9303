"""Rules of the house that a machine can check (see the design: levels, sizes, docstrings)."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "unicoal_components"
MODULES = sorted(PACKAGE.rglob("*.py"))
NAMES = [str(path.relative_to(PACKAGE)) for path in MODULES]
TREES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in MODULES}

# what a folder may import from beside itself
ALLOWED = {
    "files": set(),
    "geometry": set(),
    "slices": set(),
    "signal": set(),
    "runtime": {"files"},
    "networks": {"signal"},
    "losses": {"signal"},
    "metrics": {"slices"},
    "report": {"files", "metrics"},
    "scans": {"files", "geometry"},
    "datasets": {"files", "geometry", "slices"},
    "preparation": {"files", "runtime", "geometry", "slices", "scans", "datasets"},
    "simulation": {"files", "scans", "datasets", "preparation"},
    "training": {"files", "runtime", "slices", "datasets", "losses", "metrics"},
    "inference": {"files", "geometry", "slices", "scans"},
    "evaluation": {"files", "runtime", "slices", "scans", "datasets", "networks", "metrics", "report"},
}
EVERYWHERE = {"keys", "errors", "_version", "__version__"}
MAX_LINES = 300


def imports(path):
    """Yield (relative level, module path) of everything that a module imports, inside functions too."""
    for node in ast.walk(TREES[path]):
        if isinstance(node, ast.Import):
            yield from ((0, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.level, node.module or ""


def imported_parts(path):
    """Yield the first folder, module or name below the package that each relative import of a module reaches."""
    place = list(path.relative_to(PACKAGE).parent.parts)
    for node in ast.walk(TREES[path]):
        if isinstance(node, ast.ImportFrom) and node.level:
            target = place[: len(place) - node.level + 1] + (node.module.split(".") if node.module else [])
            yield from target[:1] or [alias.name for alias in node.names]


@pytest.mark.parametrize("path", MODULES, ids=NAMES)
def test_imports_run_downward_only(path):
    folder = path.relative_to(PACKAGE).parts[0]
    if folder not in ALLOWED:
        pytest.skip("a module at the top of the package")
    for part in imported_parts(path):
        assert part in ALLOWED[folder] | EVERYWHERE | {folder}, f"{folder} imports {part}"


def test_every_folder_has_a_level():
    assert {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").exists()} == set(ALLOWED)


def test_the_levels_have_no_circle():
    left = dict(ALLOWED)
    while left:
        free = [name for name, needs in left.items() if not needs & left.keys()]
        assert free, f"a circle among {sorted(left)}"
        for name in free:
            del left[name]


@pytest.mark.parametrize("path", MODULES, ids=NAMES)
def test_the_package_names_itself_nowhere_so_that_a_copy_works_under_any_parent(path):
    for level, module in imports(path):
        assert level or module.split(".")[0] not in ("unicoal_components", "scripts")
        assert level <= len(path.relative_to(PACKAGE).parts)


@pytest.mark.parametrize("path", MODULES, ids=NAMES)
def test_no_module_is_longer_than_300_lines(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) < MAX_LINES


@pytest.mark.parametrize("path", MODULES, ids=NAMES)
def test_public_modules_classes_and_functions_have_docstrings(path):
    assert ast.get_docstring(TREES[path]), "the module"
    for node in public_definitions(TREES[path]):
        assert ast.get_docstring(node), f"{node.name}, line {node.lineno}"


def public_definitions(tree):
    """Yield public classes, functions and methods (overrides of dunder methods aside)."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_"):
            yield node
            if isinstance(node, ast.ClassDef):
                yield from public_definitions(node)


@pytest.mark.parametrize("path", MODULES, ids=NAMES)
def test_the_package_neither_prints_nor_asserts(path):
    for node in ast.walk(TREES[path]):
        assert not isinstance(node, ast.Assert), f"assert in line {node.lineno}"
        is_print = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
        assert not is_print, f"print in line {node.lineno}"


@pytest.mark.parametrize("path", MODULES, ids=NAMES)
def test_constructors_swallow_no_names(path):
    for node in ast.walk(TREES[path]):
        if isinstance(node, ast.FunctionDef) and node.name == "__init__":
            assert node.args.kwarg is None, f"line {node.lineno}"


def test_the_scripts_folder_is_no_package():
    assert not list((ROOT / "scripts").glob("__init__.py"))


def test_every_folder_of_the_package_is_a_package_that_holds_no_code_of_its_own():
    for folder in {path.parent for path in MODULES} - {PACKAGE}:
        body = ast.parse((folder / "__init__.py").read_text(encoding="utf-8")).body
        assert len(body) == 1, f"{folder.name}/__init__.py"


def test_a_wrong_import_would_be_seen():
    place = PACKAGE / "networks" / "layers.py"
    TREES[place], kept = ast.parse("from ..engines.trainer import UniCOALTrainer"), TREES[place]
    try:
        with pytest.raises(AssertionError, match="networks imports engines"):
            test_imports_run_downward_only(place)
    finally:
        TREES[place] = kept
