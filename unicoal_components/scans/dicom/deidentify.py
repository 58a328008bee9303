"""Headers without the person they are of, after the Basic Profile of DICOM PS3.15 Annex E."""

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
"""Elements that stay as they are. All else that is not named below goes, whatever it is."""

MAPPED_UIDS = ("StudyInstanceUID", "FrameOfReferenceUID")
EMPTIED = (
    *("PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "AccessionNumber", "StudyID"),
    *("ReferringPhysicianName", "PositionReferenceIndicator"),
)
"""Elements that a valid object must have (type 2)."""

METHOD = "DICOM PS3.15 Basic Profile; pixels not cleaned, not defaced"


def hashed_uid(*texts: str) -> str:
    """Return a UID below 2.25 that is a hash of texts: the same texts, the same UID; it does not lead back to them.

    Example:
        >>> hashed_uid("a", "b") == hashed_uid("a", "b"), hashed_uid("a", "b") == hashed_uid("ab")
        (True, False)
    """
    digest = hashlib.sha256("\0".join(texts).encode()).digest()
    return f"2.25.{uuid.UUID(bytes=digest[:16], version=5).int}"


def deidentified(header: Dataset, *, salt: str = "") -> Dataset:
    """Return a header that names neither the patient nor the hospital, the staff, the dates or the devices' serials.

    Only elements known to be harmless stay: no text that a person typed, no UID of an instance or a series. Study and
    FrameOfReference UIDs are hashed, so that all series of one study stay together under UIDs that are not the original
    ones. PatientID and PatientName become a pseudonym of the study, not of the PatientID, whose few digits could be
    tried out. Sex, age and weight go.

    Not covered: text burned into the pixels, and the face, which can be drawn from a scan of the head: deface or strip
    it first.

    Args:
        header: of any image; it is not changed.
        salt: a secret; without it, who knows an original UID can compute the new one.
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
