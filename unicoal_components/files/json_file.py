"""Reader of JSON files that may come from anywhere."""

import json
import os
from pathlib import Path
from typing import Any

LARGEST = 100 * 10**6
"""Size in bytes above which a file is not read: no datalist, sidecar or record comes near it."""


def read_json(path: str | os.PathLike) -> Any:
    """Return the content of a JSON file.

    Raises:
        FileNotFoundError: there is no such file.
        OSError: the file cannot be opened.
        ValueError: the file is not UTF-8, not JSON, nested too deeply, or too large; the message names it.
    """
    size = Path(path).stat().st_size
    if size > LARGEST:
        raise ValueError(f"'{path}' has {size / 1e6:.0f} MB; JSON of at most {LARGEST / 1e6:.0f} MB is read.")
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except RecursionError as error:
        raise ValueError(f"'{path}' is not valid JSON of this package: it is nested too deeply.") from error
    except ValueError as error:
        raise ValueError(f"'{path}' is not valid JSON: {error}.") from error
