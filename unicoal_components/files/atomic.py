"""Atomic writing of files."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .partial import cannot_write, partial_of, remove, remove_leftovers_of, umask


@contextmanager
def atomic_path(path: str | os.PathLike) -> Iterator[Path]:
    """Yield an empty temporary file next to `path`; move it to `path` if the block succeeds, remove it if it fails.

    A reader sees the old file or the complete new one, as `os.replace` within one folder is atomic. Only the user may
    read the temporary file; the final one has the usual permissions. Missing parent folders are created, and what
    killed processes have left of the same file is removed.

    Raises:
        CannotWriteError: the file cannot be written; the message names it and the reason.

    Example:
        >>> import tempfile
        >>> target = Path(tempfile.mkdtemp()) / "note.txt"
        >>> with atomic_path(target) as partial:
        ...     _ = partial.write_text("done")
        >>> target.read_text()
        'done'
    """
    path = Path(path)
    partial = partial_of(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers_of(path)
        remove(partial)
        try:
            os.close(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
            yield partial
            with suppress(PermissionError):  # a disk without permissions
                partial.chmod(0o666 & ~umask())
            os.replace(partial, path)
        finally:
            remove(partial)
    except OSError as error:
        raise cannot_write(path, error) from error
