import warnings

import pydicom
import pytest
from pydicom.dataelem import RawDataElement

from unicoal_components.scans.dicom.header import KEPT_OF_ACQUISITION, REQUIRED, derived_header, describe


@pytest.fixture
def source(dicom_series):
    return pydicom.dcmread(next(dicom_series(2).iterdir()))


def header(source, **changes):
    options = {
        "target_modality": "t2",
        "source_modality": "t1",
        "description": None,
        "notes": (),
        "series_uid": "1.2.3",
    }
    options |= {"software": "Uni-COAL", "versions": ("pkg 1.0", "cms 0.1"), "series_number": None} | changes
    return derived_header(source, **options)


def test_patient_study_and_scanner_are_those_of_the_source(source):
    made = header(source)
    for keyword in ("PatientName", "PatientID", "PatientBirthDate", "StudyInstanceUID", "StudyDate", "AccessionNumber"):
        assert made[keyword].value == source[keyword].value
    for keyword in ("FrameOfReferenceUID", "Manufacturer", "MagneticFieldStrength", "PatientPosition"):
        assert made[keyword].value == source[keyword].value


def test_the_series_is_marked_as_derived(source):
    made = header(source, notes=["Ask the physicist."])
    assert list(made.ImageType) == ["DERIVED", "SECONDARY", "OTHER"] and made.SyntheticData == "YES"
    assert made.SeriesDescription == "T2 synthesized from T1 (Uni-COAL) NOT FOR DIAGNOSIS"
    assert "pkg 1.0" in made.DerivationDescription and "T2 synthesized from T1" in made.DerivationDescription
    assert made.ImageComments.startswith("NOT FOR DIAGNOSIS") and made.ImageComments.endswith("Ask the physicist.")
    assert made.SeriesNumber == 1004 and header(source, series_number=7).SeriesNumber == 7
    assert made.SeriesInstanceUID == "1.2.3" and made.SOPClassUID == pydicom.uid.MRImageStorage
    (equipment,) = made.ContributingEquipmentSequence
    assert list(equipment.SoftwareVersions) == ["pkg 1.0", "cms 0.1"]
    assert equipment.PurposeOfReferenceCodeSequence[0].CodeValue == "109102"


def test_acquisition_parameters_of_the_source_are_removed(source):
    made = header(source)
    for keyword in ("ProtocolName", "FlipAngle", "SmallestImagePixelValue", "WindowCenter", "OperatorsName"):
        assert keyword in source and keyword not in made
    assert not any(element.tag.is_private for element in made)
    assert (made.ScanningSequence, made.SequenceVariant) == ("RM", "NONE")
    assert made["RepetitionTime"].is_empty and made["EchoTime"].is_empty


def test_super_resolution_keeps_the_acquisition_parameters(source):
    made = header(source, target_modality="t1")
    kept = [keyword for keyword in KEPT_OF_ACQUISITION if keyword in source]
    assert "EchoTime" in kept and all(made[keyword].value == source[keyword].value for keyword in kept)
    assert made.SeriesDescription == "T1 thin slices synthesized (Uni-COAL) NOT FOR DIAGNOSIS"


def test_required_elements_are_present_though_empty():
    made = header(pydicom.Dataset())
    assert all(keyword in made for keyword in REQUIRED)
    assert made.StudyInstanceUID and made.FrameOfReferenceUID and "Laterality" in made


def test_malformed_values_are_dropped_and_long_numbers_shortened(source):
    for keyword, vr, value in (("PatientAge", "AS", b"42"), ("PatientWeight", "DS", b"80.12345678901234567")):
        tag = pydicom.tag.Tag(keyword)
        source[tag] = RawDataElement(tag, vr, len(value), value, 0, False, True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of pydicom
        made = header(source)
    assert "PatientAge" not in made
    text = made["PatientWeight"].value.original_string
    assert len(text) <= 16 and float(text) == pytest.approx(80.123456789012, abs=1e-12)


def test_burned_in_text_and_lossy_compression_are_kept(source):
    assert header(source).BurnedInAnnotation == "NO" and "LossyImageCompression" not in header(source)
    source.BurnedInAnnotation, source.LossyImageCompression, source.LossyImageCompressionRatio = "YES", "01", "10"
    made = header(source)
    assert (made.BurnedInAnnotation, made.LossyImageCompression, made.LossyImageCompressionRatio) == ("YES", "01", 10)


def test_descriptions_fit_and_end_with_the_warning(source):
    made = header(source, description="A very long description\\ that does not fit into the element at all")
    assert len(made.SeriesDescription) <= 64 and made.SeriesDescription.endswith("NOT FOR DIAGNOSIS")
    assert describe("t2", None) == "T2 synthesized (Uni-COAL) NOT FOR DIAGNOSIS"


def test_texts_outside_of_the_character_set_switch_to_utf8(source):
    assert header(source).SpecificCharacterSet == "ISO_IR 100"
    assert header(source, notes=["für 脳"]).SpecificCharacterSet == "ISO_IR 192"


def test_the_contributing_equipment_of_the_source_stays_listed(source):
    earlier = pydicom.Dataset()
    earlier.Manufacturer = "Someone before"
    source.ContributingEquipmentSequence = [earlier]
    assert [item.Manufacturer for item in header(source).ContributingEquipmentSequence] == [
        "Someone before",
        "Uni-COAL for MONAI",
    ]
    assert len(source.ContributingEquipmentSequence) == 1
