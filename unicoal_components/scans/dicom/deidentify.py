"""De-identification of headers according to the Basic Profile of DICOM PS3.15 Annex E."""

import hashlib
import uuid

from pydicom import Dataset
from pydicom.sr.codedict import codes

from .codes import code_item

SAFE = frozenset(
    """
    SpecificCharacterSet ImageType SOPClassUID SyntheticData Modality Manufacturer ManufacturerModelName
    SoftwareVersions SeriesNumber BodyPartExamined Laterality PatientPosition ScanningSequence SequenceVariant
    ScanOptions MRAcquisitionType SequenceName RepetitionTime EchoTime InversionTime EchoTrainLength EchoNumbers
    FlipAngle NumberOfAverages MagneticFieldStrength ImagingFrequency ImagedNucleus PixelBandwidth BurnedInAnnotation
    LossyImageCompression LossyImageCompressionRatio LossyImageCompressionMethod
    """.split()  # noqa: SIM905
)
"""Elements that are kept unchanged. All others are removed, except those named below."""

MAPPED_UIDS = ("StudyInstanceUID", "FrameOfReferenceUID")
EMPTIED = (
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "AccessionNumber",
    "StudyID",
    "ReferringPhysicianName",
    "PositionReferenceIndicator",
)
"""Elements that a valid object must have, though they may be empty (type 2)."""

METHOD = "DICOM PS3.15 Basic Profile; pixels not cleaned, not defaced"


def hashed_uid(*texts: str) -> str:
    """Return a UID under the root 2.25 that is a hash of texts: always the same, and not reversible.

    Example:
        >>> hashed_uid("a", "b") == hashed_uid("a", "b"), hashed_uid("a", "b") == hashed_uid("ab")
        (True, False)
    """
    digest = hashlib.sha256("\0".join(texts).encode()).digest()
    return f"2.25.{uuid.UUID(bytes=digest[:16], version=5).int}"


def deidentified(header: Dataset, *, salt: str = "") -> Dataset:
    """Return a header without patient, hospital, staff, dates and serial numbers of devices.

    Only elements known to be harmless are kept: no free text, and no UID of an instance or a series. StudyInstanceUID
    and FrameOfReferenceUID are hashed, so that all series of one study stay together under new UIDs. PatientID and
    PatientName become a pseudonym of the study; one of the PatientID could be found by trying all numbers. Sex, age and
    weight are removed.

    Not covered: text burned into the pixels, and the face, which can be reconstructed from a scan of the head. Deface
    or skull-strip the scan first.

    Args:
        header: header of any image; it is not changed.
        salt: secret for the hashes; without it, the new UIDs can be computed from the original ones.
    """
    clean = Dataset()
    for element in header:
        if element.keyword in SAFE:
            clean[element.tag] = element
    for keyword in EMPTIED:
        setattr(clean, keyword, "")
    for keyword in MAPPED_UIDS:
        setattr(clean, keyword, hashed_uid(salt, str(header.get(keyword, ""))))
    pseudonym = hashlib.sha256(str(clean.StudyInstanceUID).encode()).hexdigest()[:10].upper()
    clean.PatientID, clean.PatientName = f"ANON-{pseudonym}", f"ANON^{pseudonym}"
    clean.PatientIdentityRemoved = "YES"
    clean.DeidentificationMethod = METHOD
    clean.DeidentificationMethodCodeSequence = [code_item(codes.DCM.BasicApplicationConfidentialityProfile)]
    clean.LongitudinalTemporalInformationModified = "REMOVED"
    return clean
