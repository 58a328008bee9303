"""Header shared by all slices of a derived MR series."""

import re
from collections.abc import Iterable, Sequence
from copy import deepcopy
from datetime import datetime

from pydicom import DataElement, Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import MRImageStorage, generate_uid

from .codes import code_item, decimal_strings, fit_text
from .deidentify import deidentified
from .files import int_or_none

NOT_FOR_DIAGNOSIS = "NOT FOR DIAGNOSIS"

KEPT = (
    "SpecificCharacterSet",
    "PatientName",
    "PatientID",
    "IssuerOfPatientID",
    "PatientBirthDate",
    "PatientSex",
    "OtherPatientIDs",
    "PatientAge",
    "PatientSize",
    "PatientWeight",
    "PatientIdentityRemoved",
    "DeidentificationMethod",
    "DeidentificationMethodCodeSequence",
    "LongitudinalTemporalInformationModified",
    "ClinicalTrialSponsorName",
    "ClinicalTrialProtocolID",
    "ClinicalTrialProtocolName",
    "ClinicalTrialSiteID",
    "ClinicalTrialSiteName",
    "ClinicalTrialSubjectID",
    "ClinicalTrialTimePointID",
    "StudyInstanceUID",
    "StudyDate",
    "StudyTime",
    "StudyID",
    "StudyDescription",
    "AccessionNumber",
    "ReferringPhysicianName",
    "FrameOfReferenceUID",
    "PositionReferenceIndicator",
    "BodyPartExamined",
    "Laterality",
    "PatientPosition",
    "Manufacturer",
    "ManufacturerModelName",
    "InstitutionName",
    "InstitutionalDepartmentName",
    "StationName",
    "DeviceSerialNumber",
    "SoftwareVersions",
    "AcquisitionDate",
    "AcquisitionTime",
    "MagneticFieldStrength",
    "BurnedInAnnotation",
    "LossyImageCompression",
    "LossyImageCompressionRatio",
    "LossyImageCompressionMethod",
    "ContributingEquipmentSequence",
)
"""Elements copied from the source: patient, study, position, scanner. All others are removed, such as private elements,
icons, windows and extreme values."""

KEPT_OF_ACQUISITION = (
    "ScanningSequence",
    "SequenceVariant",
    "ScanOptions",
    "MRAcquisitionType",
    "SequenceName",
    "RepetitionTime",
    "EchoTime",
    "InversionTime",
    "EchoTrainLength",
    "EchoNumbers",
    "FlipAngle",
    "NumberOfAverages",
    "ImagingFrequency",
    "ImagedNucleus",
    "PixelBandwidth",
    "ContrastBolusAgent",
)
"""Acquisition parameters, copied only if the derived series has the modality of the source."""

REQUIRED = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "StudyID",
    "AccessionNumber",
    "ReferringPhysicianName",
    "PositionReferenceIndicator",
    "PatientPosition",
    "Manufacturer",
    "ScanOptions",
    "MRAcquisitionType",
    "RepetitionTime",
    "EchoTime",
    "EchoTrainLength",
)
"""Elements that must be present, though they may be empty (type 2)."""

FORMS = {
    "AS": r"[0-9]{3}[DWMY]",
    "DA": r"[0-9]{8}",
    "TM": r"[0-9]{2}([0-9]{2}([0-9]{2}(\.[0-9]{1,6})?)?)?",
    "CS": r"[A-Z0-9_ ]{1,16}",
    "UI": r"[0-9.]{1,64}",
}
"""Forms of some value types; values of another form, as after careless de-identification, are dropped."""


def describe(target_modality: str, source_modality: str | None, software: str = "Uni-COAL") -> str:
    """Return the SeriesDescription of a derived series.

    Example:
        >>> describe("t2", "t1")
        'T2 synthesized from T1 (Uni-COAL) NOT FOR DIAGNOSIS'
        >>> describe("t1", "t1")
        'T1 thin slices synthesized (Uni-COAL) NOT FOR DIAGNOSIS'
    """
    target, source = target_modality.upper(), (source_modality or "").upper()
    method = (
        "thin slices synthesized" if target == source else f"synthesized from {source}" if source else "synthesized"
    )
    return f"{target} {method} ({software}) {NOT_FOR_DIAGNOSIS}"


def derived_header(
    source: Dataset,
    *,
    target_modality: str,
    source_modality: str | None,
    description: str | None,
    notes: Sequence[str],
    software: str,
    versions: Sequence[str],
    series_number: int | None,
    series_uid: str,
    deidentify: bool = False,
    salt: str = "",
) -> Dataset:
    """Return the elements that all slices of a derived series share, except geometry and pixels.

    Manufacturer and serial number are those of the scanner; the software is recorded in ContributingEquipmentSequence
    (PS3.3 C.12.1.1.5).

    Args:
        source: header of the first source slice.
        target_modality: such as "t2".
        source_modality: such as "t1", or `None`.
        description: SeriesDescription, or `None` for a default.
        notes: further sentences for ImageComments.
        software: name of the program.
        versions: versions of the program and the bundle.
        series_number: SeriesNumber; `None` = the source's plus 1000.
        series_uid: SeriesInstanceUID.
        deidentify: remove the patient's identity, see `deidentified`.
        salt: secret for the hashed UIDs.
    """
    header = _copied(source, KEPT)
    header.StudyInstanceUID = header.get("StudyInstanceUID") or generate_uid()
    header.FrameOfReferenceUID = header.get("FrameOfReferenceUID") or generate_uid()
    same_modality = source_modality == target_modality
    header.ScanningSequence, header.SequenceVariant = "RM", "NONE"
    if same_modality:
        header.update(_copied(source, KEPT_OF_ACQUISITION))
    number = int_or_none(source.get("SeriesNumber")) or 0
    header.SeriesNumber = number + 1000 if series_number is None else series_number
    header.SOPClassUID, header.Modality = MRImageStorage, "MR"
    header.ImageType = ["DERIVED", "SECONDARY", "OTHER"]
    header.SyntheticData = "YES"
    header.BurnedInAnnotation = header.get("BurnedInAnnotation") or "NO"
    if deidentify:
        header = deidentified(header, salt=salt)
    header.SeriesInstanceUID = series_uid
    _add_texts(header, description or describe(target_modality, source_modality, software), notes, software, versions)
    _add_equipment(header, software, versions)
    if not deidentify:
        _add_times(header)
    for keyword in (*REQUIRED, *(() if "BodyPartExamined" in header else ("Laterality",))):
        if keyword not in header:
            setattr(header, keyword, None)
    return header


def _copied(source: Dataset, keywords: Iterable[str]) -> Dataset:
    """Return the elements that are present and well-formed; decimal strings are shortened to 16 characters."""
    copy = Dataset()
    for keyword in keywords:
        if keyword not in source:
            continue
        element = deepcopy(source[keyword])
        values = [element.value] if element.VM == 1 else list(element.value or [])
        if element.VR == "DS":
            element = DataElement(element.tag, "DS", decimal_strings(values))
        form = FORMS.get(element.VR)
        if form is None or all(not str(value).strip() or re.fullmatch(form, str(value).strip()) for value in values):
            copy[element.tag] = element
    return copy


def _add_texts(header: Dataset, description: str, notes: Sequence[str], software: str, versions: Sequence[str]) -> None:
    """Add the descriptions of the series; they always contain "NOT FOR DIAGNOSIS"."""
    header.SeriesDescription = fit_text(description, 64, keep=NOT_FOR_DIAGNOSIS)
    origin = " ".join([f"Computed by {software}", *versions])
    header.DerivationDescription = fit_text(f"{origin}. {description}", 1024)
    header.ImageComments = fit_text(" ".join([f"{NOT_FOR_DIAGNOSIS}. {description}.", *notes]), 10240)
    texts = (header.SeriesDescription, header.DerivationDescription, header.ImageComments)
    if not all(text.isascii() for text in texts):
        header.SpecificCharacterSet = "ISO_IR 192"  # UTF-8, which also covers the names of the source


def _add_equipment(header: Dataset, software: str, versions: Sequence[str]) -> None:
    """Append the software to the contributing equipment of the source."""
    item = Dataset()
    item.PurposeOfReferenceCodeSequence = [code_item(codes.DCM.ProcessingEquipment)]
    item.Manufacturer = "Uni-COAL for MONAI"
    item.ManufacturerModelName = fit_text(software, 64)
    item.SoftwareVersions = [fit_text(version, 64) for version in versions] or "unknown"
    item.ContributionDescription = fit_text(f"Image synthesis by a neural network. {NOT_FOR_DIAGNOSIS}", 1024)
    header.ContributingEquipmentSequence = [*header.get("ContributingEquipmentSequence", []), item]


def _add_times(header: Dataset) -> None:
    """Set date and time of series, content and instances to now; study and acquisition keep theirs."""
    now = datetime.now()
    date, time = now.strftime("%Y%m%d"), now.strftime("%H%M%S")
    for prefix in ("Series", "Content", "InstanceCreation"):
        setattr(header, f"{prefix}Date", date)
        setattr(header, f"{prefix}Time", time)
    header.ContributingEquipmentSequence[-1].ContributionDateTime = date + time
