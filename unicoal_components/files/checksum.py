"""SHA-256 of a file, and the place of the record beside a file of weights that holds it."""

import hashlib
import os
from pathlib import Path

SHA256 = "sha256"
"""Entry of the record: checksum of the weights beside it."""


def file_sha256(path: str | os.PathLike) -> str:
    """Return the SHA-256 of a file's bytes."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def record_path(weights: str | os.PathLike) -> Path:
    """Return the path of the record of a training: `model.training.json` for `model.pt`."""
    return Path(weights).with_suffix(".training.json")
