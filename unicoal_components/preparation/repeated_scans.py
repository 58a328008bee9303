"""Scans that occur under several subjects, which must not be in different sections."""

import logging
from collections.abc import Sequence

from .manifest import SubjectResult

logger = logging.getLogger(__name__)

REMEDY = (
    "Leave one of them out. If they are one person, say so in the column person of a --table, so that they share a "
    "section."
)


def check_repeated_scans(results: Sequence[SubjectResult]) -> None:
    """Warn of scans that two subjects share, and raise an error if these are in different sections.

    Scans are the same if their files or their middle slices are (`scan_fingerprints`). Subjects of one person, who are
    in one section, may share scans.

    Args:
        results: results of the prepared subjects.

    Raises:
        ValueError: subjects in different sections share a scan, so that a test would be made with training data.
    """
    first: dict[str, SubjectResult] = {}
    told = set()
    for result in results:
        for name, fingerprint in result.fingerprints.items():
            other = first.setdefault(fingerprint, result)
            pair = (other.item.subject, result.item.subject)
            if other.person == result.person or pair in told:
                continue
            told.add(pair)
            same = f"subjects '{pair[0]}' ({other.section}) and '{pair[1]}' ({result.section}) have the same scan"
            same = f"{same}, {name.removesuffix(' source')} of '{pair[1]}'"
            if other.section != result.section:
                raise ValueError(f"{same}: what is trained on would be tested on. {REMEDY}")
            logger.warning("%s. %s", same, REMEDY)
