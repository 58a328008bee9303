"""Check that results can be written, before they are computed."""

import os
import tempfile
from pathlib import Path


def check_writable(folder: str | os.PathLike) -> None:
    """Raise if `folder` can neither be written nor be created; nothing is left behind, not even the folder.

    A nameless file is opened in the folder, or in its nearest existing parent: permission bits do not apply to the
    administrator, and do not show read-only disks.

    Raises:
        OSError: the folder cannot be written; the message names it.

    Example:
        >>> check_writable(tempfile.gettempdir())
    """
    place = Path(folder).absolute()
    while not os.path.lexists(place) and place != place.parent:
        place = place.parent
    try:
        tempfile.TemporaryFile(dir=place).close()
    except OSError as error:
        raise OSError(
            f"cannot write into '{folder}': {error.strerror or error} ('{place}'). Choose a folder that you may write "
            "to, such as with --output_dir."
        ) from error
