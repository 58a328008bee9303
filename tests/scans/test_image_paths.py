import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid

from unicoal_components.scans.image_paths import check_images, list_images, stem_of


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
