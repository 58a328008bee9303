"""Make mistakes in a bundle's configuration visible: MONAI adds a misspelled key in silence and buries causes."""

import difflib
import inspect
import json
import sys
from pathlib import Path
from types import TracebackType

from monai.bundle import ConfigWorkflow

BASE_FILES = ("train.json", "inference.json")
MONAI_KEYS = {"_meta_", "save_execute_config", "monai_bundle"}


def check_config() -> None:
    """Compare the top-level keys of the running workflow with those that its bundle knows; show causes of errors last.

    Options of `python -m monai.bundle run` and overlays may only set keys of the bundle's own `train.json` or
    `inference.json`. The configuration has no way to hand itself to one of its items, so the workflow is looked up
    among the callers; where there is none (a config parsed by other means), nothing is checked.

    Raises:
        ValueError: a key is unknown; the message names it and the nearest known one.
    """
    workflow = _running_workflow()
    if workflow is None:
        return
    if sys.excepthook is sys.__excepthook__:
        sys.excepthook = show_cause_last
    folder = Path(workflow.config_root_path)
    known: set[str] = set(MONAI_KEYS)
    for name in BASE_FILES:
        if (folder / name).is_file():
            known |= set(json.loads((folder / name).read_text(encoding="utf-8")))
    check_keys(workflow.parser.get(), known, folder=folder)


def show_cause_last(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    """Print an uncaught error as Python does, then once more the words of its first cause, which MONAI wraps."""
    sys.__excepthook__(kind, error, traceback)
    cause = error
    while cause.__cause__ is not None:
        cause = cause.__cause__
    if cause is not error:
        sys.stderr.write(f"\nerror: {cause}\n")


def check_keys(keys: object, known: set[str], *, folder: Path) -> None:
    """Raise ValueError if one of `keys` is not among the `known` ones of the configs in `folder`."""
    unknown = [str(key) for key in keys if str(key) not in known]  # type: ignore[attr-defined]
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


def _running_workflow() -> ConfigWorkflow | None:
    frame = inspect.currentframe()
    while frame is not None:
        candidate = frame.f_locals.get("self")
        if isinstance(candidate, ConfigWorkflow):
            return candidate
        frame = frame.f_back
    return None
