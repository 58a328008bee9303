"""Ctrl-C and SIGTERM: stop a command at a safe point, with exit status 130 or 143.

SIGTERM is what SLURM, Kubernetes and `docker stop` send before they kill. `handle_signals` makes both raise `Stopped`
at once, or, after `defer`, at the next `check`. Who saves something says with `advise` how the command goes on. Before
that, while a command imports its libraries, `start` and `importing` let signals end the process at once.
"""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from .errors import is_user_error

DEFAULT_ADVICE = "the same command starts again."
AGAIN = 3.0
"""Seconds after which the same signal stops at once: torchrun repeats a signal that the terminal sent to all."""


class Stopped(KeyboardInterrupt):
    """The command was stopped by a signal.

    Args:
        number: the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}")


class _State:
    process = 0  # that handles signals; forked workers inherit the handlers, but not the task
    requested = 0  # number of the signal
    since = 0.0
    is_deferred = False
    is_importing = False
    advice = ""


def start() -> None:
    """Let signals end this process at once; a command calls it before it imports its libraries.

    An exception would not do: libraries catch it, or end with a traceback. Nothing has been written by then.
    """
    handle_signals()
    _State.is_importing = True


@contextmanager
def importing() -> Iterator[None]:
    """Let signals end the process at once inside the block, which only imports libraries, if it handles signals."""
    before, _State.is_importing = _State.is_importing, True
    try:
        yield
    finally:
        _State.is_importing = before


def handle_signals() -> None:
    """Let Ctrl-C and SIGTERM stop this process as described above; does nothing in another than the main thread."""
    if threading.current_thread() is not threading.main_thread():
        return
    _State.process, _State.requested, _State.since = os.getpid(), 0, 0.0
    _State.is_deferred, _State.is_importing, _State.advice = False, False, ""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _receive)


def ignore_in_worker(worker: int = 0) -> None:
    """Leave signals to the main process: the `worker_init_fn` of data loaders whose batches are still needed.

    A terminal and SLURM signal all processes. A worker ends with the main process, or when that sends SIGTERM.

    Args:
        worker: number of the worker, which is not used.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "sigwaitinfo"):  # not on macOS
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != os.getppid():
        pass
    os._exit(0)


def requested() -> int:
    """Return the number of the signal that asked to stop, 0 if there was none."""
    return _State.requested


def request(number: int) -> None:
    """Ask to stop, as a signal does; for one that another process has received."""
    _State.requested, _State.since = _State.requested or number, _State.since or time.monotonic()


def check() -> None:
    """Raise `Stopped` if a signal asked to stop."""
    if _State.requested:
        raise Stopped(_State.requested)


def advise(advice: str) -> None:
    """Say what is saved and how to go on, for the last line of a command that is stopped."""
    _State.advice = advice


def advice() -> str:
    """Return what was said last with `advise`."""
    return _State.advice


def defer(is_deferred: bool) -> None:
    """Let signals wait for the next `check` (`True`), or stop at once (`False`), as at the start."""
    _State.is_deferred = is_deferred


@contextmanager
def saving(save: Callable[[], Any]) -> Iterator[None]:
    """Let signals inside the block wait for `check`, and call `save` before the block ends because of one.

    Raises:
        Stopped: a signal asked to stop.
    """
    defer(True)
    try:
        yield
        check()
    except BaseException:
        defer(True)  # the block may have set it to `False`
        if requested():
            save()
        raise
    finally:
        defer(False)


@contextmanager
def exit_when_stopped() -> Iterator[None]:
    """Let signals stop the block, and end the process then with one line, see `advise`, and the signal's status.

    Raises:
        SystemExit: a signal stopped the block.

    Example:
        >>> try:
        ...     with exit_when_stopped():
        ...         signal.raise_signal(signal.SIGTERM)
        ... except SystemExit as stop:
        ...     stop.code
        143
    """
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    was_importing = _State.is_importing
    handle_signals()
    try:
        yield
    except BaseException as error:
        if not requested() or is_user_error(error):
            raise
        # else it is `Stopped`, or what a library made of it
        sys.stderr.write(f"\n{Stopped(requested())}: {advice() or DEFAULT_ADVICE}\n")
        raise SystemExit(128 + requested()) from None
    finally:
        _State.requested, _State.is_importing = 0, was_importing
        if threading.current_thread() is threading.main_thread():
            for number, handler in before.items():
                signal.signal(number, handler)


def _receive(number: int, frame: FrameType | None) -> None:
    if os.getpid() != _State.process:
        if number == signal.SIGTERM:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        return
    if _State.is_importing:
        os.write(2, f"\n{Stopped(number)}: {DEFAULT_ADVICE}\n".encode())
        os._exit(128 + number)
    is_first = not _State.requested
    request(number)
    if not _State.is_deferred or time.monotonic() - _State.since > AGAIN:
        raise Stopped(_State.requested)
    if is_first:
        # not by sys.stderr, in the middle of whose writing the signal may come
        os.write(2, b"\nStopping after this step, to save it. Once more after 3 s stops at once, without saving.\n")
