"""Modalities of the scans to synthesize from: by DICOM header, BIDS sidecar or name."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..scans.bids_sidecar import sidecar_facts
from ..scans.dicom.series import choose_series, split_uid
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
            found.scans.append(find_source(path, modality=modality, known=known, option=option))
        except (ValueError, OSError) as error:
            found.failures[path] = str(error)
    return found


def find_source(path: str, *, modality: str | None, known: Sequence[str], option: str = "--from") -> Source:
    """Find the modality of a scan; of a DICOM study, choose the series too.

    The series is that of the modality; without one, the only acquired series whose header tells one of the network's.

    Args:
        path: image file, folder of a DICOM study, or `folder::SeriesInstanceUID`.
        modality: modality of the scan; `None` = that of its header, BIDS sidecar or name.
        known: modalities of the network.
        option: where users give the modality, for messages.

    Raises:
        OSError: a folder has no DICOM image, or a file is damaged.
        ValueError: nothing tells the modality, or several series fit.
    """
    folder, uid = split_uid(path)
    if folder.is_dir():
        series = choose_series(folder, uid=uid, modality=modality or known, option=option)
        return Source(series.path, modality or _known(series.modality, f"{series} in '{folder}'", known, option))
    return Source(path, modality or _known(sidecar_facts(Path(path))[0], f"'{path}'", known, option))


def _known(modality: str | None, scan: str, known: Sequence[str], option: str) -> str:
    if modality in known:
        return str(modality)
    said = "not in header, JSON or name" if modality is None else f"{modality}, which the network does not know"
    raise ValueError(
        f"the modality of {scan} is {said}. Give it with {option}, one of {', '.join(known)}, such as {option} "
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
