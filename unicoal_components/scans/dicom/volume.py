"""Reader of one volume from a DICOM series, in scanner units and with its affine."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydicom import Dataset
from pydicom.charset import python_encoding

from .files import int_or_none
from .geometry import slice_plane, stack_geometry
from .modality_rules import type_warning
from .pixels import read_slices
from .series import DicomSeries

BIG_GAP = 0.2
"""Fraction of the slice thickness; a larger gap between slices gives a warning."""

PATIENT = ("PatientID", "PatientName", "PatientBirthDate")
"""Elements that are the same in all slices of one patient."""


@dataclass(frozen=True, eq=False)
class DicomVolume:
    """A series as a volume.

    Attributes:
        series: series that it was read from.
        voxels: float32 `(x, y, z)` = (column, row, slice) in scanner units: RescaleSlope and RescaleIntercept of each
            slice are applied; RealWorldValueMapping is not.
        affine: float64 `(4, 4)`, voxel (x, y, z, 1) to NIfTI RAS+ world mm.
        source: headers of the slices without pixels, in the order of z.
        checksums: SHA-256 of the files, in their order in `series.files`, each once.
        stored_dtype: type of the pixels in the files, such as "int16".
        rescale: slope and intercept of all slices; `None` if they differ.
        slice_thickness: SliceThickness in mm; `None` if it is missing or differs between slices.
        warnings: warnings for the user, each a clause about the series, without identifying data.
    """

    series: DicomSeries
    voxels: np.ndarray
    affine: np.ndarray
    source: tuple[Dataset, ...]
    checksums: tuple[str, ...]
    stored_dtype: str
    rescale: tuple[float, float] | None
    slice_thickness: float | None
    warnings: tuple[str, ...]


def read_series(series: DicomSeries) -> DicomVolume:
    """Read the slices of a series, sort them and check that they form one regular volume.

    Slices are sorted by ImagePositionPatient along the normal row × column; file names and InstanceNumber are ignored.
    A part of a series (see `find_series`) is read like a series.

    Args:
        series: see `find_series` and `choose_series`.

    Raises:
        OSError: a file is missing, damaged or truncated, or no installed package decodes its compression.
        ValueError: the series is in color or MONOCHROME1, has frames without functional groups, or its slices differ in
            matrix or orientation or are not evenly spaced, see `stack_geometry`.
    """
    name = f"{series.key} in '{series.folder}'"
    names, headers, pixels, checksums = [], [], [], []
    for path, frames in _frames_of_files(series).items():
        images, values, sha256 = read_slices(path, frames)
        names += [(path, frame) for frame in frames]
        headers += images
        pixels += values
        checksums.append(sha256)
    _check_one_series(headers, [path for path, _ in names], series, name)
    names, headers, pixels, copies = _without_copies(names, headers, pixels)
    labels = [f"'{path.name}'{_frame(frame)}" for path, frame in names]
    planes = [
        slice_plane(header, name=f"{path}{_frame(frame)}") for header, (path, frame) in zip(headers, names, strict=True)
    ]
    rescales = [_rescale(header, path) for header, (path, _) in zip(headers, names, strict=True)]
    order, affine, uneven = stack_geometry(planes, name=name, labels=labels)
    rows, columns = pixels[0].shape
    voxels = np.empty((columns, rows, len(order)), dtype=np.float32, order="F")
    for z, index in enumerate(order):
        slope, intercept = rescales[index]  # may differ between slices
        voxels[:, :, z] = (slope * pixels[index].astype(np.float64) + intercept).T
    source = tuple(headers[index] for index in order)
    spacing = float(np.linalg.norm(affine[:3, 2]))
    dtype = str(np.result_type(*pixels))
    shared = rescales[0] if len(set(rescales)) == 1 else None
    thicknesses = {positive_number(header.get("SliceThickness")) for header in headers}
    thickness = thicknesses.pop() if len(thicknesses) == 1 else None
    notes = (*copies, *uneven, *_warnings(source, spacing, series))
    return DicomVolume(series, voxels, affine, source, tuple(checksums), dtype, shared, thickness, notes)


def _without_copies(
    names: list[tuple[Path, int | None]], headers: list[Dataset], pixels: list[np.ndarray]
) -> tuple[list[tuple[Path, int | None]], list[Dataset], list[np.ndarray], list[str]]:
    """Leave out slices that are copies of another: the same object and frame with the same pixels; and warn of them."""
    kept: dict[Any, int] = {}
    copies = []
    for index, (header, (path, frame)) in enumerate(zip(headers, names, strict=True)):
        key = (str(header.get("SOPInstanceUID") or ""), frame, str(header.get("ImagePositionPatient")))
        if key[0] and key in kept and np.array_equal(pixels[index], pixels[kept[key]]):
            copies.append(f"'{path.name}' is a copy of '{names[kept[key]][0].name}' and was left out")
        else:
            kept[key if key[0] and key not in kept else index] = index
    order = sorted(kept.values())
    return [names[i] for i in order], [headers[i] for i in order], [pixels[i] for i in order], copies


def _frames_of_files(series: DicomSeries) -> dict[Path, list[int | None]]:
    """Return the frames that are wanted of each file, in order."""
    wanted: dict[Path, list[int | None]] = {}
    for path, frame in zip(series.files, series.frames, strict=True):
        wanted.setdefault(path, []).append(frame)
    return wanted


def _frame(number: int | None) -> str:
    return "" if number is None else f", frame {number}"


def _check_one_series(headers: Sequence[Dataset], files: Sequence[Path], series: DicomSeries, name: str) -> None:
    """Raise an error for files of several series or matrix sizes."""
    for header, path in zip(headers, files, strict=True):
        uid = str(header.get("SeriesInstanceUID") or "")
        if uid != series.uid:
            raise ValueError(
                f"'{path}' belongs to the series {uid or 'without SeriesInstanceUID'}, not to {name}. List the series "
                "again, or put each into its own folder."
            )
        size, first = [(one.get("Rows"), one.get("Columns")) for one in (header, headers[0])]
        if size != first:
            raise ValueError(
                f"series {name} mixes matrices: '{path.name}' has {size[0]} x {size[1]} rows and columns, "
                f"'{files[0].name}' {first[0]} x {first[1]}. Put each stack into its own folder."
            )


def _rescale(header: Dataset, path: Path) -> tuple[float, float]:
    """Return the slope and intercept of a slice; both are optional."""
    slope, intercept = header.get("RescaleSlope"), header.get("RescaleIntercept")
    try:
        scale = float(1 if slope is None else slope), float(intercept or 0)
    except (TypeError, ValueError):
        scale = math.nan, math.nan
    if not math.isfinite(sum(scale)) or scale[0] == 0:
        raise ValueError(
            f"'{path}' has RescaleSlope {slope!s} and RescaleIntercept {intercept!s}; they must be numbers, the slope "
            "not 0. Export the series again."
        )
    return scale


def _warnings(source: Sequence[Dataset], spacing: float, series: DicomSeries) -> Iterator[str]:
    """Yield warnings about a series that can be read."""
    first = source[0]
    modality = str(first.get("Modality") or "unknown")
    if modality != "MR":
        yield f"it is of Modality {modality}, not MR; results on it are meaningless"
    kind = type_warning(first)
    if kind is not None:
        yield kind
    charset = first.get("SpecificCharacterSet")
    if charset and not _known_charset(charset):
        yield f"its SpecificCharacterSet, {charset!s}, is unknown; names and descriptions may be misread"
    if first.get("SyntheticData") == "YES":
        yield "it is itself synthetic (SyntheticData YES); give the acquired series"
    patients = {tuple(str(one.get(tag) or "") for tag in PATIENT) for one in source}
    if len(patients) > 1:
        yield f"its slices name {len(patients)} patients; it may be mixed from several series"
    numbers = sorted({number for one in source if (number := int_or_none(one.get("InstanceNumber"))) is not None})
    steps = np.diff(numbers)
    if not series.part and len(steps) and steps.max() > steps.min():
        yield (
            f"it has gaps in InstanceNumber ({numbers[0]} to {numbers[-1]}, {len(numbers)} of them); check that all "
            "slices were exported"
        )
    expected = int_or_none(first.get("ImagesInAcquisition"))
    if not series.part and expected and expected > len(source):
        yield f"it has {len(source)} slices, but ImagesInAcquisition is {expected}; some may be missing"
    gap = gap_warning(positive_number(first.get("SliceThickness")) or 0.0, spacing)
    if gap is not None:
        yield gap


def _known_charset(names: Any) -> bool:
    return all(str(name) in python_encoding for name in ([names] if isinstance(names, str) else names))


def positive_number(value: Any) -> float | None:
    """Return the value of a header element as a number above 0; `None` if it is not one.

    Example:
        >>> positive_number("3.6"), positive_number(""), positive_number(0), positive_number([3, 4])
        (3.6, None, None, None)
    """
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if 0 < number < math.inf else None


def gap_warning(thickness: float, spacing: float) -> str | None:
    """Return a warning about a large gap between slices, in mm; `None` if it is small or the thickness is unknown.

    Example:
        >>> gap_warning(5.0, 5.5), gap_warning(0.0, 5.5)
        (None, None)
    """
    if not thickness > 0 or spacing - thickness <= BIG_GAP * thickness:
        return None
    return (
        f"it has slices of {thickness:.2f} mm at a distance of {spacing:.2f} mm: nothing was measured in the gaps of "
        f"{spacing - thickness:.2f} mm between them"
    )
