"""Rules of the package that a test can check: import levels, sizes, docstrings."""

import ast
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "unicoal_components"
SOURCES = {path.relative_to(PACKAGE): path.read_text(encoding="utf-8") for path in sorted(PACKAGE.rglob("*.py"))}
TREES = {path: ast.parse(source) for path, source in SOURCES.items()}

# what a folder may import from beside itself
ALLOWED = {
    "files": set(),
    "geometry": set(),
    "slices": set(),
    "signal": set(),
    "runtime": {"files"},
    "networks": {"signal"},
    "losses": {"runtime", "signal"},
    "metrics": {"runtime", "slices"},
    "report": {"files", "metrics", "viewer"},
    "viewer": {"files", "geometry", "scans"},
    "scans": {"files", "geometry"},
    "datasets": {"files", "geometry", "slices"},
    "preparation": {"files", "runtime", "geometry", "slices", "scans", "datasets"},
    "simulation": {"files", "scans", "datasets", "preparation"},
    "training": {"files", "runtime", "slices", "datasets", "losses", "metrics"},
    "inference": {"files", "geometry", "slices", "scans"},
    "commands": {
        "files",
        "runtime",
        "scans",
        "datasets",
        "preparation",
        "simulation",
        "inference",
        "report",
        "viewer",
        "command_line",
        "typed_values",
    },
    "evaluation": {"files", "runtime", "slices", "scans", "datasets", "networks", "metrics", "report"},
}
EVERYWHERE = {"keys", "errors", "interruption", "_version", "__version__"}
MAX_LINES = 300
MAX_MODULES = 20


def imports(tree):
    """Yield (relative level, module path) of everything that a module imports, inside functions too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((0, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.level, node.module or ""


def imported_parts(path, tree):
    """Yield the first folder, module or name below the package that each relative import of a module reaches."""
    place = list(path.parent.parts)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level:
            target = place[: len(place) - node.level + 1] + (node.module.split(".") if node.module else [])
            yield from target[:1] or [alias.name for alias in node.names]


def offences(rule):
    """Return all that breaks a rule, `rule(path below the package, syntax tree)`, with the module's name."""
    return [f"{path}: {what}" for path, tree in TREES.items() for what in rule(path, tree)]


def wrong_imports(path, tree):
    folder = path.parts[0]
    if folder in ALLOWED:  # not a module at the top of the package
        right = ALLOWED[folder] | EVERYWHERE | {folder}
        yield from (f"{folder} imports {part}" for part in imported_parts(path, tree) if part not in right)


def own_name(path, tree):
    for level, module in imports(tree):
        if not level and module.split(".")[0] in ("unicoal_components", "scripts"):
            yield f"imports {module} by its full name"
        if level > len(path.parts):
            yield f"imports {module} from above the package"


def missing_docstrings(path, tree):
    for node in (tree, *public_definitions(tree)):
        if not ast.get_docstring(node):
            yield f"{node.name}, line {node.lineno}" if node is not tree else "the module"


def public_definitions(tree):
    """Yield public classes, functions and methods (overrides of dunder methods aside)."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_"):
            yield node
            if isinstance(node, ast.ClassDef):
                yield from public_definitions(node)


def prints_and_asserts(path, tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Assert):
            yield f"assert in line {node.lineno}"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print":
            yield f"print in line {node.lineno}"


def swallowed_names(path, tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name == "__init__" and node.args.kwarg is not None:
            yield f"line {node.lineno}"


def test_imports_run_downward_only():
    assert not offences(wrong_imports)


def test_every_folder_has_a_level():
    assert {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").exists()} == set(ALLOWED)


def test_the_levels_have_no_circle():
    left = dict(ALLOWED)
    while left:
        free = [name for name, needs in left.items() if not needs & left.keys()]
        assert free, f"a circle among {sorted(left)}"
        for name in free:
            del left[name]


def test_the_package_names_itself_nowhere_so_that_a_copy_works_under_any_parent():
    assert not offences(own_name)


def test_no_module_is_longer_than_300_lines():
    lengths = {str(path): len(source.splitlines()) for path, source in SOURCES.items()}
    assert not {path: length for path, length in lengths.items() if length >= MAX_LINES}


def test_no_folder_has_more_than_20_modules():
    folders = Counter(path.parent for path in SOURCES if path.name != "__init__.py")
    assert not {str(folder): count for folder, count in folders.items() if count > MAX_MODULES}


def test_public_modules_classes_and_functions_have_docstrings():
    assert not offences(missing_docstrings)


def test_the_package_neither_prints_nor_asserts():
    assert not offences(prints_and_asserts)


def test_constructors_swallow_no_names():
    assert not offences(swallowed_names)


def test_the_scripts_folder_is_no_package():
    assert not list((ROOT / "scripts").glob("__init__.py"))


def test_every_folder_of_the_package_is_a_package_that_holds_no_code_of_its_own():
    for folder in {path.parent for path in SOURCES} - {Path()}:
        assert len(TREES[folder / "__init__.py"].body) == 1, f"{folder}/__init__.py"


@pytest.mark.parametrize(
    ("rule", "code", "found"),
    [
        (wrong_imports, "from ..engines.trainer import UniCOALTrainer", ["networks imports engines"]),
        (wrong_imports, "def f():\n    from .. import losses", ["networks imports losses"]),
        (own_name, "import scripts.other", ["imports scripts.other by its full name"]),
        (own_name, "from unicoal_components import keys", ["imports unicoal_components by its full name"]),
        (own_name, "from ...other import name", ["imports other from above the package"]),
        (missing_docstrings, "class A:\n    def f(self): ...", ["the module", "A, line 1", "f, line 2"]),
        (prints_and_asserts, "assert f\nprint(f)", ["assert in line 1", "print in line 2"]),
        (swallowed_names, "class A:\n    def __init__(self, **rest): ...", ["line 2"]),
    ],
)
def test_a_violation_of_a_rule_is_found(monkeypatch, rule, code, found):
    place = Path("networks", "layers.py")
    assert place in TREES
    monkeypatch.setitem(TREES, place, ast.parse(code))
    assert offences(rule) == [f"{place}: {what}" for what in found]
