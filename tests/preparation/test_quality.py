import re

import nibabel as nib
import numpy as np
import pytest
from matplotlib import image as images

from unicoal_components.preparation.cohort import prepare_cohort
from unicoal_components.preparation.manifest import FAILED, PREPARED, UP_TO_DATE, SubjectResult, describe_step
from unicoal_components.preparation.quality_index import write_quality_index
from unicoal_components.preparation.quality_panel import checkerboard, ordered_modalities, save_quality_panel
from unicoal_components.preparation.subject_files import SubjectFiles

AFFINE = np.diag([2.0, 2.0, 4.0, 1.0])


@pytest.fixture(scope="module")
def output(tmp_path_factory):
    folder = tmp_path_factory.mktemp("quality")
    subjects = []
    for number, subject in enumerate(("anna & co", "bert", "broken")):
        files = {name: folder / f"{subject}_{name}.nii.gz" for name in ("t1", "t2")}
        for seed, path in enumerate(files.values(), start=2 * number):
            array = np.zeros((20, 24, 12), np.float32)
            array[4:-4, 4:-4, 2:-2] = np.random.default_rng(seed).uniform(5, 500, (12, 16, 8))
            nib.save(nib.Nifti1Image(array * (subject != "broken"), AFFINE), path)
        subjects.append(SubjectFiles(subject, files))
    prepare_cohort(subjects, modalities=["t1", "t2"], output=folder / "out", quality=True)
    return folder / "out"


def test_every_prepared_subject_has_a_panel(output):
    assert sorted(path.name for path in (output / "quality").iterdir()) == ["anna & co.png", "bert.png", "index.html"]
    picture = images.imread(output / "quality" / "bert.png")
    assert picture.shape[1] > 2 * picture.shape[0]
    assert picture[..., :3].std() > 0.05


def test_the_same_file_gives_the_same_picture(output, tmp_path):
    save_quality_panel(tmp_path / "again.png", output / "bert.h5", title="bert")
    assert (tmp_path / "again.png").read_bytes() == (output / "quality" / "bert.png").read_bytes()


def test_links_of_the_page_are_relative_and_name_the_panels(output):
    page = (output / "quality" / "index.html").read_text(encoding="utf-8")
    links = re.findall(r'href="([^"]+)"', page)
    assert links == ["anna%20%26%20co.png", "bert.png"]
    assert str(output) not in re.sub(r'data-words="[^"]*"|<td>[^<]*</td>', "", page)
    assert "http" not in page


def test_failed_subjects_come_first_with_their_reason(output):
    page = (output / "quality" / "index.html").read_text(encoding="utf-8")
    assert re.findall(r'<tr data-status="([^"]+)"', page) == ["failed", "prepared", "prepared"]
    assert "broken_t1.nii.gz&#39; is empty" in page
    assert 'data-filter="failed">failed (1)' in page
    assert "ArrowRight" in page


def test_names_and_reasons_cannot_break_the_page(tmp_path):
    item = SubjectFiles("<b>", {"t1": tmp_path / "t1.nii"})
    results = [SubjectResult(item, UP_TO_DATE), SubjectResult(SubjectFiles("x", {}), FAILED, 'said "<script>"')]
    write_quality_index(tmp_path / "index.html", [*results, SubjectResult(item, PREPARED)], modalities=["t1"])
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert "<b>" not in page
    assert page.count("<script>") == 1


def test_the_checkerboard_shows_both_in_turns():
    board = checkerboard(np.zeros((48, 24)), np.ones((48, 24)), spacing=(1.0, 2.0))
    assert board[0, 0] == board[23, 11] == 0
    assert board[0, 12] == board[24, 0] == 1
    assert board.mean() == 0.5


def test_the_reference_comes_first():
    history = {"recipe": {"options": {"register_to": "flair"}, "sources": [{"modality": n} for n in ("t1", "flair")]}}
    assert ordered_modalities(history, ["flair", "t1"]) == ["flair", "t1"]
    assert ordered_modalities({"recipe": {}}, ["pd", "t1"]) == ["pd", "t1"]


def test_a_step_is_described_on_one_line_without_its_matrix():
    record = {"step": "register", "to": "t1", "matrix": [[1.0]], "metric": 0.5, "seed": 0}
    assert describe_step(record) == "register to t1, metric 0.5, seed 0"
    assert describe_step({"step": "bias_correction"}) == "bias_correction"
