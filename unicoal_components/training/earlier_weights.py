"""Weights that are where a new training writes its own, such as the shipped ones of a bundle."""

import logging
import shutil
from pathlib import Path

from ..files.atomic import atomic_path
from ..files.checksum import record_path

logger = logging.getLogger(__name__)


def keep_earlier_weights(path: Path) -> None:
    """Copy weights, and the record of their training, to `model_before.pt` beside them, unless that exists.

    So the first weights, which are the shipped ones in a bundle, stay, however often a training is started anew.

    Args:
        path: file of the weights, such as `model.pt`; nothing is done if it does not exist.

    Raises:
        OSError: the folder cannot be written.
    """
    kept = path.with_stem(f"{path.stem}_before")
    if not path.is_file() or kept.exists():
        return
    for source, target in ((record_path(path), record_path(kept)), (path, kept)):  # the weights last: then all is there
        if source.is_file():
            with atomic_path(target) as partial:
                shutil.copyfile(source, partial)
    logger.info("%s will be replaced; the weights that it holds are kept as %s", path, kept)
