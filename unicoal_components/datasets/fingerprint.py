"""What tells one person's scans from another's, whatever the file is called."""

import hashlib
import json
import os

from .hdf5 import dataset_name, read_header, read_history
from .open_subject import damage_named, open_subject

PACKED = "fingerprints"
"""Attribute of a subject in a packed set: those of its file, as JSON."""


def scan_fingerprints(path: str | os.PathLike) -> dict[str, str]:
    """Return for each modality of a subject file a SHA-256 of its grid and its middle slice, and one of its source.

    Noise alone makes the middle slices of two scans differ, so equal fingerprints are one scan under two names. Only
    one slice of each is read; a modality whose middle slice is empty has none. Prepared in another way a scan has
    another middle slice; then the checksum of the scanner's file tells, which is there (`t1 source`) where
    `prepare_data.py` made the subject file. A subject of a packed set brings those of the file that it was packed from.

    Raises:
        FileNotFoundError: see `read_header`, as the next two.
        OSError: the file is damaged.
        ValueError: it is no subject file.
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
