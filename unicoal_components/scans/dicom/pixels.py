"""Headers and pixels of the slices in one DICOM file."""

import hashlib
import io
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from pydicom import Dataset, dcmread
from pydicom.pixels import get_decoder, pixel_array
from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from ...files.memory_limit import check_memory
from .files import check_inflated, convert_values, header_errors, int_or_none
from .frames import frame_headers, is_multi_frame

INSTALL_HINT = {
    "JPEG 2000": "pylibjpeg pylibjpeg-openjpeg",
    "High-Throughput": "pylibjpeg pylibjpeg-openjpeg",
    "JPEG": "pylibjpeg pylibjpeg-libjpeg",
    "RLE": "pylibjpeg pylibjpeg-rle",
}
"""Packages to install, by the first words of the name of the transfer syntax."""

PIXEL = 16
"""Bytes of memory for each pixel of a series that is processed."""

LARGEST_RATIO = 1000
"""Ratio of compression that no image of a patient reaches."""


def read_slices(path: Path, frames: Sequence[int | None]) -> tuple[list[Dataset], list[np.ndarray], str]:
    """Return headers without pixels and stored pixels `(rows, columns)` of a file's slices, and the file's SHA-256."""
    with _reading(path):
        content = path.read_bytes()
        check_inflated(io.BytesIO(content))
        header = dcmread(io.BytesIO(content), force=True)
        convert_values(header)
    if "TransferSyntaxUID" not in header.file_meta:  # a file without preamble
        implicit, little = header.original_encoding
        header.file_meta.TransferSyntaxUID = (
            ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian if little else ExplicitVRBigEndian
        )
    _check_kind(header, path)
    _check_decoder(header, path)
    with header_errors(path):
        pixels = int(header.Rows) * int(header.Columns) * len(frames)
        stored = pixels * int(header.BitsAllocated) // 8
    check_memory(path, PIXEL * pixels)
    with _reading(path):
        if stored > LARGEST_RATIO * len(content):
            raise ValueError(f"its header states {stored:,} bytes of pixels, but it has {len(content):,}")
        if is_multi_frame(header):
            every = list(frame_headers(header))
            headers = [every[frame - 1] for frame in frames if frame is not None]
            values = [pixel_array(header, index=frame - 1) for frame in frames if frame is not None]
        else:
            headers, values = [header], [pixel_array(header)]
            del header.PixelData
    return headers, values, hashlib.sha256(content).hexdigest()


def _check_kind(header: Dataset, path: Path) -> None:
    """Raise an error for frames without functional groups, and for tiled, color and inverted images."""
    frames = int_or_none(header.get("NumberOfFrames")) or 1
    if frames > 1 and not is_multi_frame(header):
        raise ValueError(
            f"'{path}' is a DICOM object of {frames} frames without functional groups, so that nothing says where each "
            "lies. Export the series from the scanner or the archive as enhanced or single-frame MR."
        )
    if is_multi_frame(header) and len(header.PerFrameFunctionalGroupsSequence) != frames:
        raise ValueError(
            f"'{path}' has {frames} frames and functional groups for {len(header.PerFrameFunctionalGroupsSequence)}. "
            "It is damaged; export the series again."
        )
    if "MOSAIC" in str(header.get("ImageType")):
        raise ValueError(
            f"'{path}' is a mosaic: many slices tiled into one image. Convert the series to NIfTI first, for example "
            "with dcm2niix."
        )
    samples = int_or_none(header.get("SamplesPerPixel")) or 1
    photometric = str(header.get("PhotometricInterpretation", "MONOCHROME2"))
    if samples != 1 or not photometric.startswith("MONOCHROME"):
        raise ValueError(
            f"'{path}' is a color image (PhotometricInterpretation {photometric}, {samples} samples per pixel), such "
            "as a screen capture or a colored map. Give the gray-scale series that it was made from."
        )
    if photometric == "MONOCHROME1":
        raise ValueError(
            f"'{path}' has PhotometricInterpretation MONOCHROME1: low values are bright, so they are not an MR "
            "signal. Export the series as MONOCHROME2."
        )


def _check_decoder(header: Dataset, path: Path) -> None:
    """Raise an error if no installed package decodes the compressed pixels."""
    syntax = UID(str(header.file_meta.TransferSyntaxUID))
    try:
        known = not syntax.is_compressed or get_decoder(syntax).is_available
    except (NotImplementedError, ValueError):
        known = False
    if not known:
        package = next(
            (names for start, names in INSTALL_HINT.items() if syntax.name.startswith(start)), "pylibjpeg[all]"
        )
        raise OSError(
            f"cannot read '{path}': its pixels are compressed as {syntax.name} ({syntax}), which no installed "
            f"package decodes. Run 'pip install {package}', or decompress the series with 'gdcmconv --raw' or "
            "'dcmdjpeg'."
        )


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Convert errors of readers and decoders to one that names the file; silence pydicom's warnings on odd values."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except Exception as error:  # decoders raise their own types: EOFError, AttributeError, struct.error, ...
        reason = " ".join(str(error).split()[-25:]) or type(error).__name__
        raise OSError(
            f"cannot read the DICOM file '{path}': it is truncated or damaged ({reason}). Copy or export the series "
            "again."
        ) from error
