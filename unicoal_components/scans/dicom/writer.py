"""A volume as a derived MR series in the study of its source."""

import logging
import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from pydicom import Dataset, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.sr.codedict import codes
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid

from ...files.atomic_folder import atomic_folder
from .codes import code_item, decimal_strings
from .deidentify import hashed_uid
from .frames import FRAME_NUMBER
from .header import derived_header
from .placement import Placement, Plane, place_slices, plane_of
from .series import is_dicom

logger = logging.getLogger(__name__)

LEVELS = 4095
"""The largest stored value: 12 bits, which every viewer shows."""

COARSE = 255
"""Below this, rounding to whole numbers would show."""


class StoredScale(NamedTuple):
    """The one line between stored integers and real values of a series: real = slope * stored + intercept."""

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

    Person, study, frame of reference and scanner are the source's; so are orientation and pixel spacing where the plane
    is the same, and the position of every slice that coincides with one of the source. Series and instances are new,
    marked as derived (DERIVED, SECONDARY, OTHER), synthetic (SyntheticData) and not for diagnosis. How the source was
    measured (TR, TE, ...) stays only where the modality does.

    Pixels are 12-bit integers on one scale for the whole series, from its least to its greatest finite value; the
    line back to real values is in RealWorldValueMappingSequence, as the MR object has no rescale elements.
    The folder appears whole or not at all. One that this function has written before is replaced.

    Args:
        folder: to be made.
        voxels: `(x, y, z)` = (column, row, slice), real numbers; a memory map is read slice by slice, twice.
        affine: `(4, 4)`, voxel to NIfTI RAS+ world mm. Slices may be more than the source's, or of another plane.
        source: headers of the source series in slice order (`DicomVolume.source`).
        target_modality: such as "t2".
        source_modality: such as "t1"; equal to the target for super-resolution alone, `None` where unknown.
        description: SeriesDescription, cut to 64 characters and closed by "NOT FOR DIAGNOSIS"; `None` makes one.
        notes: further sentences for ImageComments.
        software: name of the program.
        versions: of the program and the bundle.
        series_number: `None` is the source's plus 1000.
        window: (black, white) in units of `voxels`; `None` is the whole range.
        keep_integers: store values as they are, rounded, where all lie in 0..4095 and reach beyond 255.
        uid_seed: the same seed and source give the same UIDs; `None` gives new ones each time.
        deidentify: take out the person, see `deidentified`. `description`, `notes` and `versions` are written as
            given. Burned-in text and faces stay in the pixels.
        salt: a secret for the UIDs of de-identified series.

    Returns:
        The folder.

    Raises:
        ValueError: the volume's axes are not at right angles, it has no finite value, or the window is empty.
        OSError: the folder cannot be written, or holds other files than those of a series written before.
    """
    folder = Path(folder)
    _check_replaceable(folder)
    if voxels.ndim != 3 or len(source) < 2:
        raise ValueError(
            f"cannot write {voxels.ndim} dimensions beside {len(source)} source slices to '{folder}': a volume (x, "
            "y, z) and the headers of at least 2 slices are needed."
        )
    plane = plane_of(affine, voxels.shape, source)
    placements = place_slices(affine, voxels.shape, source, shared=plane.shared)
    scale = series_scale(voxels, keep_integers=keep_integers)
    seed = None if uid_seed is None else (uid_seed, str(source[0].get("SeriesInstanceUID", "")), target_modality)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of pydicom, on odd values in the source
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

    With `keep_integers` it is the identity where the values fit, see `write_derived_series`.

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
        raise ValueError("the volume to write has no finite value; see what the network was given.")
    if broken:
        logger.warning(
            "%d voxels are not finite; NaN and -inf are written as the least value, inf as the greatest.", broken
        )
    if keep_integers and low >= 0 and COARSE < high <= LEVELS:
        return StoredScale(1.0, 0.0)
    slope = (high - low) / LEVELS
    return StoredScale(slope if slope > np.finfo(np.float32).tiny else 1.0, low)


def _check_replaceable(folder: Path) -> None:
    """Refuse a folder that holds anything but a synthetic series: replacing it would delete what someone needs."""
    if not os.path.lexists(folder):
        return
    files = list(folder.iterdir()) if folder.is_dir() else [folder]
    ours = folder.is_dir() and all(file.suffix == ".dcm" and file.is_file() and is_dicom(file) for file in files)
    if not ours or (files and dcmread(files[0], specific_tags=["SyntheticData"]).get("SyntheticData") != "YES"):
        raise OSError(
            f"cannot write the series to '{folder}': there are other files than those of a derived series. Choose "
            "another folder, or move them away."
        )


def _geometry_of_series(source: Sequence[Dataset], plane: Plane, placements: Sequence[Placement]) -> Dataset:
    """Return orientation and spacings; those of the source as they are written there, where they are the same."""
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
    """Return ImagePositionPatient, the source's own where the slice is at its place."""
    if placement.same is not None:
        return decimal_strings(source[placement.same].ImagePositionPatient)
    return decimal_strings(float(value) + 0.0 for value in placement.position)


def _pixel_format(scale: StoredScale, window: tuple[float, float] | None, shape: Sequence[int]) -> Dataset:
    """Return what tells readers how to take the pixels: unsigned 12 bits, the window, the way to real values."""
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
    """Refer to a source slice; with a salt by its hashed UID."""
    uid = str(header.get("SOPInstanceUID", ""))
    item = Dataset()
    item.ReferencedSOPClassUID = header.get("SOPClassUID", MRImageStorage)
    item.ReferencedSOPInstanceUID = uid if salt is None else hashed_uid(salt, uid)
    if FRAME_NUMBER in header:
        item.ReferencedFrameNumber = header[FRAME_NUMBER].value
    item.PurposeOfReferenceCodeSequence = [code_item(codes.DCM.SourceImageForImageProcessingOperation)]
    return item


def _new_uid(seed: tuple[str, ...] | None, what: str) -> str:
    """Return a new UID, or the one that belongs to a seed."""
    return str(generate_uid()) if seed is None else hashed_uid(*seed, what)


def _save(slice: Dataset, path: Path) -> None:
    """Write one object as a DICOM file."""
    slice.file_meta = FileMetaDataset()
    slice.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    slice.save_as(path, enforce_file_format=True)
