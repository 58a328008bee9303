import shutil

import numpy as np
import pydicom
import pytest

from unicoal_components.scans.dicom.files import has_dicom, is_dicom
from unicoal_components.scans.dicom.series import choose_series, find_series, split_uid

UID = "1.2.840.99999.7.1.2"
SAGITTAL = (0.0, 1.0, 0.0, 0.0, 0.0, -1.0)


def test_dicom_is_recognized_by_content_not_by_name(tmp_path, dicom_series):
    folder = dicom_series(2)
    assert all(is_dicom(path) for path in folder.iterdir())
    (tmp_path / "text.dcm").write_bytes(b"hello" * 100)
    (tmp_path / "empty.dcm").touch()
    (tmp_path / "zeros").write_bytes(bytes(300))
    (tmp_path / "eight").write_bytes(b"\x08\x00\x05\x00" + bytes(range(200)))
    assert not any(is_dicom(tmp_path / name) for name in ("text.dcm", "empty.dcm", "zeros", "eight", "missing"))
    assert not is_dicom(folder)


def test_a_data_set_without_preamble_is_dicom(tmp_path, dicom_series):
    dataset = pydicom.dcmread(next(dicom_series(2).iterdir()))
    old = pydicom.Dataset(dataset)
    old.save_as(tmp_path / "old", implicit_vr=True, little_endian=True)
    assert (tmp_path / "old").read_bytes()[128:132] != b"DICM"
    assert is_dicom(tmp_path / "old")


def test_a_folder_has_dicom_when_a_visible_file_below_it_is(tmp_path, dicom_series):
    assert not has_dicom(tmp_path) and not has_dicom(tmp_path / "nowhere")
    hidden = dicom_series(2, folder=tmp_path / "study" / ".series.partial")
    assert not has_dicom(tmp_path)
    shutil.copytree(hidden, tmp_path / "study" / "deep" / "series")
    assert has_dicom(tmp_path)


def test_series_below_a_folder_are_listed_in_order_of_their_number(tmp_path, dicom_series):
    study = tmp_path / "study"
    dicom_series(
        3, folder=study / "a", tags={"SeriesNumber": 12, "SeriesInstanceUID": "1.2.12", "SeriesDescription": ""}
    )
    dicom_series(4, folder=study / "b" / "c", tags={"SeriesNumber": 3, "SeriesInstanceUID": "1.2.3"})
    dicom_series(2, folder=study / "a", prefix="X", tags={"SeriesNumber": None, "SeriesInstanceUID": "1.2.99"})
    (study / "notes.txt").write_text("nothing")
    (study / "DICOMDIR").write_bytes(bytes(128) + b"DICM")
    found = find_series(study)
    assert [(one.uid, one.number, len(one.files)) for one in found] == [
        ("1.2.3", 3, 4),
        ("1.2.12", 12, 3),
        ("1.2.99", None, 2),
    ]
    assert [one.description for one in found] == ["AX T1 SE", "T1 private protocol", "AX T1 SE"]
    assert found[0].modality == "t1" and found[0].part == 0 and found[0].key == "1.2.3"


@pytest.mark.parametrize("modality", ["SR", "PR", "KO", "RTSTRUCT"])
def test_objects_other_than_images_are_skipped(dicom_series, modality):
    folder = dicom_series(3)

    def strip(index, dataset):
        for keyword in ("Rows", "Columns", "PixelData"):
            delattr(dataset, keyword)
        dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.88.11"

    dicom_series(1, folder=folder, prefix="N", tags={"Modality": modality, "SeriesInstanceUID": "1.5"}, each=strip)
    assert [one.uid for one in find_series(folder)] == [UID]


def test_a_file_cut_within_its_header_is_named(dicom_series):
    folder = dicom_series(3)
    victim = sorted(folder.iterdir())[0]
    victim.write_bytes(victim.read_bytes()[:700])
    with pytest.raises(OSError, match=f"{victim.name}.*truncated or damaged"):
        find_series(folder)
    victim.write_bytes(victim.read_bytes()[:200])
    with pytest.raises(OSError, match=f"{victim.name}.*truncated or damaged"):
        find_series(folder)


def test_orientations_under_one_uid_become_parts(tmp_path, dicom_series):
    folder = dicom_series(3)
    dicom_series(2, folder=folder, prefix="S", orientation=SAGITTAL)
    dicom_series(2, folder=folder, prefix="M", shape=(8, 8), origin=(0, 0, 500))
    found = find_series(folder)
    assert sorted(len(one.files) for one in found) == [2, 2, 3]
    assert all(one.key == f"{UID}:{one.part}" for one in found)


@pytest.mark.parametrize(
    ("keyword", "values"),
    [("EchoTime", ("12", "80")), ("ImageType", (["ORIGINAL", "PRIMARY", "M"], ["ORIGINAL", "PRIMARY", "P"]))]
    + [("TemporalPositionIdentifier", (1, 2)), ("AcquisitionNumber", (1, 2))],
)
def test_volumes_that_repeat_positions_become_parts(dicom_series, keyword, values):
    folder = dicom_series(4, tags={keyword: values[0]})
    dicom_series(4, folder=folder, prefix="B", tags={keyword: values[1]}, first=5)
    assert [(one.part, len(one.files)) for one in find_series(folder)] == [(1, 4), (2, 4)]


def test_acquisition_numbers_without_repeated_positions_are_one_series(dicom_series):
    def interleave(index, dataset):
        dataset.AcquisitionNumber = index % 2

    assert [len(one.files) for one in find_series(dicom_series(6, each=interleave))] == [6]


def test_copies_of_a_volume_stay_together_to_be_refused_when_read(dicom_series):
    folder = dicom_series(4)
    dicom_series(4, folder=folder, prefix="B")
    assert [len(one.files) for one in find_series(folder)] == [8]


def two(tmp_path, dicom_series, second="AX T2 TSE"):
    study = tmp_path / "study"
    dicom_series(3, folder=study / "a", tags={"SeriesInstanceUID": "1.2.1", "SeriesNumber": 1})
    t2 = {"SeriesInstanceUID": "1.2.2", "SeriesNumber": 2, "SeriesDescription": second, "ProtocolName": ""}
    dicom_series(4, folder=study / "b", tags=t2)
    return study


def test_a_series_is_chosen_by_uid_or_as_the_only_one_or_by_modality(tmp_path, dicom_series):
    study = two(tmp_path, dicom_series)
    assert choose_series(study, uid="1.2.2").number == 2
    assert choose_series(study / "a").number == 1
    assert choose_series(study / "a", modality="t2").number == 1  # the only one, for any guess
    assert choose_series(study, modality="t2").number == 2
    assert choose_series(study, uid="1.2.1", modality="t2").number == 1


def test_the_choice_is_left_to_the_user_with_a_list(tmp_path, dicom_series):
    study = two(tmp_path, dicom_series)
    for modality in (None, "flair"):
        with pytest.raises(ValueError, match="2 series") as error:
            choose_series(study, modality=modality)
        for part in (
            "1.2.1 (number 1, 'AX T1 SE', 3 slices, t1)",
            "1.2.2 (number 2, 'AX T2 TSE', 4",
            f"{study}::1.2.1",
        ):
            assert part in str(error.value)
    with pytest.raises(ValueError, match="2 series, 2 of them t1"):
        choose_series(two(tmp_path, dicom_series, "SAG T1"), modality="t1")


def test_an_unknown_uid_is_refused_with_the_existing_series(tmp_path, dicom_series):
    with pytest.raises(ValueError, match=r"no series with the UID 9.9.*1\.2\.1 .*1\.2\.2 "):
        choose_series(two(tmp_path, dicom_series), uid="9.9")


def test_the_uid_of_a_series_in_parts_needs_the_part(dicom_series):
    folder = dicom_series(3)
    dicom_series(2, folder=folder, prefix="S", orientation=SAGITTAL)
    with pytest.raises(ValueError, match=f"2 series.*{UID}:1.*{UID}:2"):
        choose_series(folder, uid=UID)
    assert choose_series(folder, uid=f"{UID}:2").part == 2


def test_a_folder_without_dicom_is_refused(tmp_path):
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(FileNotFoundError, match="no DICOM image"):
            choose_series(folder)


def test_only_a_uid_is_split_from_a_path():
    assert [str(part) for part in split_uid("a/b::1.2.3")] == ["a/b", "1.2.3"]
    assert split_uid("a::b::1.2.3:4")[1] == "1.2.3:4"
    assert split_uid("scan::3")[1] is None and split_uid("a/b")[1] is None


def test_headers_of_many_slices_are_read_without_their_pixels(dicom_series):
    folder = dicom_series(3)
    for path in folder.iterdir():
        whole = path.read_bytes()
        path.write_bytes(whole[:-100])  # as pixels are not read, their end is not missed here
    assert len(find_series(folder)) == 1
    assert np.all([path.exists() for path in find_series(folder)[0].files])


@pytest.mark.parametrize("kept", [0, 100])
def test_a_file_that_is_dicom_by_its_name_alone_is_named(dicom_series, kept):
    folder = dicom_series(3)
    first = min(folder.iterdir())
    (folder / "cut.dcm").write_bytes(first.read_bytes()[:kept])
    with pytest.raises(OSError, match=r"cut\.dcm"):
        find_series(folder)
