"""Stop a command by Ctrl-C or by the signal of a batch system, with its exit status and without a traceback."""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Terminated(KeyboardInterrupt):
    """Raised at SIGTERM, with which batch systems end a job; caught like Ctrl-C."""


@contextmanager
def exit_when_stopped(how_to_go_on: str) -> Iterator[None]:
    """Raise `KeyboardInterrupt` in the block at Ctrl-C and at SIGTERM, and end the process with one line.

    The exit status is that of the signal in shells: 130 for Ctrl-C, 143 for SIGTERM.

    Args:
        how_to_go_on: what is kept and how to go on, one line.

    Raises:
        SystemExit: the block was stopped.

    Example:
        >>> try:
        ...     with exit_when_stopped("Run the same command again."):
        ...         signal.raise_signal(signal.SIGTERM)
        ... except SystemExit as stop:
        ...     stop.code
        143
    """
    in_main = threading.current_thread() is threading.main_thread()  # others get no signals
    before = signal.signal(signal.SIGTERM, _terminate) if in_main else None
    try:
        yield
    except KeyboardInterrupt as stop:
        number = signal.SIGTERM if isinstance(stop, Terminated) else signal.SIGINT
        sys.stderr.write(f"\nstopped by {number.name}. {how_to_go_on}\n")
        raise SystemExit(128 + number) from None
    finally:
        if in_main:
            signal.signal(signal.SIGTERM, before)


def _terminate(number: int, frame: object) -> None:
    raise Terminated
