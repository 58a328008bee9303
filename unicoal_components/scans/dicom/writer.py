"""Writer of a volume as a derived MR series in the study of its source."""

import logging
import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.sr.codedict import codes
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid

from ...files.atomic_folder import atomic_folder
from ...files.writable import check_replaceable
from .codes import code_item, decimal_strings
from .deidentify import hashed_uid
from .files import is_derived_series
from .frames import FRAME_NUMBER
from .header import derived_header
from .placement import Placement, Plane, place_slices, plane_of

logger = logging.getLogger(__name__)

LEVELS = 4095
"""Largest stored value: 12 bits, which every viewer supports."""

COARSE = 255
"""Range of values below which rounding to integers would be visible."""


class StoredScale(NamedTuple):
    """Linear map from stored integers to real values of a series: real = slope * stored + intercept."""

    slope: float
    intercept: float

    def stored(self, values: np.ndarray) -> np.ndarray:
        """Return real values as integers in [0, 4095], rounded and clipped; NaN becomes 0."""
        levels = np.rint((np.asarray(values, dtype=np.float64) - self.intercept) / self.slope)
        return np.clip(np.nan_to_num(levels, posinf=LEVELS, neginf=0), 0, LEVELS).astype(np.uint16)


def write_derived_series(
    folder: str | os.PathLike,
    *,
    voxels: np.ndarray,
    affine: np.ndarray,
    source: Sequence[Dataset],
    target_modality: str,
    source_modality: str | None = None,
    description: str | None = None,
    notes: Sequence[str] = (),
    software: str = "Uni-COAL",
    versions: Sequence[str] = (),
    series_number: int | None = None,
    window: tuple[float, float] | None = None,
    keep_integers: bool = False,
    uid_seed: str | None = None,
    deidentify: bool = False,
    salt: str = "",
) -> Path:
    """Write a volume as single-frame MR Image Storage objects, `0001.dcm`, `0002.dcm`, ... in order of z.

    Patient, study, frame of reference and scanner are copied from the source; so are orientation and pixel spacing if
    the plane is the same, and the position of every slice that coincides with a source slice. Series and instances are
    new and marked as derived (DERIVED, SECONDARY, OTHER), synthetic (SyntheticData) and not for diagnosis. Acquisition
    parameters (TR, TE, ...) are kept only if the modality is the same.

    Pixels are 12-bit integers on one scale for the whole series, from its smallest to its largest finite value; the
    map back to real values is in RealWorldValueMappingSequence, as the MR object has no rescale elements.
    The folder is written completely or not at all. A folder written earlier by this function is replaced.

    Args:
        folder: folder to create.
        voxels: `(x, y, z)` = (column, row, slice), real numbers; a memory map is read slice by slice, twice.
        affine: `(4, 4)`, voxel to NIfTI RAS+ world mm. There may be more slices than in the source, or another plane.
        source: headers of the source series in slice order (`DicomVolume.source`).
        target_modality: such as "t2".
        source_modality: such as "t1"; equal to the target for super-resolution only; `None` if unknown.
        description: SeriesDescription, cut to 64 characters, ending with "NOT FOR DIAGNOSIS"; `None` = a default.
        notes: further sentences for ImageComments.
        software: name of the program.
        versions: versions of the program and the bundle.
        series_number: SeriesNumber; `None` = the source's plus 1000.
        window: (black, white) in units of `voxels`; `None` = the whole range.
        keep_integers: store rounded values without scaling if all are in 0..4095 and the largest is above 255.
        uid_seed: the same seed and source give the same UIDs; `None` = new ones each time.
        deidentify: remove the patient's identity, see `deidentified`. `description`, `notes` and `versions` are
            written as given. Burned-in text and faces stay in the pixels.
        salt: secret for the UIDs of de-identified series.

    Returns:
        The folder.

    Raises:
        ValueError: the volume's axes are not at right angles, it has no finite value, the window is empty, or the
            folder holds files other than those of a derived series.
        OSError: the folder cannot be written.
    """
    folder = Path(folder)
    check_replaceable([folder], _is_replaceable)
    if voxels.ndim != 3 or len(source) < 2:
        raise ValueError(
            f"cannot write {voxels.ndim} dimensions with {len(source)} source slices to '{folder}': a volume (x, y, "
            "z) and the headers of at least 2 slices are needed."
        )
    plane = plane_of(affine, voxels.shape, source)
    placements = place_slices(affine, voxels.shape, source, shared=plane.shared)
    scale = series_scale(voxels, keep_integers=keep_integers)
    seed = None if uid_seed is None else (uid_seed, str(source[0].get("SeriesInstanceUID", "")), target_modality)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom's, about odd values in the source
        header = derived_header(
            source[0],
            target_modality=target_modality,
            source_modality=source_modality,
            description=description,
            notes=notes,
            software=software,
            versions=versions,
            series_number=series_number,
            series_uid=_new_uid(seed, "series"),
            deidentify=deidentify,
            salt=salt,
        )
        header.update(_geometry_of_series(source, plane, placements))
        header.update(_pixel_format(scale, window, voxels.shape))
        references = [_reference(one, salt if deidentify else None) for one in source]
        with atomic_folder(folder) as partial:
            for index, placement in enumerate(placements):
                slice = Dataset(header)
                slice.SOPInstanceUID = _new_uid(seed, str(index))
                slice.InstanceNumber = index + 1
                slice.ImagePositionPatient = _position(placement, source)
                slice.SourceImageSequence = [references[near] for near in placement.nearest]
                slice.PixelData = scale.stored(voxels[:, :, index]).T.astype("<u2").tobytes()
                _save(slice, partial / f"{index + 1:04d}.dcm")
    return folder


def series_scale(voxels: np.ndarray, *, keep_integers: bool = False) -> StoredScale:
    """Return the scale that maps the range of finite values to 0..4095, read slice by slice.

    Args:
        voxels: `(x, y, z)`, real numbers.
        keep_integers: return the identity if the values fit, see `write_derived_series`.

    Raises:
        ValueError: no value is finite.
    """
    low, high, broken = np.inf, -np.inf, 0
    for index in range(voxels.shape[2]):
        values = np.asarray(voxels[:, :, index], dtype=np.float64)
        finite = values[np.isfinite(values)]
        broken += values.size - finite.size
        if finite.size:
            low, high = min(low, float(finite.min())), max(high, float(finite.max()))
    if low > high:
        raise ValueError("the volume to write has no finite value; check the input of the network.")
    if broken:
        logger.warning(
            "%d voxels are not finite; NaN and -inf are written as the smallest value, inf as the largest.", broken
        )
    if keep_integers and low >= 0 and COARSE < high <= LEVELS:
        return StoredScale(1.0, 0.0)
    slope = (high - low) / LEVELS
    return StoredScale(slope if slope > np.finfo(np.float32).tiny else 1.0, low)


def _is_replaceable(folder: Path) -> bool:
    """Return whether a folder is empty or has nothing but a synthetic series."""
    return is_derived_series(folder) or (folder.is_dir() and not any(folder.iterdir()))


def _geometry_of_series(source: Sequence[Dataset], plane: Plane, placements: Sequence[Placement]) -> Dataset:
    """Return orientation and spacings, copied literally from the source where they are the same."""
    first, shared = source[0], Dataset()
    if plane.shared:
        shared.ImageOrientationPatient = decimal_strings(first.ImageOrientationPatient)
        shared.PixelSpacing = decimal_strings(first.PixelSpacing)
    else:
        axes = np.concatenate([plane.row, plane.column])
        shared.ImageOrientationPatient = decimal_strings(float(value) + 0.0 for value in axes)
        shared.PixelSpacing = decimal_strings(plane.spacing)
    same_slices = plane.shared and [placement.same for placement in placements] == list(range(len(source)))
    spacing = 0.0
    if len(placements) > 1:
        spacing = round(float(np.linalg.norm(placements[1].position - placements[0].position)), 6)
    thickness = first.get("SliceThickness") if same_slices or not spacing else None
    shared.SliceThickness = decimal_strings([spacing if thickness in (None, "") else thickness])[0]
    if spacing:
        written = first.get("SpacingBetweenSlices") if same_slices else None
        shared.SpacingBetweenSlices = decimal_strings([written or spacing])[0]
    return shared


def _position(placement: Placement, source: Sequence[Dataset]) -> list[str]:
    """Return ImagePositionPatient, copied from the source slice if the position is the same."""
    if placement.same is not None:
        return decimal_strings(source[placement.same].ImagePositionPatient)
    return decimal_strings(float(value) + 0.0 for value in placement.position)


def _pixel_format(scale: StoredScale, window: tuple[float, float] | None, shape: Sequence[int]) -> Dataset:
    """Return the elements of the pixel format: unsigned 12 bits, window, and mapping to real values."""
    low, high = (0.0, float(LEVELS)) if window is None else [(v - scale.intercept) / scale.slope for v in window]
    if not high > low:
        raise ValueError(f"window is {window}; its second value must be above its first.")
    pixels = Dataset()
    pixels.Columns, pixels.Rows = shape[:2]
    pixels.SamplesPerPixel, pixels.PhotometricInterpretation, pixels.PixelRepresentation = 1, "MONOCHROME2", 0
    pixels.BitsAllocated, pixels.BitsStored, pixels.HighBit = 16, 12, 11
    pixels.WindowCenter, pixels.WindowWidth = decimal_strings([(low + high + 1) / 2, max(high - low + 1, 1.0)])
    mapping = Dataset()
    mapping.RealWorldValueFirstValueMapped, mapping.RealWorldValueLastValueMapped = 0, LEVELS
    mapping["RealWorldValueFirstValueMapped"].VR = mapping["RealWorldValueLastValueMapped"].VR = "US"
    mapping.RealWorldValueSlope, mapping.RealWorldValueIntercept = scale.slope, scale.intercept
    mapping.LUTExplanation, mapping.LUTLabel = "Units of the computed image", "COMPUTED"
    mapping.MeasurementUnitsCodeSequence = [code_item(codes.UCUM.NoUnits)]
    pixels.RealWorldValueMappingSequence = [mapping]
    return pixels


def _reference(header: Dataset, salt: str | None) -> Dataset:
    """Return a reference to a source slice, by its hashed UID if a salt is given."""
    uid = str(header.get("SOPInstanceUID", ""))
    item = Dataset()
    item.ReferencedSOPClassUID = header.get("SOPClassUID", MRImageStorage)
    item.ReferencedSOPInstanceUID = uid if salt is None else hashed_uid(salt, uid)
    if FRAME_NUMBER in header:
        item.ReferencedFrameNumber = header[FRAME_NUMBER].value
    item.PurposeOfReferenceCodeSequence = [code_item(codes.DCM.SourceImageForImageProcessingOperation)]
    return item


def _new_uid(seed: tuple[str, ...] | None, name: str) -> str:
    """Return a new UID, or the one determined by a seed."""
    return str(generate_uid()) if seed is None else hashed_uid(*seed, name)


def _save(slice: Dataset, path: Path) -> None:
    """Write one instance as a DICOM file."""
    slice.file_meta = FileMetaDataset()
    slice.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    slice.save_as(path, enforce_file_format=True)
