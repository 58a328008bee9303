"""Write the checksum of weights into the record beside them, `model.training.json`.

    python tools/record_weights.py bundles/*/models/model.pt

A training does this itself. It is for weights that were joined, converted or copied otherwise; reading compares both.
"""

import logging
from pathlib import Path

from unicoal_components.command_line import run_command
from unicoal_components.runtime.weights import record_checksum

logger = logging.getLogger("record_weights")


def record_weights(*paths: Path) -> None:
    """Record the checksums of files of weights.

    Args:
        paths: the files, such as model.pt.

    Raises:
        ValueError: no file is given.
    """
    if not paths:
        raise ValueError("there is no file of weights; give one or more, such as bundles/unified/models/model.pt.")
    for path in paths:
        logger.info("%s: sha256 %s", path, record_checksum(path))


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    run_command(record_weights)
