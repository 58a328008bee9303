"""Atomic writing of folders."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_folder(folder: str | os.PathLike) -> Iterator[Path]:
    """Yield a new temporary folder next to `folder`; move it to `folder` if the block succeeds, else remove it.

    An existing folder is replaced once the new one is complete; the caller must check first whether that is allowed.
    Temporary names start with a dot and end in `.partial`. Missing parent folders are created.

    Raises:
        OSError: the folder cannot be written; the message names it.

    Example:
        >>> import tempfile
        >>> target = Path(tempfile.mkdtemp()) / "series"
        >>> with atomic_folder(target) as partial:
        ...     _ = (partial / "1.txt").write_text("done")
        >>> (target / "1.txt").read_text()
        'done'
    """
    folder = Path(folder)
    partial = folder.with_name(f".{folder.name}.{os.getpid()}.partial")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        try:
            yield partial
            _put_in_place(partial, folder)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    except OSError as error:
        reason = error.strerror or str(error)
        raise OSError(
            f"cannot write the folder '{folder}': {reason}. Choose a place that you may write to and that has space "
            "left."
        ) from error


def _put_in_place(partial: Path, folder: Path) -> None:
    """Rename the new folder; the old one is moved away meanwhile and restored if that fails."""
    if not folder.exists():
        partial.rename(folder)
        return
    aside = folder.with_name(f".{folder.name}.{os.getpid()}.old.partial")
    folder.rename(aside)
    try:
        partial.rename(folder)
    except OSError:
        aside.rename(folder)
        raise
    shutil.rmtree(aside, ignore_errors=True)
