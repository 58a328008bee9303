"""Atomic writing of files."""

import glob
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_path(path: str | os.PathLike) -> Iterator[Path]:
    """Yield a temporary path next to `path`; move it to `path` if the block succeeds, remove it if it fails.

    A reader sees the old file or the complete new one, as `os.replace` within one folder is atomic. The temporary name
    starts with a dot and ends in `.partial`, so that a killed process leaves nothing that looks like a result. Missing
    parent folders are created.

    Raises:
        OSError: the file cannot be written; the message names it.

    Example:
        >>> import tempfile
        >>> target = Path(tempfile.mkdtemp()) / "note.txt"
        >>> with atomic_path(target) as partial:
        ...     _ = partial.write_text("done")
        >>> target.read_text()
        'done'
    """
    path = Path(path)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield partial
            os.replace(partial, path)
        finally:
            if partial.exists():
                partial.unlink()
    except OSError as error:
        reason = error.strerror or str(error)
        raise OSError(
            f"cannot write '{path}': {reason}. Choose an output folder that you may write to and that has space left."
        ) from error


def remove_partials(path: str | os.PathLike) -> None:
    """Remove the temporary files that killed processes have left next to `path`."""
    path = Path(path)
    for partial in path.parent.glob(f".{glob.escape(path.name)}.*.partial"):
        partial.unlink(missing_ok=True)
