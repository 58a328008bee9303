"""Atomic writing of folders."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .partial import cannot_write, partial_of, remove, remove_leftovers_of, umask


@contextmanager
def atomic_folder(folder: str | os.PathLike) -> Iterator[Path]:
    """Yield a new temporary folder next to `folder`; move it to `folder` if the block succeeds, else remove it.

    An existing folder is replaced once the new one is complete; the caller must check first whether that is allowed.
    Only the user may open the temporary folder; the final one has the usual permissions. Missing parent folders are
    created, and what killed processes have left of the same folder is removed.

    Raises:
        CannotWriteError: the folder cannot be written; the message names it and the reason.

    Example:
        >>> import tempfile
        >>> target = Path(tempfile.mkdtemp()) / "series"
        >>> with atomic_folder(target) as partial:
        ...     _ = (partial / "1.txt").write_text("done")
        >>> (target / "1.txt").read_text()
        'done'
    """
    folder = Path(folder)
    partial = partial_of(folder)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers_of(folder)
        remove(partial)
        partial.mkdir(mode=0o700)
        try:
            yield partial
            with suppress(PermissionError):  # a disk without permissions
                partial.chmod(0o777 & ~umask())
            _put_in_place(partial, folder)
        finally:
            remove(partial)
    except OSError as error:
        raise cannot_write(folder, error) from error


def _put_in_place(partial: Path, folder: Path) -> None:
    """Rename the new folder; the old one is moved away meanwhile and restored if that fails."""
    if not folder.exists():
        partial.rename(folder)
        return
    aside = partial_of(folder, ".old")
    folder.rename(aside)
    try:
        partial.rename(folder)
    except OSError:
        aside.rename(folder)
        raise
    remove(aside)
