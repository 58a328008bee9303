"""The scan of a request: one scan, at an allowed place, of a known modality."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from lib.options import AUTO
from unicoal_components.commands.sources import Source, find_sources
from unicoal_components.scans.image_paths import LIST_SUFFIX


def is_inside(path: str, folders: Iterable[str]) -> bool:
    """Return whether a path is below one of some folders, links followed."""
    real = Path(path).resolve()
    return any(real.is_relative_to(Path(folder).resolve()) for folder in folders if folder)


def find_scan(path: str, *, modality: str, known: Sequence[str]) -> Source:
    """Return the scan at a path; a list of paths is refused, as it could name any file of the server.

    Args:
        path: NIfTI file, or folder of a DICOM study.
        modality: modality as the request says, or `AUTO`.
        known: modalities of the network.

    Raises:
        OSError: there is no scan.
        ValueError: there are several, or neither request nor scan tells the modality.
    """
    if path.lower().endswith(LIST_SUFFIX):
        raise ValueError(f"'{Path(path).name}' is a list of scans; send the scans, one in each request.")
    given = None if modality == AUTO else modality
    found = find_sources([path], modality=given, known=known, option="source_modality")
    number = len(found.scans) + len(found.failures)
    if number > 1:
        raise ValueError(f"the request has {number} scans; send one NIfTI file or one DICOM study in each request.")
    if found.failures:
        raise ValueError(found.failures.popitem()[1])
    return found.scans[0]
