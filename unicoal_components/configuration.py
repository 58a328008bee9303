"""Make mistakes in a bundle's configuration visible: MONAI adds a misspelled key in silence and buries causes."""

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
TRACKING: dict[str, Any] = DEFAULT_EXP_MGMT_SETTINGS  # by the name that `--tracking` takes
_checked: list[weakref.ref[ConfigWorkflow]] = []  # that of this process, if it still runs
MONAI_KEYS = {"_meta_", "monai_bundle"}.union(*(settings["configs"] for settings in TRACKING.values()))


def check_config(*, output_dir: str | None = None, input: Input | None = None) -> None:
    """Compare files and keys of the running workflow with those that its bundle knows; show causes of errors last.

    Options of `python -m monai.bundle run` and overlays may only set keys of the bundle's own `train.json` or
    `inference.json`, at the top and in the sections `train` and `validate`; below that stand the arguments of
    components, which refuse unknown names themselves. An overlay may lie anywhere, but not in another bundle, for whose
    task it is meant. The configuration has no way to hand itself to one of its items, so the workflow and its files are
    looked up among the callers; where there is none (a config parsed by other means), nothing is checked.

    Args:
        output_dir: folder that must be writable; `None` = no such demand.
        input: scan, folder or list of them, that must be there, see `list_images`; `None` = no such demand.

    Raises:
        ValueError: a key is unknown; the message names it and the nearest known one. Or an overlay is another bundle's.
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
    """Return the values of the training or evaluation that are the user's, for its report.

    Returns:
        The values above `imports` in `train.json`, by name, as they are in the run that `check_config` has checked,
        with overlays and options; `{}` where there is none.
    """
    workflow = _checked_workflow()
    if workflow is None:
        return {}
    content = json.loads((Path(workflow.config_root_path) / BASE_FILES[0]).read_text(encoding="utf-8"))
    names = [name for name in itertools.takewhile(lambda name: name != "imports", content) if name != "_desc_"]
    return {name: workflow.parser.get_parsed_content(name) for name in names}


def raw_parts(*, names: Sequence[str]) -> dict[str, Any]:
    """Return parts of the checked workflow's configuration as they are written, references not followed.

    Args:
        names: of the parts, such as `network_def` or `validate::inferer`.

    Returns:
        The parts by name; `{}` where `check_config` has checked none.
    """
    workflow = _checked_workflow()
    return {} if workflow is None else {name: workflow.parser.get(name) for name in names}


def check_files(files: Iterable[Path], *, folder: Path) -> None:
    """Raise ValueError if one of the config `files` belongs to another bundle than that of the configs in `folder`."""
    for file in files:
        if file.resolve().parent != folder.resolve() and (file.parent / "metadata.json").is_file():
            raise ValueError(
                f"'{file}' belongs to another bundle than the configs in '{folder}'. Use it on top of "
                f"'{file.parent / 'train.json'}' or 'inference.json' there, or copy the values that you want into a "
                "file of your own, outside of the bundles."
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
    """Print an uncaught error as Python does, then once more the words that matter to the user."""
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
    """Return the files that `monai.bundle.run` was given; the workflow keeps but what they say."""
    return [Path(file) for file in ensure_tuple(_given("config_file") or ())]


def _tracking_keys() -> set[str]:
    """Return the keys that settings of one's own, a file or a dictionary, add to the configuration."""
    given = _given("tracking")
    if given is None or (isinstance(given, str) and given in TRACKING):
        return set()
    return set(ConfigParser.load_config_files(given)["configs"])


def _given(name: str) -> Any:
    """Return an argument of the running `monai.bundle.run`, or None."""
    return next((frame.f_locals[name] for frame in _callers() if frame.f_code is run.__code__), None)


def _callers() -> Iterator[FrameType]:
    frame = inspect.currentframe()
    while frame is not None:
        yield frame
        frame = frame.f_back
