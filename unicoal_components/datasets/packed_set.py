"""Packing of a training set into one HDF5 file of limited size, with one group per subject."""

import hashlib
import json
import math
import os
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from tqdm import tqdm

from .. import __version__
from ..files.hdf5_image import image_of, write_image
from ..files.writable import check_writable
from .datalist import read_datalist, read_modalities
from .fingerprint import PACKED, scan_fingerprints
from .hdf5 import CHUNK, dataset_name, foreground_box, read_header
from .open_subject import SET_AGAIN, damage_named, open_subject
from .packed_list import CONTENT, SCHEMA_VERSION, read_packed_list
from .reduction import Reduction, head_mask, reduce_volumes, reductions

SHA256 = "sha256"
"""Attribute of a dataset: checksum of its voxels in the order of their axes."""

LEFT_OUT = {"history"}
"""Attributes of a subject file that training does not need."""

MEGABYTE = 10**6


@dataclass(frozen=True)
class PackedSet:
    """Summary of a packed set.

    Attributes:
        path: the file.
        subjects: number of subjects per section.
        size: size of the file in bytes.
        reduction: applied reduction.
    """

    path: Path
    subjects: Mapping[str, int]
    size: int
    reduction: Reduction


def pack_training_set(
    path: str | os.PathLike,
    *,
    datalist: str | os.PathLike,
    sections: Sequence[str] = ("training", "validation"),
    max_mb: float | None = 50.0,
    largest_step: int = 8,
) -> PackedSet:
    """Write the subjects of a datalist into one file, atomically and with the same bytes for the same input.

    All subjects are reduced in the same way, as little as possible (`reductions`). The group of a subject has the
    content of its file without the history. It keeps the fingerprints of the original scans, so that an evaluation
    recognizes training subjects. Every dataset has a SHA-256 for `check_packed_set`. The file is made in memory.

    Args:
        path: the file to write, such as `set.h5`.
        datalist: JSON of `write_datalist`; `repeat` is kept.
        sections: sections to pack.
        max_mb: size limit in MB (10^6 bytes); `None` = no limit.
        largest_step: largest rounding step of intensities, see `reductions`; 1 = voxels of the head stay exact.

    Returns:
        Summary of the written file.

    Raises:
        ValueError: there is no subject, a subject's name cannot name a group, a value is invalid, or the limit cannot
            be met.
        FileNotFoundError: the datalist or a subject file does not exist.
        OSError: a subject file is damaged, or the file cannot be written.
    """
    if max_mb is not None and not (isinstance(max_mb, int | float) and max_mb > 0):
        raise ValueError(f"max_mb is {max_mb!r}; it must be a positive number of MB, or null for no limit.")
    ladder = reductions(largest_step)
    limit = math.inf if max_mb is None else max_mb * MEGABYTE
    check_writable(Path(path).absolute().parent)
    packer = _Packer({name: read_datalist(datalist, name) for name in sections}, read_modalities(datalist))
    chosen = ladder[0]
    image = packer.image(chosen, limit)
    if not image:
        position = bisect_left(ladder, True, lo=1, key=lambda reduction: bool(packer.image(reduction, limit)))
        if position == len(ladder):
            raise ValueError(
                f"'{path}' would have more than max_mb {max_mb:g} MB even with '{ladder[-1]}'; raise max_mb, or remove "
                "subjects from the datalist."
            )
        chosen = ladder[position]
        image = packer.image(chosen)
    write_image(path, image)
    return PackedSet(Path(path), packer.counts(), len(image), chosen)


class _Packer:
    """Writer of subjects, which reuses head masks between attempts."""

    def __init__(self, content: Mapping[str, Sequence[Mapping[str, Any]]], modalities: Sequence[str]) -> None:
        self.content = content
        self.modalities = list(modalities)
        self._heads: dict[str, np.ndarray] = {}  # bit-packed mask of each subject
        if not any(content.values()):
            raise ValueError(f"there is no subject to pack in the sections {list(content)}; give other sections.")
        for entry in (entry for entries in content.values() for entry in entries):
            if "/" in entry["subject"] or entry["subject"] in (".", ""):
                raise ValueError(f"subject '{entry['subject']}' cannot name a group; remove '/' from its name.")

    def counts(self) -> dict[str, int]:
        return {section: len(entries) for section, entries in self.content.items()}

    def image(self, reduction: Reduction, limit: float = math.inf) -> bytes:
        """Return the packed set; no bytes if it has more than `limit`."""
        size = 0
        with h5py.File.in_memory() as file:
            file.attrs["content"], file.attrs["schema"] = CONTENT, SCHEMA_VERSION
            file.attrs["software"] = f"unicoal_components {__version__}"
            file.attrs["modalities"] = self.modalities
            file.attrs["left_out"] = str(reduction)
            with tqdm(total=sum(self.counts().values()), desc="packing", unit="subject", leave=False) as progress:
                for section, entries in self.content.items():
                    group = file.create_group(section, track_order=True)
                    for entry in entries:
                        size += self._add(group.create_group(entry["subject"], track_order=False), entry, reduction)
                        progress.update()
                        if size > limit:
                            return b""
            image = image_of(file)
        return image if len(image) <= limit else b""

    def _add(self, group: h5py.Group, entry: Mapping[str, Any], reduction: Reduction) -> int:
        """Copy one subject with the reduction applied; return the bytes of its voxels."""
        path = entry["path"]
        header = read_header(path)
        with open_subject(path) as source, damage_named(path):
            items = {name: source[dataset_name(source, name)] for name in header.modalities}
            volumes = {name: item[()] for name, item in items.items()}
            attributes = {name: dict(item.attrs) for name, item in items.items()}
            group.attrs.update({name: value for name, value in source.attrs.items() if name not in LEFT_OUT})
        small, box = reduce_volumes(volumes, reduction, self._head(path, volumes) if reduction.clear_air else None)
        group.attrs["foreground_box"] = foreground_box(small)
        group.attrs[PACKED] = json.dumps(scan_fingerprints(path))
        if header.affine is not None:
            start = np.array([box[4], box[2], box[0], 1.0])  # (w, h, d, 1)
            group.attrs["affine"] = np.column_stack([header.affine[:, :3], header.affine @ start])
        if "repeat" in entry:
            group.attrs["repeat"] = int(entry["repeat"])
        for name, volume in small.items():
            chunks = tuple(min(CHUNK, size) for size in volume.shape)
            dataset = group.create_dataset(name, data=volume, chunks=chunks, compression="gzip")
            dataset.attrs.update(attributes[name])
            dataset.attrs[SHA256] = _sha256(volume)
        return sum(dataset.id.get_storage_size() for dataset in group.values())

    def _head(self, path: str, volumes: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the head's mask `(D, H, W)`, computed only once."""
        if path not in self._heads:
            self._heads[path] = np.packbits(head_mask(volumes))
        shape = next(iter(volumes.values())).shape
        return np.unpackbits(self._heads[path], count=int(np.prod(shape))).reshape(shape).astype(bool)


def check_packed_set(path: str | os.PathLike) -> int:
    """Compare every dataset with its checksum.

    Training does not check them: HDF5 finds most damage, as every compressed cube has its own checksum (Adler-32).

    Args:
        path: the packed set.

    Returns:
        The number of datasets.

    Raises:
        FileNotFoundError: the file does not exist.
        ValueError: the file is not a packed set, or datasets are damaged; the message names them.
        OSError: the file cannot be opened.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"packed set '{path}' does not exist; check the path.")
    content = read_packed_list(path)
    del content["modalities"]
    count, damaged = 0, []
    folder = Path(path).absolute().parent
    for entry in (entry for entries in content.values() for entry in entries):
        subject = str(folder / entry["path"])
        with open_subject(subject) as group:
            for name in group:
                count += 1
                if not _is_whole(group, name):
                    damaged.append(f"{group.name.lstrip('/')}/{name}")
    if damaged:
        raise ValueError(
            f"packed set '{path}' is damaged: {len(damaged)} of {count} datasets do not match their checksums: "
            f"{', '.join(damaged)}. {SET_AGAIN}"
        )
    return count


def _is_whole(group: h5py.Group, name: str) -> bool:
    try:
        return group[name].attrs[SHA256] == _sha256(group[name][()])
    except (OSError, RuntimeError, KeyError):
        return False


def _sha256(volume: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(volume).data).hexdigest()
