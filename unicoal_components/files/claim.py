"""Folders that one process at a time writes into."""

import atexit
import errno
import json
import logging
import os
import socket
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from .atomic import atomic_path
from .partial import cannot_write, is_running, remove_leftovers_in

logger = logging.getLogger(__name__)

LOCK = ".unicoal.lock"
"""Locked by the process that writes into the folder; the system frees it when the process ends, however it ends."""

HOLDER = ".unicoal.holder.json"
"""Names that process."""

NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP)

WORKERS_END = 15.0
"""Seconds within which the workers of a killed process end; until then they hold its lock."""

_kept: dict[Path, ExitStack] = {}


@dataclass(frozen=True)
class Claim:
    """A folder that only this process writes into, see `claimed`.

    Attributes:
        folder: the folder.
    """

    folder: Path

    def check(self, names: Iterable[str] = ()) -> None:
        """Check that the folder is still there, and files in it; call it before saying that all went well.

        Args:
            names: paths of files, relative to the folder.

        Raises:
            OSError: the folder has been removed or replaced since it was claimed, or a file is missing; the message
                names it.
        """
        gone = [name for name in (HOLDER, *names) if not (self.folder / name).is_file()]
        if HOLDER in gone:
            raise OSError(
                f"the output folder '{self.folder}' was removed or replaced while results were written into it. Run "
                "the same command again."
            )
        if gone:
            raise OSError(
                f"{len(gone)} files that were written into '{self.folder}' are gone, such as '{gone[0]}'. Run the same "
                "command again."
            )


@contextmanager
def claimed(folder: str | os.PathLike, *subfolders: str) -> Iterator[Claim]:
    """Let only this process write into `folder` during the block; created if it does not exist.

    The lock ends with the process, also when that is killed, and works between hosts as far as their shared disk
    supports locks. What killed processes have left unfinished (see `partial_of`) is removed before the block and after
    it.

    Args:
        folder: the folder.
        subfolders: patterns, relative to `folder`, of further folders from which unfinished files are removed.

    Raises:
        OSError: another process writes into the folder; the message names the process, its host and since when.
        CannotWriteError: the folder cannot be written.

    Example:
        >>> import tempfile
        >>> folder = tempfile.mkdtemp()
        >>> with claimed(folder):
        ...     try:
        ...         with claimed(folder):
        ...             pass
        ...     except OSError as error:
        ...         print(f"process {os.getpid()} on {socket.gethostname()}" in str(error))
        True
    """
    folder = Path(folder).absolute()
    lock = FileLock(folder / LOCK, timeout=0, thread_local=False)
    holder = folder / HOLDER
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _acquire(lock, folder)
        try:
            before = _read_holder(holder)
            if before is not None:
                logger.info("%s did not end in order; its unfinished files in '%s' are removed", before, folder)
            _remove_leftovers(folder, subfolders)
            _write_holder(holder)
        except BaseException:
            _release(lock, holder)
            raise
    except OSError as error:
        if isinstance(error, BlockingIOError):
            raise
        raise cannot_write(folder, error) from error
    try:
        yield Claim(folder)
    finally:
        _remove_leftovers(folder, subfolders)
        _release(lock, holder)


def claim_until_exit(folder: str | os.PathLike) -> ExitStack:
    """Let only this process write into `folder` until it ends or closes what is returned, see `claimed`.

    A folder that this process keeps already stays claimed.

    Raises:
        OSError, CannotWriteError: as `claimed` does.
    """
    folder = Path(folder).absolute()
    if folder not in _kept:
        with ExitStack() as stack:
            stack.enter_context(claimed(folder))
            stack.callback(_kept.pop, folder)
            _kept[folder] = stack.pop_all()
        atexit.register(_kept[folder].close)
    return _kept[folder]


def is_claimed_elsewhere(folder: str | os.PathLike) -> bool:
    """Return whether another process that may still run has claimed a folder; nothing is written to find out."""
    holder = Path(folder) / HOLDER
    return holder.is_file() and not _is_own(holder) and not _is_gone(holder)


def _acquire(lock: FileLock, folder: Path) -> None:
    try:
        lock.acquire(timeout=WORKERS_END if _is_gone(folder / HOLDER) else 0)
    except Timeout as error:
        holder = _read_holder(folder / HOLDER) or "another process"
        raise BlockingIOError(
            f"the output folder '{folder}' is in use: {holder} writes into it. Wait until that has ended, or choose "
            "another folder."
        ) from error
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        logger.warning(
            "cannot lock the output folder '%s' (%s); see to it that no other process writes into it",
            folder,
            error.strerror,
        )


def _remove_leftovers(folder: Path, subfolders: Sequence[str]) -> None:
    remove_leftovers_in(folder, alone=True)
    for subfolder in (place for pattern in subfolders for place in folder.glob(pattern)):
        remove_leftovers_in(subfolder, alone=False)


def _release(lock: FileLock, holder: Path) -> None:
    with suppress(OSError):  # the folder may be gone
        holder.unlink(missing_ok=True)
        Path(lock.lock_file).unlink(missing_ok=True)  # before the release: a later process may lock a new one
    lock.release()


def _write_holder(path: Path) -> None:
    content = {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "since": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    with atomic_path(path) as unfinished:  # another process never reads the half of it
        unfinished.write_text(json.dumps(content) + "\n", encoding="utf-8")


def _is_gone(holder: Path) -> bool:
    """Return whether the process that the file names was one of this host and has ended."""
    process = _process_here(holder)
    return process is not None and not is_running(process)


def _is_own(holder: Path) -> bool:
    """Return whether the file names this process."""
    return _process_here(holder) == os.getpid()


def _process_here(holder: Path) -> int | None:
    """Return the process that the file names if it is one of this host."""
    try:
        content = json.loads(holder.read_text(encoding="utf-8"))
        return int(content["pid"]) if content["host"] == socket.gethostname() else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _read_holder(path: Path) -> str | None:
    """Return the process named in the file, in words; `None` if there is none."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return f"process {content['pid']} on {content['host']} (since {content['since']})"
    except (OSError, ValueError, KeyError, TypeError):
        return None
