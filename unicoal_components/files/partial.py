"""Names of unfinished files and folders, and their removal after a process that was killed."""

import errno
import os
import re
import shutil
import socket
import time
from pathlib import Path

STRANGER_KEEPS = 24 * 3600
"""Seconds without a write after which an unfinished file of another host counts as left behind."""

_NAME = re.compile(r"\..+[.-](\d+)(\.old)?\.partial")


class CannotWriteError(OSError):
    """A file or folder cannot be written; has `errno`, `strerror` and `filename`, and a message with a remedy."""

    def __str__(self) -> str:
        return (
            f"cannot write '{self.filename}': {self.strerror}. Choose an output folder that you may write to and that "
            "has space left."
        )

    @property
    def concerns_all(self) -> bool:
        """Whether other files of the folder cannot be written either: the disk is full or read-only."""
        return self.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


def cannot_write(path: str | os.PathLike, error: OSError) -> CannotWriteError:
    """Return the error that names a file or folder which could not be written; an error that does so already stays."""
    if isinstance(error, CannotWriteError):
        return error
    return CannotWriteError(error.errno, error.strerror or str(error), os.fspath(path))


def partial_of(path: Path, kind: str = "") -> Path:
    """Return the name of an unfinished file or folder next to `path`.

    It starts with a dot, ends in `.partial`, and names the host and the process that write it.

    Args:
        path: the final name.
        kind: "" for a new file or folder; ".old" for a finished folder while a new one takes its place.
    """
    return path.with_name(f".{path.name}.{socket.gethostname()}-{os.getpid()}{kind}.partial")


def umask() -> int:
    """Return the permission bits that new files of this process do not get."""
    mask = os.umask(0o077)  # the system has no other way to ask; a file made meanwhile is private
    os.umask(mask)
    return mask


def is_left_behind(partial: Path) -> bool:
    """Return whether the process that wrote an unfinished file or folder is gone.

    A process of another host cannot be asked; it counts as gone when it has not written for a day.
    """
    match = _NAME.fullmatch(partial.name)
    if match is None:
        return False
    if partial.name.endswith(f".{socket.gethostname()}-{match[1]}{match[2] or ''}.partial"):
        return not is_running(int(match[1]))
    try:
        return time.time() - partial.stat().st_mtime > STRANGER_KEEPS
    except OSError:
        return False


def is_running(process: int) -> bool:
    """Return whether a process of this host runs; where that cannot be known, `True`."""
    if os.name != "posix":  # elsewhere os.kill would end it
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True


def remove_leftovers_of(path: Path) -> None:
    """Remove what killed processes have left next to `path` under its unfinished names.

    A finished folder that was moved aside when its process was killed is put back if there is no newer one.
    """
    prefix = f".{path.name}."
    try:
        found = [Path(entry.path) for entry in os.scandir(path.parent) if entry.name.startswith(prefix)]
    except OSError:
        return
    for partial in sorted(found):
        if is_left_behind(partial):
            if partial.name.endswith(".old.partial") and not os.path.lexists(path):
                partial.rename(path)
            else:
                remove(partial)


def remove_leftovers_in(folder: Path, *, alone: bool) -> None:
    """Remove the unfinished files and folders of killed processes in a folder, not in those below it.

    Finished folders that were moved aside stay, see `remove_leftovers_of`.

    Args:
        folder: the folder; it may be missing.
        alone: whether only this process uses the folder, so that all unfinished files in it are left behind.
    """
    for partial in folder.glob(".*.partial"):
        match = _NAME.fullmatch(partial.name)
        if match and not match[2] and (alone or is_left_behind(partial)):
            remove(partial)


def remove(partial: Path) -> None:
    """Remove a file or a folder with all that is in it; nothing happens if there is none."""
    if partial.is_dir() and not partial.is_symlink():
        shutil.rmtree(partial, ignore_errors=True)
    else:
        partial.unlink(missing_ok=True)
