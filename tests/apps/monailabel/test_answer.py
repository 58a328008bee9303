"""The file that a client gets; that voxels are the same in NRRD is seen in test_server.py."""

from zipfile import ZipFile

import pytest


@pytest.fixture
def answer(part):
    return part("lib.answer")


@pytest.fixture
def image(tmp_path):
    """An image as the bundle has written it."""
    path = tmp_path / "scan_t2.nii.gz"
    path.write_bytes(b"0")
    return path


def test_the_image_of_the_bundle_is_sent_as_it_is(answer, image, tmp_path):
    for extension in (None, ".nii.gz"):
        image.write_bytes(b"0")
        sent = answer.answer_file([image], extension, tmp_path / "x_a.b_t2")
        assert sent.name == "x_a.b_t2.nii.gz" and sent.read_bytes() == b"0"


def test_several_files_and_series_come_as_a_zip(answer, image, tmp_path):
    series = tmp_path / "scan_t2"
    series.mkdir()
    (series / "0001.dcm").write_bytes(b"1")
    error = tmp_path / "scan_t2_error.nii.gz"
    error.write_bytes(b"2")
    cases = {
        "a": ([image, error], ".nrrd", ["scan_t2.nii.gz", "scan_t2_error.nii.gz"]),
        "b": ([series], None, ["scan_t2/0001.dcm"]),
        "c": ([image], ".zip", ["scan_t2.nii.gz"]),
    }
    for name, (outputs, extension, names) in cases.items():
        sent = answer.answer_file(outputs, extension, tmp_path / name)
        assert sent.name == f"{name}.zip" and ZipFile(sent).namelist() == names


@pytest.mark.parametrize(
    ("output_format", "extension", "written"),
    [
        ("auto", None, "auto"),
        ("auto", "", "auto"),
        ("auto", ".zip", "auto"),
        ("auto", ".nrrd", "nifti"),
        ("auto", ".nii.gz", "nifti"),
        ("dicom", ".nrrd", "dicom"),
        ("nifti", None, "nifti"),
    ],
)
def test_a_viewer_that_reads_one_file_gets_dicom_only_by_name(answer, output_format, extension, written):
    assert answer.written_format(output_format, extension) == written


def test_an_unknown_extension_is_refused(answer):
    with pytest.raises(ValueError, match=r"'\.png'.*\.nrrd"):
        answer.written_format("auto", ".png")
