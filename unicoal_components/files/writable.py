"""Checks that results may be written, before they are computed."""

import os
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from .partial import cannot_write


def check_writable(folder: str | os.PathLike) -> None:
    """Raise if `folder` can neither be written nor be created; nothing is left behind, not even the folder.

    A nameless file is opened in the folder, or in its nearest existing parent: permission bits do not apply to the
    administrator, and do not show read-only disks.

    Raises:
        CannotWriteError: the folder cannot be written; the message names it and the reason.

    Example:
        >>> check_writable(tempfile.gettempdir())
    """
    place = Path(folder).absolute()
    while not os.path.lexists(place) and place != place.parent:
        place = place.parent
    try:
        tempfile.TemporaryFile(dir=place).close()
    except OSError as error:
        raise cannot_write(folder, error) from error


def check_replaceable(
    paths: Iterable[str | os.PathLike],
    is_earlier_result: Callable[[Path], bool],
    *,
    remedy: str = "Choose another output folder, or move it away.",
) -> None:
    """Raise if a file or folder that results would replace is anything but an earlier result.

    Args:
        paths: files and folders to be written; missing ones are ignored.
        is_earlier_result: whether an existing one may be replaced.
        remedy: what the user can do, for the message.

    Raises:
        ValueError: one may not be replaced; the message names it.

    Example:
        >>> check_replaceable(["missing"], lambda path: False)
    """
    for path in map(Path, paths):
        if os.path.lexists(path) and not is_earlier_result(path):
            raise ValueError(f"the output would replace '{path}', which is no earlier result of this command. {remedy}")
