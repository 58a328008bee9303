"""Modalities of the scans to synthesize from: by DICOM header, BIDS sidecar or name."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..scans.bids_sidecar import sidecar_facts
from ..scans.dicom.series import DicomSeries, find_series, split_uid
from ..scans.image_paths import check_images, list_images


@dataclass(frozen=True)
class Source:
    """A scan to synthesize from.

    Attributes:
        path: file, or folder of a DICOM series as `folder::SeriesInstanceUID`.
        modality: one of the network's.
    """

    path: str
    modality: str


@dataclass(frozen=True)
class Sources:
    """The scans of an input.

    Attributes:
        scans: those whose modality is known.
        failures: reason by path of those that cannot be used.
    """

    scans: list[Source] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)


def find_sources(
    input: Sequence[str], *, modality: str | None, known: Sequence[str], option: str = "--from"
) -> Sources:
    """Find the scans of an input and their modalities.

    Args:
        input: files, folders, lists and DICOM studies, see `list_images`.
        modality: modality of all scans; `None` = that of each one's header, BIDS sidecar or name.
        known: modalities of the network.
        option: where users give the modality, for messages.

    Raises:
        OSError: an input does not exist or holds no scan.
        ValueError: two scans have one name.
    """
    check_images(list(input))
    found = Sources()
    for item in list_images(list(input)):
        (path,) = item.values()
        try:
            found.scans.append(_source(path, modality, known, option))
        except (ValueError, OSError) as error:
            found.failures[path] = str(error)
    return found


def _source(path: str, modality: str | None, known: Sequence[str], option: str) -> Source:
    if modality is not None:
        return Source(path, modality)
    folder, uid = split_uid(path)
    if folder.is_dir():
        return _dicom_source(folder, uid, known, option)
    return Source(path, _known(sidecar_facts(Path(path))[0], path, known, option))


def _dicom_source(folder: Path, uid: str | None, known: Sequence[str], option: str) -> Source:
    series = [one for one in find_series(folder) if uid in (None, one.key, one.uid)]
    usable = [one for one in series if one.modality in known]
    if len(usable) > 1:
        raise ValueError(
            f"the study '{folder}' holds several series: {'; '.join(map(str, usable))}. Choose a modality with "
            f"{option}, such as {option} {usable[0].modality}, or a series as '{folder}::{usable[0].key}'."
        )
    chosen: DicomSeries | None = next(iter(usable or series), None)
    path = str(folder) if chosen is None or not uid and len(series) == 1 else f"{folder}::{chosen.key}"
    return Source(path, _known(chosen.modality if chosen else None, path, known, option))


def _known(modality: str | None, path: str, known: Sequence[str], option: str) -> str:
    if modality in known:
        return str(modality)
    said = (
        "do not tell which modality it is" if modality is None else f"say {modality}, which the network does not know"
    )
    raise ValueError(
        f"header, JSON and name of '{path}' {said}. Give it with {option}, one of {', '.join(known)}, such as {option} "
        f"{known[0]}."
    )


def named(names: Sequence[str] | str, known: Sequence[str], option: str) -> Iterator[str]:
    """Yield modalities in lower case.

    Raises:
        ValueError: the network does not know one; the message lists the known ones.
    """
    for name in [names] if isinstance(names, str) else names:
        if name.lower() not in known:
            raise ValueError(f"{option} is '{name}'; the network knows the modalities {', '.join(known)}.")
        yield name.lower()
