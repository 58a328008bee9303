"""Checks of a bundle's configuration: MONAI silently adds misspelled keys and changes values."""

import difflib
import inspect
import itertools
import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar

from fire.parser import DefaultParseValue
from monai.bundle import ConfigParser, ConfigWorkflow, run
from monai.bundle.utils import DEFAULT_EXP_MGMT_SETTINGS
from monai.utils import ensure_tuple

from .error_report import report, report_errors
from .files.writable import check_writable
from .interruption import handle_signals
from .scans.image_paths import Input, check_images, list_images
from .typed_values import PATHS, check_kind, is_plain, literal, meant, typed_options

BASE_FILES = ("train.json", "inference.json")
SECTIONS = ("train", "validate")
TRACKING: dict[str, Any] = DEFAULT_EXP_MGMT_SETTINGS  # by the value of `--tracking`
T = TypeVar("T")
MONAI_KEYS = {"_meta_", "monai_bundle"}.union(*(settings["configs"] for settings in TRACKING.values()))


def check_config() -> None:
    """Check the running workflow before anything is computed: its files, keys, values, input and output folder.

    Options of `python -m monai.bundle run` and overlays may only set keys of the bundle's own `train.json` or
    `inference.json`, at the top level and in the sections `train` and `validate`; below are the arguments of
    components, which reject unknown names themselves. An overlay may be anywhere except in another bundle, for whose
    task it is meant. Paths and names are taken as they were typed (`typed_values`). As a command it also reports errors
    in one paragraph (`error_report`), and stops at signals (`interruption`).

    A configuration cannot pass itself to one of its items, so the workflow and its files are looked up among the
    callers; if there is none (a config parsed by other means), nothing is checked.

    Raises:
        ValueError: a key is unknown (the message names it and the closest known one), or a value of the wrong kind. Or
            an overlay is another bundle's, or is alone.
        OSError: the folder cannot be written, or there are no scans.
    """
    workflow = _caller(ConfigWorkflow)
    if workflow is None:
        return
    if _is_command():
        handle_signals()
        report_errors()
    folder, parser = Path(workflow.config_root_path), workflow.parser
    files = _config_files()
    check_files(files, folder=folder)
    bases = [
        json.loads(path.read_text(encoding="utf-8")) for path in map(folder.joinpath, BASE_FILES) if path.is_file()
    ]
    config = parser.get()  # asked for a key that is not there, the parser looks for similar ones
    if "network_def" not in config:
        raise ValueError(
            f"'{files[-1] if files else folder}' is an overlay, which only changes values. Give it after the bundle's "
            f"own: --config_file \"['{folder / BASE_FILES[0]}','{files[-1] if files else 'overlay.json'}']\"."
        )
    _take_as_typed(parser, defaults={name: value for base in bases for name, value in base.items()})
    config = parser.get()
    check_keys(_keys(config), MONAI_KEYS.union(_tracking_keys(), *map(_keys, bases)), folder=folder)
    for base in bases:
        for name in _user_names(base):
            check_kind(name, config.get(name), default=base[name])
    _check_places(parser)


def _take_as_typed(parser: ConfigParser, *, defaults: Mapping[str, Any]) -> None:
    """Set the options of the command line to what was typed, and plain paths to what is written in files."""
    given: dict[str, Any] = {}
    args_file = _given("args_file")
    for file in [*_config_files(), *([Path(args_file)] if isinstance(args_file, str) else [])]:
        given |= {name: value for name, value in ConfigParser.load_config_file(file).items() if name in PATHS}
    override = {name: value for name, value in (_given("override") or {}).items() if name in defaults}
    given |= {name: value for name, value in override.items() if name in PATHS}
    values = {name: literal(value) for name, value in given.items() if is_plain(value)}
    typed = typed_options(sys.argv[1:])
    for name in override.keys() & typed.keys():
        if DefaultParseValue(typed[name]) == override[name]:  # else the option was not from the command line
            values[name] = meant(name, typed[name], default=defaults[name], parse=DefaultParseValue)
    changed = {name: value for name, value in values.items() if value != parser.get(name)}
    if changed:
        parser.update(changed)
        parser.parse(reset=True)


def _check_places(parser: ConfigParser) -> None:
    """Check input and output folder, which errors are reported into from then on."""
    output_dir = parser.get_parsed_content("output_dir")
    images: Any = parser.get_parsed_content("input") if "input" in parser.get() else None
    if _is_command():
        hidden = _paths_of(images) if images is not None and parser.get("deidentify") is True else ()
        report_errors(folder=output_dir, debug=parser.get("debug") is True, hidden=hidden)
    if images is not None:
        check_images(images)
    check_writable(output_dir)


def _paths_of(images: Input) -> set[str]:
    """Return all spellings of the input's paths."""
    given = [images] if isinstance(images, str | os.PathLike) else list(images)
    paths = {os.fspath(path) for path in (*given, *(item["image"] for item in list_images(images)))}
    return paths | {os.path.abspath(path) for path in paths} | {os.path.realpath(path) for path in paths}


def _is_command() -> bool:
    """Return whether this process is `python -m monai.bundle`, or another command that reports errors by `report`."""
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    return sys.excepthook is report or (spec is not None and spec.name == "monai.bundle.__main__")


def user_values() -> dict[str, Any]:
    """Return the values of the training or evaluation that users set, for its report.

    Returns:
        The values above `imports` in the configuration that is being parsed, by name, with overlays and options; `{}`
        if none is.
    """
    parser = _caller(ConfigParser)
    return {} if parser is None else {name: parser.get_parsed_content(name) for name in _user_names(parser.get())}


def raw_parts(*, names: Sequence[str]) -> dict[str, Any]:
    """Return parts of the configuration that is being parsed as written, with unresolved references.

    Args:
        names: names of the parts, such as `network_def` or `validate::inferer`.

    Returns:
        The parts by name; `{}` if no configuration is being parsed.
    """
    parser = _caller(ConfigParser)
    return {} if parser is None else {name: parser.get(name) for name in names}


def check_files(files: Iterable[Path], *, folder: Path) -> None:
    """Raise ValueError if one of the config `files` belongs to another bundle than that of the configs in `folder`."""
    for file in files:
        if file.resolve().parent != folder.resolve() and (file.parent / "metadata.json").is_file():
            raise ValueError(
                f"'{file}' belongs to another bundle than the configs in '{folder}'. Use it on top of "
                f"'{file.parent / 'train.json'}' or 'inference.json' there, or copy the values that you need into a "
                "separate file outside of the bundles."
            )


def check_keys(keys: Iterable[str], known: set[str], *, folder: Path) -> None:
    """Raise ValueError if one of `keys` is not among the `known` ones of the configs in `folder`."""
    unknown = sorted(key for key in keys if key not in known)
    if not unknown:
        return
    hints = []
    for key in unknown:
        near = difflib.get_close_matches(key, known, n=1)
        hints.append(f"'{key}'" + (f" (did you mean '{near[0]}'?)" if near else ""))
    raise ValueError(
        f"unknown configuration key {', '.join(hints)}: an option or overlay may only set keys that stand in "
        f"{' or '.join(str(folder / name) for name in BASE_FILES)}. Correct the name, or leave it out."
    )


def _user_names(config: Mapping[str, Any]) -> list[str]:
    """Return the names of the values that users set: those above `imports`."""
    return [name for name in itertools.takewhile(lambda name: name != "imports", config) if name != "_desc_"]


def _keys(config: Mapping[str, Any]) -> set[str]:
    """Return the keys at the top, and those of the sections as `section::key`."""
    sections = {name: config[name] for name in SECTIONS if isinstance(config.get(name), Mapping)}
    return {*map(str, config), *(f"{name}::{key}" for name, section in sections.items() for key in section)}


def _caller(kind: type[T]) -> T | None:
    """Return the nearest object of a kind among those whose methods are running."""
    callers = (frame.f_locals.get("self") for frame in _callers())
    return next((caller for caller in callers if isinstance(caller, kind)), None)


def _config_files() -> list[Path]:
    """Return the config files given to `monai.bundle.run`; the workflow keeps their content only."""
    return [Path(file) for file in ensure_tuple(_given("config_file") or ())]


def _tracking_keys() -> set[str]:
    """Return the keys that custom tracking settings, a file or a dictionary, add to the configuration."""
    given = _given("tracking")
    if given is None or (isinstance(given, str) and given in TRACKING):
        return set()
    return set(ConfigParser.load_config_files(given)["configs"])


def _given(name: str) -> Any:
    """Return an argument of the running `monai.bundle.run`, or `None`."""
    return next((frame.f_locals[name] for frame in _callers() if frame.f_code is run.__code__), None)


def _callers() -> Iterator[FrameType]:
    frame = inspect.currentframe()
    while frame is not None:
        yield frame
        frame = frame.f_back
