"""Fingerprints of scans, which identify a subject independent of file names."""

import hashlib
import json
import os

from .hdf5 import dataset_name, read_header, read_history
from .open_subject import damage_named, open_subject

PACKED = "fingerprints"
"""Attribute of a subject in a packed set: the fingerprints of its original file, as JSON."""


def scan_fingerprints(path: str | os.PathLike) -> dict[str, str]:
    """Return fingerprints of each modality of a subject file and of its source.

    The fingerprint of a modality is a SHA-256 of its grid and its middle slice. Noise makes the middle slices of two
    scans differ, so equal fingerprints mean one scan under two names. Only one slice is read; a modality with an empty
    middle slice has no fingerprint. A scan that was prepared with other options has another middle slice; it is
    recognized by the checksum of the original file (`t1 source`), which `unicoal prepare` records in the subject file.
    A subject of a packed set has the fingerprints of the file that it was packed from.

    Args:
        path: subject file, or subject of a packed set.

    Raises:
        FileNotFoundError: the file does not exist.
        OSError: the file is damaged.
        ValueError: the file is not a subject file.
    """
    header = read_header(path)
    grid = str(header.shape).encode()
    with open_subject(path) as file, damage_named(path):
        if PACKED in file.attrs:
            return json.loads(file.attrs[PACKED])
        slices = {name: file[dataset_name(file, name)][header.shape[0] // 2] for name in header.modalities}
    found = {name: hashlib.sha256(grid + image.tobytes()).hexdigest() for name, image in slices.items() if image.any()}
    modalities = (read_history(path) or {}).get("modalities", {})
    return found | {f"{name} source": facts["sha256"] for name, facts in modalities.items() if "sha256" in facts}
