"""Checks of a bundle's configuration: MONAI silently adds misspelled keys and hides the causes of errors."""

import difflib
import inspect
import itertools
import json
import sys
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

from monai.bundle import ConfigParser, ConfigWorkflow, run
from monai.bundle.utils import DEFAULT_EXP_MGMT_SETTINGS
from monai.utils import ensure_tuple

from .errors import cause_of
from .files.writable import check_writable
from .scans.image_paths import Input, check_images

BASE_FILES = ("train.json", "inference.json")
SECTIONS = ("train", "validate")
TRACKING: dict[str, Any] = DEFAULT_EXP_MGMT_SETTINGS  # by the value of `--tracking`
_checked: list[weakref.ref[ConfigWorkflow]] = []  # workflow of this process, if it still exists
MONAI_KEYS = {"_meta_", "monai_bundle"}.union(*(settings["configs"] for settings in TRACKING.values()))


def check_config(*, output_dir: str | None = None, input: Input | None = None) -> None:
    """Check files and keys of the running workflow against those of its bundle, and print causes of errors last.

    Options of `python -m monai.bundle run` and overlays may only set keys of the bundle's own `train.json` or
    `inference.json`, at the top level and in the sections `train` and `validate`; below are the arguments of
    components, which reject unknown names themselves. An overlay may be anywhere except in another bundle, for whose
    task it is meant. A configuration cannot pass itself to one of its items, so the workflow and its files are
    looked up among the callers; if there is none (a config parsed by other means), nothing is checked.

    Args:
        output_dir: folder that must be writable; `None` = not checked.
        input: scan, folder or list of them, that must exist, see `list_images`; `None` = not checked.

    Raises:
        ValueError: a key is unknown; the message names it and the closest known one. Or an overlay is another bundle's.
        OSError: the folder cannot be written, or there are no scans.
    """
    workflow = _running_workflow()
    _checked.clear()
    if workflow is not None:
        _checked.append(weakref.ref(workflow))
        _check_workflow(workflow)
    if input is not None:
        check_images(input)
    if output_dir is not None:
        check_writable(output_dir)


def _check_workflow(workflow: ConfigWorkflow) -> None:
    if sys.excepthook is sys.__excepthook__:
        sys.excepthook = show_cause_last
    folder = Path(workflow.config_root_path)
    check_files(_config_files(), folder=folder)
    bases = [
        json.loads(path.read_text(encoding="utf-8")) for path in map(folder.joinpath, BASE_FILES) if path.is_file()
    ]
    known = MONAI_KEYS.union(_tracking_keys(), *map(_keys, bases))
    check_keys(_keys(workflow.parser.get()), known, folder=folder)


def user_values() -> dict[str, Any]:
    """Return the values of the training or evaluation that users set, for its report.

    Returns:
        The values above `imports` in `train.json`, by name, as in the run that `check_config` has checked, with
        overlays and options; `{}` if there is none.
    """
    workflow = _checked_workflow()
    if workflow is None:
        return {}
    content = json.loads((Path(workflow.config_root_path) / BASE_FILES[0]).read_text(encoding="utf-8"))
    names = [name for name in itertools.takewhile(lambda name: name != "imports", content) if name != "_desc_"]
    return {name: workflow.parser.get_parsed_content(name) for name in names}


def raw_parts(*, names: Sequence[str]) -> dict[str, Any]:
    """Return parts of the checked workflow's configuration as written, with unresolved references.

    Args:
        names: names of the parts, such as `network_def` or `validate::inferer`.

    Returns:
        The parts by name; `{}` if `check_config` has checked none.
    """
    workflow = _checked_workflow()
    return {} if workflow is None else {name: workflow.parser.get(name) for name in names}


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


def show_cause_last(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    """Print an uncaught error as Python does, and repeat its cause at the end."""
    sys.__excepthook__(kind, error, traceback)
    if error.__cause__ is not None:
        sys.stderr.write(f"\nerror: {cause_of(error)}\n")


def _keys(config: Mapping[str, Any]) -> set[str]:
    """Return the keys at the top, and those of the sections as `section::key`."""
    sections = {name: config[name] for name in SECTIONS if isinstance(config.get(name), Mapping)}
    return {*map(str, config), *(f"{name}::{key}" for name, section in sections.items() for key in section)}


def _checked_workflow() -> ConfigWorkflow | None:
    return _checked[0]() if _checked else None


def _running_workflow() -> ConfigWorkflow | None:
    callers = (frame.f_locals.get("self") for frame in _callers())
    return next((caller for caller in callers if isinstance(caller, ConfigWorkflow)), None)


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
