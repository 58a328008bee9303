"""Errors of a command: one paragraph on the terminal, and the traceback in a file beside the output."""

import contextlib
import gc
import logging
import os
import re
import sys
import traceback as tracebacks
import warnings
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType

from ignite.engine import Engine, Events

from . import interruption
from .errors import cause_of, is_user_error, layers
from .files.atomic import atomic_path
from .files.claim import is_claimed_elsewhere

LOG = "error.log"
LIBRARIES = r"(torch|torchvision|monai|ignite|tensorboard)\b"
REPEATED = "is terminating due to exception"
"""What ignite logs of an error that is raised, and reported, anyway."""


class _Report:
    folder: Path | None = None
    debug = False
    hidden: re.Pattern | None = None


def report_errors(*, folder: str | os.PathLike | None = None, debug: bool = False, hidden: Iterable[str] = ()) -> None:
    """Report uncaught errors of this process, and signals that stop it, in one paragraph.

    Args:
        folder: folder of the output, for `error.log`; `None` = no file.
        debug: print tracebacks on the terminal.
        hidden: paths that must not be reported or logged, such as names of patients.
    """
    paths = sorted({str(path) for path in hidden} - {"", ".", ".."}, key=len, reverse=True)
    _Report.folder, _Report.debug = None if folder is None else Path(folder), debug
    pattern = rf"(?<![\w./])({'|'.join(map(re.escape, paths))})((/|::)[^'\",;\s]*)?(?!\w)"
    _Report.hidden = re.compile(pattern) if paths else None
    sys.excepthook = report
    for library in (FutureWarning, DeprecationWarning):
        warnings.filterwarnings("ignore", category=library, module=LIBRARIES)
    if paths:
        logging.captureWarnings(True)
    loggers = [logging.root, *logging.root.manager.loggerDict.values()]
    for handler in {handler for logger in loggers for handler in getattr(logger, "handlers", ())}:
        if not any(isinstance(known, _Filter) for known in handler.filters):
            handler.addFilter(_Filter())


def report(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    """Report an uncaught error: the `sys.excepthook` of commands.

    Raises:
        SystemExit: the error is a signal; the status is 128 + its number.
    """
    if interruption.requested() and not is_user_error(error):
        if os.environ.get("RANK", "0") == "0":
            name, advice = interruption.Stopped(interruption.requested()), interruption.advice()
            sys.stderr.write(_without_paths(f"\n{name}: {advice or interruption.DEFAULT_ADVICE}\n"))
        gc.freeze()  # else Python's end looks through all objects of the libraries, for seconds
        raise SystemExit(128 + interruption.requested())
    details = _without_paths("".join(tracebacks.format_exception(kind, error, traceback)))
    refused = any(isinstance(layer, BlockingIOError) for layer in layers(error))  # by the folder's claim
    file = None if _Report.debug or refused else _write_log(details, create=not is_user_error(error))
    if file is None and (_Report.debug or not is_user_error(error)):
        sys.stderr.write(details)
    words = " ".join(cause_of(error).split())
    sys.stderr.write(_without_paths(f"\nerror: {words}") + (f" (Traceback: {file})\n" if file else "\n"))


class RaiseErrors:
    """Handler that raises an engine's error; as the first one it keeps `StatsHandler` from logging a traceback."""

    def attach(self, engine: Engine) -> None:
        """Register with an engine."""
        engine.add_event_handler(Events.EXCEPTION_RAISED, self)

    def __call__(self, engine: Engine, error: BaseException) -> None:
        """Raise the error."""
        raise error


class _Filter(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()
        if REPEATED in message:
            return False
        record.msg, record.args = _without_paths(message), ()
        return True


def _without_paths(text: str) -> str:
    return text if _Report.hidden is None else _Report.hidden.sub("(input)", text)


def _write_log(details: str, *, create: bool) -> Path | None:
    """Write `error.log` if its folder exists or is to be created; return its path, `None` if it is not written.

    Nothing is written beside the results of another process.
    """
    if _Report.folder is None or not (create or _Report.folder.is_dir()) or is_claimed_elsewhere(_Report.folder):
        return None
    number = os.environ.get("RANK", "0")
    path = _Report.folder / (LOG if number == "0" else f"error_{number}.log")
    command = _without_paths(" ".join(sys.argv))
    with contextlib.suppress(OSError):
        with atomic_path(path) as partial:
            partial.write_text(f"{datetime.now(UTC).isoformat()}\n{command}\n\n{details}", encoding="utf-8")
        return path
    return None
