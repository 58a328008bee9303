import pydicom
import pytest

from unicoal_components.scans.dicom.deidentify import deidentified, hashed_uid

NAMING = (
    *(
        "Müller",
        "PID-123456",
        "OTHER-99",
        "19600203",
        "061Y",
        "1 Private Road",
        "afraid",
        "20210304",
        "ACC-77",
        "STUDY-8",
    ),
    *("Brain for Dr Roe", "private protocol", "SN-4711", "Hospital of Secrets", "ROOM9", "Doe", "Roe", "Secret"),
    *("1.2.840.99999.7.1", "1.2.840.99999.7.9", "101112"),
)


@pytest.fixture
def source(dicom_series):
    return pydicom.dcmread(next(dicom_series(2).iterdir()), stop_before_pixels=True)


def test_nothing_that_identifies_patient_or_hospital_is_left(source):
    text = str(source.to_json_dict())
    assert not [word for word in NAMING if word not in text]
    clean = str(deidentified(source).to_json_dict())
    assert not [word for word in NAMING if word in clean]
    assert str(source.SOPInstanceUID) not in clean


def test_the_header_records_the_deidentification(source):
    clean = deidentified(source)
    assert clean.PatientIdentityRemoved == "YES" and "PS3.15" in clean.DeidentificationMethod
    assert len(clean.DeidentificationMethod) <= 64
    assert clean.DeidentificationMethodCodeSequence[0].CodeValue == "113100"
    for keyword in ("PatientBirthDate", "PatientSex", "StudyDate", "AccessionNumber", "ReferringPhysicianName"):
        assert clean[keyword].is_empty
    for keyword in ("PatientAge", "PatientWeight", "InstitutionName", "DeviceSerialNumber", "StudyDescription"):
        assert keyword not in clean


def test_uids_of_one_study_stay_together_and_depend_on_the_salt(source):
    again, salted = deidentified(source), deidentified(source, salt="secret")
    assert deidentified(source).StudyInstanceUID == again.StudyInstanceUID != salted.StudyInstanceUID
    assert again.PatientID == deidentified(source).PatientID != salted.PatientID
    source.StudyInstanceUID = "1.2.3"
    assert deidentified(source).StudyInstanceUID != again.StudyInstanceUID
    assert deidentified(source).FrameOfReferenceUID == again.FrameOfReferenceUID


def test_the_original_is_not_changed(source):
    before = str(source)
    deidentified(source)
    assert str(source) == before


def test_hashed_uids_are_valid_and_different():
    uids = {hashed_uid(str(index)) for index in range(200)}
    assert len(uids) == 200 and all(pydicom.uid.UID(uid).is_valid and len(uid) <= 64 for uid in uids)
