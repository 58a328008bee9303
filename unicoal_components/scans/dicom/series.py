"""Find and choose image series in a folder of DICOM files, using their headers only."""

import logging
import os
import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydicom import Dataset

from .files import SPLIT_BY, header_errors, image_header, int_or_none, walk
from .frames import FRAME_NUMBER, frame_headers, is_multi_frame
from .modality_rules import modality_of_header

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class DicomSeries:
    """One stack of slices: a series, or one part of it if a scanner stored several volumes under one UID.

    Attributes:
        uid: SeriesInstanceUID.
        part: 0 for a whole series, else 1, 2, ... within it.
        number: SeriesNumber; `None` if there is none.
        description: SeriesDescription, or ProtocolName, or "".
        modality: guessed modality, see `modality_of_header`; `None` when unsure.
        files: file of each slice, in order of InstanceNumber; an enhanced object is the file of many slices.
        frames: number of each slice within its file, from 1 on; `None` if the file is that slice alone.
        synthetic: whether it says that it was computed (SyntheticData), as the series that this package writes.
        folder: folder that was searched, used in error messages.
    """

    uid: str
    part: int
    number: int | None
    description: str
    modality: str | None
    files: tuple[Path, ...]
    frames: tuple[int | None, ...]
    folder: Path
    synthetic: bool = False

    @property
    def key(self) -> str:
        """Text to write after `folder::`: the UID, and ":part" if the series has parts."""
        return f"{self.uid}:{self.part}" if self.part else self.uid

    @property
    def path(self) -> str:
        """Path of this series, `folder::SeriesInstanceUID`; the folder alone if its UID is malformed."""
        path = f"{self.folder}::{self.key}"
        return path if split_uid(path)[1] == self.key else str(self.folder)

    def __str__(self) -> str:
        guess = self.modality or "modality unknown"
        return f"{self.key} (number {self.number}, '{self.description}', {len(self.files)} slices, {guess})"


def split_uid(path: str | os.PathLike) -> tuple[Path, str | None]:
    """Split `folder::SeriesInstanceUID` into folder and UID; a "::" without a UID after it belongs to the name.

    Example:
        >>> folder, uid = split_uid("study::1.2.840.3:2")
        >>> str(folder), uid, split_uid("scan::3")[1]
        ('study', '1.2.840.3:2', None)
    """
    found = re.fullmatch(r"(.+)::([0-9]+(?:\.[0-9]+)+(?::[0-9]+)?)", os.fspath(path))
    return (Path(found[1]), found[2]) if found else (Path(path), None)


def find_series(folder: str | os.PathLike) -> list[DicomSeries]:
    """List the image series in a folder and below it, in order of SeriesNumber; pixels are not read.

    Reports, presentation states, plans, segmentations, DICOMDIR, and hidden files and folders are skipped. One
    SeriesInstanceUID becomes several parts if orientation or matrix differ (localizers). If positions repeat, it is
    also split by echo time, echo number, image type (magnitude, phase), time point, b-value and acquisition number.

    Raises:
        OSError: the header of a DICOM file is damaged; the message names it.
    """
    folder = Path(folder)
    grouped: dict[str, list[tuple[Path, Dataset]]] = {}
    others: list[str] = []
    for path in walk(folder):
        with header_errors(path):
            header = image_header(path)
            if header is None:
                others.append(path.name)
                continue
            images = list(frame_headers(header)) if is_multi_frame(header) else [header]
        slices = grouped.setdefault(str(header.get("SeriesInstanceUID") or ""), [])
        slices.extend((path, image) for image in images)
    if others and grouped:
        more = f" and {len(others) - 10} more" if len(others) > 10 else ""
        logger.info("'%s': not DICOM images, not processed: %s%s", folder, ", ".join(others[:10]), more)
    found = []
    for uid, slices in grouped.items():
        parts = _parts(slices)
        found += [_series(folder, uid, i + 1 if len(parts) > 1 else 0, part) for i, part in enumerate(parts)]
    return sorted(found, key=lambda series: (series.number is None, series.number or 0, series.uid, series.part))


def choose_series(
    folder: str | os.PathLike,
    *,
    uid: str | None = None,
    modality: str | Collection[str] | None = None,
    option: str | None = None,
) -> DicomSeries:
    """Return the series with a UID, or else the only series, or else the only one guessed to be of a modality.

    Without a UID, synthetic series are left out if there are others, and the series that are not chosen are logged.

    Args:
        folder: folder with DICOM files in it or below it.
        uid: SeriesInstanceUID, with ":part" if the series has parts.
        modality: "t1", "t1c", "t2", "pd" or "flair"; of several, any will do.
        option: where users give the modality, for messages.

    Raises:
        FileNotFoundError: there is no DICOM image.
        OSError: a file is damaged.
        ValueError: no series has this UID, or the choice is ambiguous; the message lists the series.
    """
    series = find_series(folder)
    if not series:
        directory = Path(folder, "DICOMDIR").is_file()
        also = " It has a DICOMDIR, which only lists files: copy them too." if directory else ""
        raise FileNotFoundError(f"'{folder}' holds no DICOM image. Give the folder with the slices of a series.{also}")
    if uid is not None:
        chosen = [one for one in series if one.key == uid] or [one for one in series if one.uid == uid]
        if not chosen:
            listed = "; ".join(map(str, series))
            raise ValueError(f"'{folder}' holds no series with the UID {uid}. It holds: {listed}. Give one of these.")
    else:
        wanted = [modality] if isinstance(modality, str) else modality or ()
        acquired = [one for one in series if not one.synthetic] or series
        chosen = acquired if len(acquired) == 1 else [one for one in acquired if one.modality in wanted]
    if len(chosen) != 1:
        raise ValueError(_ambiguous(series, chosen, modality, option))
    for other in series if uid is None else ():
        if other is not chosen[0]:
            logger.info("'%s': not processed: %s%s", folder, other, ", synthetic" if other.synthetic else "")
    return chosen[0]


def _ambiguous(
    series: Sequence[DicomSeries],
    chosen: Sequence[DicomSeries],
    modality: str | Collection[str] | None,
    option: str | None,
) -> str:
    """Return the message for several series of which none or several fit."""
    first = (chosen or series)[0]
    names = {one.modality for one in chosen}
    counts = f"{len(chosen) or len(series)} series"
    if chosen and isinstance(modality, str):
        counts += f", {len(chosen)} of them {modality}"
    by_modality = f"give {option}, such as {option} {first.modality}, or " if option and len(names) > 1 else ""
    return (
        f"'{first.folder}' holds {counts}; one is needed: {'; '.join(map(str, chosen or series))}. To choose, "
        f"{by_modality}write the path as 'folder::SeriesInstanceUID', such as '{first.path}', or give a folder or a "
        "table with one series per scan."
    )


def _series(folder: Path, uid: str, part: int, slices: list[tuple[Path, Dataset]]) -> DicomSeries:
    """Return a group of slices as a series, described by the header of the first slice."""
    first = slices[0][1]
    description = str(first.get("SeriesDescription") or first.get("ProtocolName") or "")
    number = int_or_none(first.get("SeriesNumber"))
    return DicomSeries(
        uid,
        part,
        number,
        description,
        modality_of_header(first),
        tuple(path for path, _ in slices),
        tuple(int_or_none(header.get(FRAME_NUMBER)) if FRAME_NUMBER in header else None for _, header in slices),
        folder,
        first.get("SyntheticData") == "YES",
    )


def _parts(slices: list[tuple[Path, Dataset]]) -> list[list[tuple[Path, Dataset]]]:
    """Split the slices of one UID by matrix and orientation, and by `SPLIT_BY` if positions repeat."""
    slices = sorted(slices, key=lambda pair: (int_or_none(pair[1].get("InstanceNumber")) or 0, pair[0]))
    by_grid = _grouped(slices, lambda header: (str(header.get("Rows")), str(header.get("Columns")), _direction(header)))
    return [part for grid in by_grid for part in _unrepeated(grid, SPLIT_BY)]


def _unrepeated(slices: list, tags: tuple[str, ...]) -> list[list]:
    """Split by one tag after another until no part has a position twice, or no tag is left."""
    positions = [str(header.get("ImagePositionPatient")) for _, header in slices]
    if len(set(positions)) == len(positions) or set(positions) == {"None"}:
        return [slices]
    if not tags:  # volumes that no element tells apart may still be objects of their own
        enhanced = FRAME_NUMBER in slices[0][1]
        return _grouped(slices, lambda header: str(header.get("SOPInstanceUID"))) if enhanced else [slices]
    parts = _grouped(slices, lambda header: str(header.get(tags[0])))
    return [whole for part in parts for whole in _unrepeated(part, tags[1:])]


def _grouped(slices: list, key: Callable[[Dataset], Any]) -> list[list]:
    """Group slices by a key of their header, in order of first appearance."""
    groups: dict[Any, list] = {}
    for path, header in slices:
        groups.setdefault(key(header), []).append((path, header))
    return list(groups.values())


def _direction(header: Dataset) -> tuple[float, ...] | None:
    """Return the orientation rounded to 0.01: coarse enough to ignore jitter, fine enough to separate planes."""
    try:
        return tuple((np.round(np.asarray(header.get("ImageOrientationPatient"), dtype=float), 2) + 0.0).ravel())
    except (TypeError, ValueError):
        return None
