import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid

from unicoal_components.scans.file_names import stem_of
from unicoal_components.scans.image_paths import check_images, list_images


def paths(input):
    return [item["image"] for item in list_images(input)]


def slice_file(path, study="1.2.3", series="1.2.3.4"):
    """Write a DICOM file without pixels, which is enough to be found."""
    path.parent.mkdir(parents=True, exist_ok=True)
    header = Dataset()
    header.SOPClassUID, header.SOPInstanceUID = MRImageStorage, generate_uid()
    header.StudyInstanceUID, header.SeriesInstanceUID = study, series
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    header.save_as(path, enforce_file_format=True)


def test_one_file_and_a_folder_become_items_in_name_order(tmp_path):
    for name in ("b.nii.gz", "a.nii", ".c.nii.gz", "d.mha", "E.NRRD", "notes.pdf"):
        (tmp_path / name).touch()
    assert paths(str(tmp_path / "a.nii")) == [str(tmp_path / "a.nii")]
    assert paths(tmp_path) == [str(tmp_path / name) for name in ("E.NRRD", "a.nii", "b.nii.gz", "d.mha")]


def test_a_list_of_paths_and_a_text_file_of_them_become_items(tmp_path):
    for name in ("a.nii", "b.nii"):
        (tmp_path / name).touch()
    both = [str(tmp_path / "b.nii"), str(tmp_path / "a.nii")]
    assert paths(both) == both
    (tmp_path / "list.txt").write_text("# today's\nb.nii\n\n" + both[1] + "\n", encoding="utf-8-sig")
    assert paths(str(tmp_path / "list.txt")) == both


def test_a_folder_of_slices_is_one_image_and_so_is_a_study_of_several_series(tmp_path):
    slice_file(tmp_path / "one" / "IM1")
    slice_file(tmp_path / "study" / "t1" / "IM1", series="1.2.3.5")
    slice_file(tmp_path / "study" / "t2" / "IM1", series="1.2.3.6")
    assert paths(tmp_path / "one") == [str(tmp_path / "one")]
    assert paths(tmp_path / "study") == [str(tmp_path / "study")]
    assert paths(f"{tmp_path / 'study'}::1.2.3.6") == [f"{tmp_path / 'study'}::1.2.3.6"]


def test_a_folder_of_studies_is_an_image_each(tmp_path):
    for number, name in enumerate(("p02", "p01")):
        slice_file(tmp_path / name / "t1" / "IM1", study=f"1.2.{number}")
    (tmp_path / "empty").mkdir()
    slice_file(tmp_path / ".p03.partial" / "IM1", study="1.2.9")
    assert paths(tmp_path) == [str(tmp_path / "p01"), str(tmp_path / "p02")]


def test_a_name_with_the_character_that_monai_replaces_is_found(tmp_path):
    (tmp_path / "p#1.nii").touch()
    assert paths(str(tmp_path / "p::1.nii")) == [str(tmp_path / "p#1.nii")]


def test_a_study_is_named_after_its_folder():
    assert stem_of("scans/p.01::1.2.840.5:2") == "p.01" and stem_of("a/b.c/T1.NII.GZ") == "T1"


def test_an_input_without_images_is_refused(tmp_path):
    for missing in (str(tmp_path / "nowhere"), "", f"{tmp_path / 'nowhere'}::1.2.3"):
        with pytest.raises(FileNotFoundError, match="does not exist"):
            check_images(missing)
        assert list_images(missing) == []  # a workflow can be built before there are scans
    with pytest.raises(FileNotFoundError, match="is empty"):
        check_images(tmp_path)
    (tmp_path / "notes.pdf").touch()
    with pytest.raises(FileNotFoundError, match=r"folder '.*' holds no image .*\.nii.*DICOM"):
        check_images(tmp_path)
    (tmp_path / "list.txt").write_text("# nothing\n")
    with pytest.raises(FileNotFoundError, match=r"list '.*list\.txt' holds no path"):
        check_images(tmp_path / "list.txt")


def test_two_images_of_the_same_name_are_refused(tmp_path):
    for name in ("a.nii", "a.nii.gz", "b.nii"):
        (tmp_path / name).touch()
    with pytest.raises(ValueError, match=r"'a' more than once: '.*a\.nii' and '.*a\.nii\.gz'"):
        check_images(tmp_path)
    check_images([str(tmp_path / "a.nii"), str(tmp_path / "b.nii")])


def test_an_empty_list_is_refused():
    with pytest.raises(FileNotFoundError, match="empty list"):
        check_images([])


@pytest.mark.parametrize("encoding", ["utf-8", "utf-32", "utf-8-sig", "utf-16"])
def test_a_list_may_have_the_encodings_of_windows_and_quotes(tmp_path, encoding):
    (tmp_path / "list.txt").write_text('"Müller 1.nii"\r\n\r\n# none\r\nb.nii\r\n', encoding=encoding)
    assert paths(tmp_path / "list.txt") == [str(tmp_path / "Müller 1.nii"), str(tmp_path / "b.nii")]


@pytest.mark.parametrize(
    ("name", "encoding"), [("Müller.nii", "latin-1"), ("a.nii", "utf-16-le"), ("a.nii", "utf-32-be")]
)
def test_a_list_of_another_encoding_is_named(tmp_path, name, encoding):
    (tmp_path / "list.txt").write_bytes(name.encode(encoding))
    with pytest.raises(ValueError, match=r"list\.txt.*UTF-8"):
        paths(tmp_path / "list.txt")


def test_what_is_not_processed_in_a_folder_is_named(tmp_path, caplog):
    for name in ("a.nii.gz", "a.json", "b.mgz", "notes.pdf", "c.nii.bak", "d.img", ".hidden"):
        (tmp_path / name).touch()
    (tmp_path / "more").mkdir()
    slice_file(tmp_path / "study" / "1.dcm")
    check_images(tmp_path)
    for reason, names in {
        "not images": "c.nii.bak, notes.pdf",
        "pairs of header and image, which are to be given by name": "d.img",
        "folders without DICOM": "more",
        "DICOM beside image files": "study",
    }.items():
        assert f"{reason}, not processed: {names}." in caplog.text
    assert not any(name in caplog.text for name in ("a.nii.gz", "a.json", "b.mgz", ".hidden"))


def test_a_broken_link_in_a_folder_is_an_error(tmp_path):
    (tmp_path / "a.nii.gz").touch()
    (tmp_path / "b.nii.gz").symlink_to(tmp_path / "gone")
    with pytest.raises(FileNotFoundError, match=r"b\.nii\.gz.*git annex get"):
        check_images(tmp_path)
