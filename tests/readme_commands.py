"""Find the commands in the documentation, and say what is wrong with one without running it."""

import ast
import importlib.util
import inspect
import io
import itertools
import re
import shlex
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import redirect_stderr
from functools import cache
from pathlib import Path

import monai.bundle
import pytest
from cyclopts import CycloptsError, MissingArgumentError
from fire.parser import DefaultParseValue
from monai.bundle import ConfigParser
from monai.bundle.utils import DEFAULT_EXP_MGMT_SETTINGS

from unicoal_components.command_line import new_app
from unicoal_components.commands.app import make_app

ROOT = Path(__file__).parents[1]
FOLDERS = ("scripts/", "tools/", "examples/", "apps/")
PLACES = ("*.md", "docs/*.md", "bundles/*/docs/*.md", "apps/*/README.md")
DOCUMENTS = sorted(path.relative_to(ROOT) for place in PLACES for path in ROOT.glob(place))
EQUATIONS = {Path("docs/method.md")}  # its blocks are no commands
INLINE = re.compile(r"(?<!`)`([^`\n]+(?:\n[^`\n]+)?)`(?!`)")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
TOOLS = {  # programs of others, with the subcommands that we use; None = it has none
    "git": {"clone", "lfs"},
    "mlflow": {"ui", "server"},
    "pre-commit": {"install"},
    "ruff": {"check", "format"},
    "docker": {"build", "run", "stop"},
    "curl": None,  # its requests are sent by tests/apps/monailabel
    "export": None,
    "tensorboard": None,
    "mypy": None,
    "source": None,
    "zip": None,
    "unzip": None,
}
PACKAGES = {"pre-commit", "mlflow", "holoscan-cli"}  # that one may be told to install though no extra asks for them
PYTHON = re.compile(r"(\S+/bin/)?python3?")


def commands_of(document: Path) -> list[str]:
    """Give every command of a document, one of `DOCUMENTS`."""
    found = commands((ROOT / document).read_text(encoding="utf-8"))
    return [command for command in found if _begins_as_command(command)] if document in EQUATIONS else found


def commands(text: str) -> list[str]:
    """Give every command: lines of code blocks, and words between backticks that begin as a command does."""
    prose = _prose(text)
    rest = "\n".join(line for line in prose.splitlines() if not line.startswith("    "))
    spans = [" ".join(span.split()) for span in INLINE.findall(rest)]
    return blocks(text) + [span for span in spans if _begins_as_command(span)]


def blocks(text: str) -> list[str]:
    """Give the commands in code blocks."""
    return [line.strip() for line in _joined(_code_lines(_prose(text)))]


def _prose(text: str) -> str:
    """Give the text with fenced commands indented, and without fenced code."""
    return FENCE.sub(lambda fence: "" if fence[1] in ("python", "text") else _indented(fence[2]), text)


def python_blocks(text: str) -> list[str]:
    """Give the fenced blocks of Python."""
    return [code for language, code in FENCE.findall(text) if language == "python"]


def problem(command: str) -> str | None:
    """Say what is wrong with a command, or None."""
    words = shlex.split(re.sub(r"\s+#\s.*", "", command))  # "#" within a word is a part of a key
    parts = [list(part) for is_and, part in itertools.groupby(words, lambda word: word == "&&") if not is_and]
    return next(filter(None, map(_problem, parts)), None)


def _indented(block: str) -> str:
    return "\n" + "".join(f"    {line}\n" for line in block.splitlines()) + "\n"


def _code_lines(text: str) -> Iterator[str]:
    """Yield lines indented by four spaces that stand after an empty line or another such line."""
    is_code, after_empty = False, True
    for line in text.splitlines():
        is_code = line.startswith("    ") and (is_code or after_empty)
        after_empty = not line.strip()
        if is_code and line.strip() and not line.strip().startswith("#"):
            yield line


def _joined(lines: Iterator[str]) -> Iterator[str]:
    """Put lines that end in a backslash and the next one together."""
    whole = ""
    for line in lines:
        whole += line.strip()
        if whole.endswith("\\"):
            whole = whole[:-1]
        else:
            yield whole
            whole = ""


def _begins_as_command(span: str) -> bool:
    first, _, rest = span.partition(" ")
    return bool(rest) and (
        first in {"python", "bash", "sbatch", "torchrun", "pip", "unicoal", *TOOLS} or first.startswith(FOLDERS)
    )


def _problem(words: list[str]) -> str | None:
    while words and re.fullmatch(r"\w+=.*", words[0]):
        words = words[1:]
    if words and PYTHON.fullmatch(words[0]):
        words = ["python", *words[1:]]
    match words:
        case ["python", "-m", "venv", _]:
            return None
        case ["python", "-m", "pip", *rest]:
            return _problem(["pip", *rest])
        case ["python", "-m", "monai.bundle", name, *options]:
            return _problem_of_bundle(name, options)
        case ["torchrun", *rest] if " -m monai.bundle run " in f"{shlex.join(rest)} ":
            launch, options = rest[: rest.index("-m")], rest[rest.index("-m") + 3 :]
            unknown = [word for word in launch if not re.fullmatch(r"--(nnodes|nproc_per_node|rdzv_\w+)=\S+", word)]
            return f"torchrun: unknown option {unknown[0]}" if unknown else _problem_of_bundle("run", options)
        case ["python", "-m", "pytest", *targets]:
            return _missing(targets)
        case ["unicoal", *options] | ["python", "-m", "scripts.unicoal_components" | "unicoal_components", *options]:
            return _problem_of_usage(make_app(), options)
        case ["python", str(path), *options] if path.startswith(FOLDERS):
            return _problem_of_script(path, options)
        case [str(path), *options] if path.startswith(FOLDERS):
            return _problem_of_script(path, options)
        case ["bash" | "sbatch", str(path), *options]:
            return _missing([path]) or _problem_of_shell(path, options)
        case ["pip", "install", *targets]:
            return _problem_of_install(targets)
        case ["cd", str(folder)]:
            return _missing([folder])
        case [str(tool), *rest] if tool in TOOLS:
            subcommands = TOOLS[tool]
            unknown = subcommands is not None and (not rest or rest[0] not in subcommands)
            return f"{tool}: unknown subcommand {rest[:1]}" if unknown else None
    return f"unknown command: teach the test: {' '.join(words)}"


def _missing(paths: Sequence[str]) -> str | None:
    """Name a path of the repository that is not there; placeholders such as <package> stand for any."""
    fixed = [re.split(r"<", path)[0] for path in paths if not path.startswith("-")]
    return next((f"{path} is not there" for path in fixed if path and not (ROOT / path).exists()), None)


def _problem_of_script(path: str, options: list[str]) -> str | None:
    if not (ROOT / path).is_file():
        return f"{path} is not there"
    main = _main(path)
    if main.__name__ == "arguments":
        return _problem_of_arguments(main, options)
    app = new_app()
    app.default(main)
    return _problem_of_usage(app, options)


def _problem_of_arguments(parse, options: list[str]) -> str | None:
    """Say what a parser of argparse says."""
    said = io.StringIO()
    try:
        with redirect_stderr(said):
            parse(options)
    except SystemExit:
        return said.getvalue().strip().splitlines()[-1]
    return None


def _problem_of_usage(app, options: list[str]) -> str | None:
    try:
        app.parse_args(options, exit_on_error=False, print_error=False)
    except MissingArgumentError as error:
        # a command that is only mentioned with one of its options is no whole command
        return str(error) if len(options) > 2 or "Did you mean" in str(error) else None
    except CycloptsError as error:
        return str(error)
    return None


@cache
def _main(path: str):
    """Import a script by its path and give the function that it hands to `run_command`, or its own `arguments`."""
    source = (ROOT / path).read_text(encoding="utf-8")
    spec = importlib.util.spec_from_file_location(Path(path).stem, ROOT / path)
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend((ROOT / path).parent)  # as Python does for a script, which may import its neighbors
        spec.loader.exec_module(module)
    named = re.search(r"^    run_command\((\w+)", source, flags=re.MULTILINE)
    return getattr(module, named[1] if named else "arguments")


def _problem_of_shell(path: str, options: list[str]) -> str | None:
    source = (ROOT / path).read_text(encoding="utf-8")
    return next((f"{path} does not know {word}" for word in options if not re.search(rf"{word}\b", source)), None)


def _problem_of_install(targets: list[str]) -> str | None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    lists = [target for option, target in itertools.pairwise(targets) if option == "-r"]
    if _missing(lists):
        return _missing(lists)
    asked = [*itertools.chain(*extras.values()), *_lines(*(ROOT / "apps").glob("*/requirements.txt"))]
    for target in targets:
        name, extra = re.fullmatch(r"([^\[\]=]*)(?:\[(\w+)\])?(?:==[\d.]+)?", target).groups()
        if name == "." and extra in (None, *extras) or name in ("-e", "-r", *lists) or (name in PACKAGES and not extra):
            continue
        if not any(re.match(rf"{re.escape(name)}\b", wanted) for wanted in asked):
            return f"pip install: {target} is no extra and no package that the project asks for"
    return None


def _lines(*paths: Path) -> list[str]:
    return [line for path in paths for line in path.read_text(encoding="utf-8").splitlines()]


def read_options(words: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """Divide the words behind a command into those before the first option, and the options with their values."""
    first = next((index for index, word in enumerate(words) if word.startswith("--")), len(words))
    positional, rest = list(words[:first]), list(words[first:])
    flat = list(itertools.chain(*(word.split("=", 1) if word.startswith("--") else [word] for word in rest)))
    if len(flat) % 2 or any(not name.startswith("--") or value.startswith("--") for name, value in _pairs(flat)):
        raise ValueError(f"an option without a value, or a value without an option, in: {' '.join(rest)}")
    return positional, {name.removeprefix("--"): value for name, value in _pairs(flat)}


def _pairs(words: Sequence[str]) -> list[tuple[str, str]]:
    return list(zip(words[::2], words[1::2], strict=False))


def config_files(text: str) -> list[str]:
    """Give the files of a `--config_file`: one, or a list of them as Python writes it."""
    return ast.literal_eval(text) if text.startswith("[") else [text]


def _problem_of_bundle(name: str, words: list[str]) -> str | None:
    function = getattr(monai.bundle, name, None)
    if not callable(function):
        return f"monai.bundle has no command {name}"
    if not words:
        return None  # it is only mentioned
    try:
        positional, options = read_options(words)
    except ValueError as error:
        return str(error)
    parameters = inspect.signature(function).parameters
    named = [key for key, parameter in parameters.items() if parameter.kind is not parameter.VAR_KEYWORD]
    if len(positional) > len(named):
        return f"{name} takes no words such as {positional[-1]}"
    paths = [path for key in ("config_file", "meta_file") if key in options for path in config_files(options[key])]
    paths += [value for value in options.values() if re.match(r"bundles/\w+/(configs|models)/[^']*$", value)]
    gone = _missing(paths)
    if gone:
        return gone
    overrides = {key: DefaultParseValue(value) for key, value in options.items() if key not in named}
    if "config_file" not in options:
        return f"{name} without --config_file" if "config_file" in named else _unknown(overrides, set(), name)
    return _problem_of_values(config_files(options["config_file"]), overrides, options.get("tracking"))


def _problem_of_values(files: list[str], overrides: dict, tracking: str | None) -> str | None:
    """Merge the configs as MONAI does, and evaluate every value above the wiring."""
    config = ConfigParser.load_config_files([str(ROOT / file) for file in files])
    added = DEFAULT_EXP_MGMT_SETTINGS[tracking]["configs"] if tracking in DEFAULT_EXP_MGMT_SETTINGS else {}
    unknown = _unknown(overrides, {*config, *added}, files[0])
    if unknown or "imports" not in config:
        return unknown or f"{files[0]} is no complete config"
    parser = ConfigParser(config)
    parser.update(overrides)
    for key in list(config)[: list(config).index("imports")]:
        try:
            parser.get_parsed_content(key)
        except Exception as error:  # noqa: BLE001 - whatever MONAI raises, the command is wrong
            return f"{key} cannot be evaluated: {error}"
    return None


def _unknown(overrides: dict, known: set[str], where: str) -> str | None:
    return next((f"{key} is unknown to {where}" for key in overrides if re.split("#|::", key)[0] not in known), None)
