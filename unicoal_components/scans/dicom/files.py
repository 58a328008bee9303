"""Headers of DICOM files: whether a file is DICOM, and the elements that tell series apart, read once."""

import logging
import os
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

from pydicom import Dataset, dcmread
from pydicom.datadict import keyword_for_tag
from pydicom.uid import DeflatedExplicitVRLittleEndian, MediaStorageDirectoryStorage, MRImageStorage

from ...files.memory_limit import TooLargeError
from .frames import PER_FRAME, SHARED

NO_IMAGES = {"SR", "PR", "KO", "REG", "SEG", "DOC", "RTDOSE", "RTSTRUCT", "RTPLAN", "RTRECORD", "ECG", "AU", "HD"}
"""Values of Modality whose objects are not images."""

SPLIT_BY = (
    "EchoTime",
    "EchoNumbers",
    "ImageType",
    "TemporalPositionIdentifier",
    "DiffusionBValue",
    "AcquisitionNumber",
)
"""Elements that separate several volumes of one SeriesInstanceUID, tried in this order if positions repeat."""

NEEDED = frozenset(
    """
    TransferSyntaxUID SeriesInstanceUID SOPClassUID Rows Columns NumberOfFrames SamplesPerPixel
    PhotometricInterpretation BitsAllocated BitsStored HighBit PixelRepresentation PixelData ImagePositionPatient
    ImageOrientationPatient PixelSpacing RescaleSlope RescaleIntercept SharedFunctionalGroupsSequence
    PerFrameFunctionalGroupsSequence PlanePositionSequence
    PlaneOrientationSequence PixelMeasuresSequence PixelValueTransformationSequence
    """.split()  # noqa: SIM905
)
"""Elements without which the voxels or their place would be other ones."""

FIRST_ELEMENTS = (b"\x08\x00\x05\x00", b"\x08\x00\x08\x00", b"\x08\x00\x12\x00", b"\x08\x00\x16\x00")
"""First bytes of data sets without preamble: one of the first elements of group 0008."""

TAGS = [
    "SOPClassUID",
    "SOPInstanceUID",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "SeriesDescription",
    "ProtocolName",
    "SequenceName",
    "SeriesNumber",
    "Modality",
    "InstanceNumber",
    "Rows",
    "Columns",
    "ImageOrientationPatient",
    "ImagePositionPatient",
    "RepetitionTime",
    "InversionTime",
    "ScanningSequence",
    "ComplexImageComponent",
    "ContrastBolusAgent",
    "NumberOfFrames",
    "SpecificCharacterSet",
    "SyntheticData",
    *SPLIT_BY,
    SHARED,
    PER_FRAME,
    "EchoPulseSequence",
    "EchoPlanarPulseSequence",
    "PulseSequenceName",
    "ContrastBolusAgentSequence",
]
"""Elements that are read from each header."""

SUFFIXES = (".dcm", ".dicom", ".ima")
"""Suffixes of files that must be DICOM; other files may be anything."""

INFLATED = 1 << 31
"""Largest size in bytes of a file with the deflated transfer syntax, once it is inflated."""

logging.getLogger("pydicom").addFilter(lambda record: "Unknown encoding" not in str(record.msg))
# it repeats this for each text of each slice; a series gets one warning


def is_dicom(path: str | os.PathLike) -> bool:
    """Return whether a file has DICOM content: "DICM" after the preamble, or a data set without preamble.

    Raises:
        PermissionError: the file may not be read; the error names it.
    """
    return Path(path).is_file() and _header(Path(path)) is not None


def has_dicom(folder: str | os.PathLike) -> bool:
    """Return whether there is a DICOM file in the folder or below it; stops at the first."""
    return any(is_dicom(path) for path in walk(Path(folder)))


def is_derived_series(folder: Path) -> bool:
    """Return whether a folder holds a synthetic series and nothing else, as `write_derived_series` writes it."""
    files = sorted(folder.iterdir()) if folder.is_dir() else []
    if not files or not all(file.suffix == ".dcm" and file.is_file() for file in files):
        return False
    header = _header(files[0])
    is_synthetic = isinstance(header, Dataset) and header.get("SyntheticData") == "YES"
    return is_synthetic and all(map(is_dicom, files))


def study_uid(path: str | os.PathLike) -> str | None:
    """Return the StudyInstanceUID of a DICOM file; `None` if it has none or is not DICOM."""
    header = _header(Path(path))
    return str(header.get("StudyInstanceUID")) if isinstance(header, Dataset) and "StudyInstanceUID" in header else None


def walk(folder: Path) -> Iterator[Path]:
    """Yield the files in a folder and below it in name order, without hidden ones."""
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(parent, name) for name in sorted(names) if not name.startswith(".") and name != "DICOMDIR")


def _header(path: Path) -> Dataset | str | None:
    """Return the elements `TAGS` of a DICOM file, the reason why they cannot be read, or `None` if it is not DICOM.

    Headers are cached until the file changes.
    """
    state = path.stat()
    return _read_header(path, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=20_000)
def _read_header(path: Path, modified: int, size: int) -> Dataset | str | None:
    """Read the elements before the pixels; silence pydicom, which warns about values that scanners write."""
    with open(path, "rb") as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        head = file.read(132)
        if head[128:] != b"DICM" and head[:4] not in FIRST_ELEMENTS:
            return None
        file.seek(0)
        try:
            check_inflated(file)
            header = dcmread(file, stop_before_pixels=True, force=True, specific_tags=list(TAGS))
            convert_values(header.file_meta)
            convert_values(header)
        except Exception as error:  # of damaged files: EOFError, AttributeError, RecursionError, struct.error, ...
            return (str(error) or type(error).__name__) if head[128:] == b"DICM" else None
    return header if head[128:] == b"DICM" or header.get("SOPClassUID") else None


def convert_values(header: Dataset) -> None:
    """Convert the values of all elements, which pydicom does at the first access, and leave out what cannot be.

    Raises:
        ValueError: it is an element of `NEEDED`.
    """
    for tag in list(header.keys()):
        try:
            element = header[tag]
            for item in element.value if element.VR == "SQ" else ():
                convert_values(item)
        except Exception as error:  # of all kinds: NotImplementedError, OverflowError, BytesLengthException, ...
            if keyword_for_tag(tag) in NEEDED:
                raise ValueError(f"{keyword_for_tag(tag)}: {error}") from error
            del header[tag]


def check_inflated(file: BinaryIO) -> None:
    """Raise an error if a file of the deflated transfer syntax is far larger once inflated; pydicom inflates it whole.

    Args:
        file: the file, at its beginning; it is there again afterwards.

    Raises:
        TooLargeError: it is larger than `INFLATED`.
    """
    head = file.read(1 << 12)
    length = int.from_bytes(head[140:144], "little")  # of the meta header, from byte 144 on
    if head[128:132] == b"DICM" and DeflatedExplicitVRLittleEndian.encode() in head[144 : 144 + length]:
        inflate, size = zlib.decompressobj(-zlib.MAX_WBITS), 0
        file.seek(144 + length)
        while not inflate.eof and (packed := inflate.unconsumed_tail or file.read(1 << 20)):
            size += len(inflate.decompress(packed, 1 << 22))
            if size > INFLATED:
                raise TooLargeError(f"it unpacks to more than {INFLATED:,} bytes")
    file.seek(0)


@contextmanager
def header_errors(path: Path) -> Iterator[None]:
    """Convert errors on values of a wrong kind in a header to one that names the file."""
    try:
        yield
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        raise _damaged(path, f"an element has a value of a wrong kind: {error}"[:200]) from error


def image_header(path: Path) -> Dataset | None:
    """Return the header of an image; `None` for other objects and files.

    Raises:
        OSError: the file is damaged, or by its name DICOM but not by its content.
    """
    header = _header(path) if path.is_file() else None
    if isinstance(header, str):
        raise _damaged(path, header)
    if header is None and path.suffix.lower() in SUFFIXES:
        raise _damaged(path, "it does not begin as DICOM does")
    if header is None:
        return None
    meta = str(getattr(header, "file_meta", {}).get("MediaStorageSOPClassUID", ""))
    is_image = "Rows" in header and "Columns" in header and str(header.get("Modality")) not in NO_IMAGES
    if not is_image and "SOPClassUID" not in header and meta != MediaStorageDirectoryStorage:
        raise _damaged(path, "its header ends early")
    if header.get("SOPClassUID") == MRImageStorage and "Columns" not in header:
        raise _damaged(path, "its header ends before Rows and Columns")
    return header if is_image else None


def _damaged(path: Path, reason: str) -> OSError:
    return OSError(
        f"cannot read the DICOM file '{path}': it is truncated or damaged ({reason}). Copy or export it again, or "
        "remove it from the folder."
    )


def int_or_none(value: Any) -> int | None:
    """Return a value as an integer; `None` if it is missing, empty or not a number."""
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        return None
