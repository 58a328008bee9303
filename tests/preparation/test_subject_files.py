import re

import pytest

from unicoal_components.preparation.options import PreparationSteps
from unicoal_components.preparation.provenance import make_recipe
from unicoal_components.preparation.subject_files import find_subjects, read_table


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def test_a_pattern_finds_subjects_in_order_of_their_names(tmp_path):
    touch(tmp_path, "b/t1.nii.gz", "b/t2.nii.gz", "a/t1.nii.gz", "a/t2.nii.gz", "a/t1c.nii.gz")
    subjects = find_subjects(tmp_path, pattern="{subject}/{modality}.nii.gz", modalities=["t1", "t2"])
    assert [item.subject for item in subjects] == ["a", "b"]
    assert subjects[0].files == {"t1": tmp_path / "a/t1.nii.gz", "t2": tmp_path / "a/t2.nii.gz"}
    assert subjects[0].section is None


def test_a_pattern_may_repeat_the_subject_and_spellings_may_differ(tmp_path):
    touch(tmp_path, "sub-1/anat/sub-1_T1w.nii.gz", "sub-1/anat/sub-1_FLAIR.nii.gz", "sub-1/anat/sub-2_T1w.nii.gz")
    subjects = find_subjects(
        tmp_path,
        pattern="{subject}/*/{subject}_{modality}.nii.gz",
        modalities=["t1", "flair"],
        names={"t1": "T1w", "flair": "FLAIR"},
    )
    assert [item.subject for item in subjects] == ["sub-1"]
    assert subjects[0].files["t1"].name == "sub-1_T1w.nii.gz"


def test_a_name_that_contains_another_is_not_confused_with_it(tmp_path):
    touch(tmp_path, "p07_T1.nii.gz", "p07_T1c.nii.gz")
    subjects = find_subjects(tmp_path, pattern="{subject}_{modality}.nii.gz", modalities=["t1"], names={"t1": "T1"})
    assert [item.files["t1"].name for item in subjects] == ["p07_T1.nii.gz"]


def test_what_matches_nothing_is_named(tmp_path, caplog):
    touch(tmp_path, "a/t1.nii.gz", "b/T1.nii.gz", "c.nii.gz", ".hidden")
    find_subjects(tmp_path, pattern="{subject}/{modality}.nii.gz", modalities=["t1"])
    assert " in b, c.nii.gz;" in caplog.text


@pytest.mark.parametrize("pattern", ["{subject}/{modality}.nii.gz", "{subject}/{modality}*"])
def test_a_broken_link_is_a_scan_that_cannot_be_read(tmp_path, pattern):
    touch(tmp_path, "a/t1.nii.gz", "b/t2.nii.gz")
    (tmp_path / "b" / "t1.nii.gz").symlink_to(tmp_path / "gone")
    subjects = find_subjects(tmp_path, pattern=pattern, modalities=["t1", "t2"])
    assert sorted(subjects[1].files) == ["t1", "t2"]
    with pytest.raises(FileNotFoundError, match=r"b/t1\.nii\.gz.*link.*git annex get"):
        make_recipe(subjects[1], ["t1"], PreparationSteps())


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_a_table_may_have_the_encodings_of_windows(tmp_path, encoding):
    (tmp_path / "t.csv").write_text("subject,t1\r\nMüller,a.nii\r\n", encoding=encoding)
    assert read_table(tmp_path / "t.csv")[0].subject == "Müller"


def test_a_table_of_another_encoding_is_named(tmp_path):
    (tmp_path / "t.csv").write_bytes("subject,t1\nMüller,a.nii\n".encode("latin-1"))
    with pytest.raises(ValueError, match=r"table '.*t\.csv'.*UTF-8"):
        read_table(tmp_path / "t.csv")


def test_a_subject_without_one_modality_is_kept_with_what_it_has(tmp_path):
    touch(tmp_path, "a/t1.nii", "b/t1.nii", "b/t2.nii")
    subjects = find_subjects(tmp_path, pattern="{subject}/{modality}.nii", modalities=["t1", "t2"])
    assert [sorted(item.files) for item in subjects] == [["t1"], ["t1", "t2"]]


def test_a_modality_without_files_is_an_error_with_the_remedy(tmp_path):
    touch(tmp_path, "a/t1.nii")
    with pytest.raises(ValueError, match=r"\{subject\}/\{modality\}\.nii' for modality 'pd'.*names.*pd=PD"):
        find_subjects(tmp_path, pattern="{subject}/{modality}.nii", modalities=["t1", "pd"])


@pytest.mark.parametrize("pattern", ["{subject}.nii", "{modality}.nii", "{subject}/{modality}/{session}.nii"])
def test_a_pattern_without_its_two_fields_is_an_error(tmp_path, pattern):
    with pytest.raises(ValueError, match=re.escape(f"'{pattern}' must contain {{subject}} and {{modality}}")):
        find_subjects(tmp_path, pattern=pattern, modalities=["t1"])


def test_two_files_for_one_modality_are_both_named(tmp_path):
    touch(tmp_path, "a/1/t1.nii", "a/2/t1.nii")
    with pytest.raises(ValueError, match=r"'a' has two files for 't1'.*1/t1\.nii.*2/t1\.nii"):
        find_subjects(tmp_path, pattern="{subject}/*/{modality}.nii", modalities=["t1"])


@pytest.mark.parametrize("modalities", [[], ["T1"], ["t1", "t1"], ["t 1"], [""]])
def test_modalities_must_be_different_lower_case_words(tmp_path, modalities):
    with pytest.raises(ValueError, match=re.escape(f"modalities {modalities}") + ".*lower-case"):
        find_subjects(tmp_path, pattern="{subject}/{modality}.nii", modalities=modalities)


def test_names_for_other_modalities_and_a_missing_folder_are_errors(tmp_path):
    with pytest.raises(ValueError, match="names has \\['t2'\\]"):
        find_subjects(tmp_path, pattern="{subject}/{modality}", modalities=["t1"], names={"t2": "T2"})
    with pytest.raises(FileNotFoundError, match="none"):
        find_subjects(tmp_path / "none", pattern="{subject}/{modality}", modalities=["t1"])


def table(folder, text):
    path = folder / "subjects.csv"
    path.write_text(text)
    return path


def test_a_table_gives_files_relative_to_itself_and_sections_in_its_order(tmp_path):
    path = table(tmp_path, "subject,T1,T2,section\nb, b/t1.nii ,/abs/t2.nii,test\n\n007,a.nii,,training\n")
    first, second = read_table(path)
    assert (first.subject, first.section) == ("b", "test")
    assert {name: str(file) for name, file in first.files.items()} == {
        "t1": str(tmp_path / "b/t1.nii"),
        "t2": "/abs/t2.nii",
    }
    assert (second.subject, list(second.files), second.section) == ("007", ["t1"], "training")


def test_a_table_may_name_person_and_session(tmp_path):
    first, second = read_table(table(tmp_path, "subject,t1,session,person\na,1.nii,ses-1,anna\nb,2.nii,,\n"))
    assert [(item.person, item.session, list(item.files)) for item in (first, second)] == [
        ("anna", "ses-1", ["t1"]),
        (None, None, ["t1"]),
    ]


def test_columns_can_be_chosen_and_a_byte_order_mark_is_ignored(tmp_path):
    path = table(tmp_path, "\ufeffsubject,t1,t2\na,1.nii,2.nii\n")
    (item,) = read_table(path, modalities=["t2"])
    assert list(item.files) == ["t2"]
    assert item.section is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "header such as"),
        ("name,t1\na,b\n", "header such as"),
        ("subject;t1\na;b\n", "comma separated.*subject;t1"),
        ("subject,section\na,test\n", "header such as"),
        ("subject,t1,T1\na,b,c\n", "each column once"),
        ("subject,t1\n", "no rows"),
        ("subject,t1\na\n", "row 2 has 1 cells"),
        ("subject,t1\na,1\na,2\n", "'a' twice"),
        ("subject,t1,section\na,1,train\n", "'a': section 'train' .*training"),
    ],
)
def test_a_wrong_table_is_an_error_with_the_remedy(tmp_path, text, message):
    with pytest.raises(ValueError, match=rf"subjects\.csv.*{message}"):
        read_table(table(tmp_path, text))


def test_an_unknown_column_and_a_missing_table_are_named(tmp_path):
    with pytest.raises(ValueError, match=r"no column for .*\['pd'\].*\['t1'\]"):
        read_table(table(tmp_path, "subject,t1\na,b\n"), modalities=["t1", "pd"])
    with pytest.raises(FileNotFoundError, match=r"none\.csv"):
        read_table(tmp_path / "none.csv")
