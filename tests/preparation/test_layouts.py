import pytest

from unicoal_components.preparation.layouts import find_layout


def touch(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return folder


def found(folder, **options):
    subjects = find_layout(folder, **options)
    return {
        item.subject: {name: path.relative_to(folder).as_posix() for name, path in item.files.items()}
        for item in subjects
    }


def test_ixi_has_one_folder_per_modality(tmp_path):
    touch(
        tmp_path,
        "IXI-T1/IXI002-Guys-0828-T1.nii.gz",
        "IXI-T2/IXI002-Guys-0828-T2.nii.gz",
        "IXI-PD/IXI002-Guys-0828-PD.nii.gz",
        "IXI-T1/IXI012-HH-1211-T1.nii.gz",
        "IXI-DTI/IXI002-Guys-0828-DTI-00.nii.gz",
        "IXI-T1/notes.txt",
    )
    assert found(tmp_path, layout="ixi") == {
        "IXI002-Guys-0828": {
            "t1": "IXI-T1/IXI002-Guys-0828-T1.nii.gz",
            "t2": "IXI-T2/IXI002-Guys-0828-T2.nii.gz",
            "pd": "IXI-PD/IXI002-Guys-0828-PD.nii.gz",
        },
        "IXI012-HH-1211": {"t1": "IXI-T1/IXI012-HH-1211-T1.nii.gz"},
    }


def test_ixi_folders_may_be_named_after_the_modality_alone(tmp_path):
    touch(tmp_path, "T1/IXI002-Guys-0828-T1.nii", "T2/IXI002-Guys-0828-T2.nii")
    assert found(tmp_path, layout="ixi", modalities=["t2"]) == {
        "IXI002-Guys-0828": {"t2": "T2/IXI002-Guys-0828-T2.nii"}
    }


@pytest.mark.parametrize("grade", ["", "HGG/", "Data/LGG/"])
def test_brats_2019(tmp_path, grade):
    prefix = f"{grade}BraTS19_2013_2_1/BraTS19_2013_2_1"
    touch(tmp_path, *(f"{prefix}_{name}.nii.gz" for name in ("t1", "t1ce", "t2", "flair", "seg")))
    assert found(tmp_path, layout="brats") == {
        "BraTS19_2013_2_1": {
            "t1": f"{prefix}_t1.nii.gz",
            "t1c": f"{prefix}_t1ce.nii.gz",
            "t2": f"{prefix}_t2.nii.gz",
            "flair": f"{prefix}_flair.nii.gz",
        }
    }


def test_brats_2023_time_points_belong_to_one_person(tmp_path):
    cases = ("BraTS-GLI-00005-000", "BraTS-GLI-00005-001", "BraTS-GLI-00006-000")
    touch(tmp_path, *(f"{case}/{case}-{name}.nii.gz" for case in cases for name in ("t1n", "t1c", "t2w", "t2f", "seg")))
    subjects = find_layout(tmp_path, layout="brats")
    assert [item.subject for item in subjects] == list(cases)
    assert [item.person for item in subjects] == ["BraTS-GLI-00005", "BraTS-GLI-00005", "BraTS-GLI-00006"]
    assert {item.subject: f"{item.person}-{item.session}" for item in subjects} == {
        item.subject: item.subject for item in subjects
    }
    assert {name: path.name for name, path in subjects[0].files.items()} == {
        "t1": "BraTS-GLI-00005-000-t1n.nii.gz",
        "t1c": "BraTS-GLI-00005-000-t1c.nii.gz",
        "t2": "BraTS-GLI-00005-000-t2w.nii.gz",
        "flair": "BraTS-GLI-00005-000-t2f.nii.gz",
    }


def test_bids_sessions_are_subjects_of_one_person(tmp_path):
    touch(
        tmp_path,
        "sub-01/ses-a/anat/sub-01_ses-a_T1w.nii.gz",
        "sub-01/ses-b/anat/sub-01_ses-b_FLAIR.nii.gz",
        "sub-02/anat/sub-02_T2w.nii",
        "sub-02/anat/sub-02_T2w.json",
        "sub-02/func/sub-02_task-x_bold.nii.gz",
        "derivatives/x/sub-02/anat/sub-02_T1w.nii.gz",
        "sub-02/anat/sub-02_part-phase_T1w.nii.gz",
    )
    assert found(tmp_path, layout="bids") == {
        "sub-01_ses-a": {"t1": "sub-01/ses-a/anat/sub-01_ses-a_T1w.nii.gz"},
        "sub-01_ses-b": {"flair": "sub-01/ses-b/anat/sub-01_ses-b_FLAIR.nii.gz"},
        "sub-02": {"t2": "sub-02/anat/sub-02_T2w.nii"},
    }
    visits = {item.subject: (item.person, item.session) for item in find_layout(tmp_path, layout="bids")}
    assert visits == {
        "sub-01_ses-a": ("sub-01", "ses-a"),
        "sub-01_ses-b": ("sub-01", "ses-b"),
        "sub-02": ("sub-02", None),
    }


def test_bids_scans_with_contrast_agent_are_a_modality_of_their_own(tmp_path):
    touch(tmp_path, "sub-1/anat/sub-1_T1w.nii.gz", "sub-1/anat/sub-1_ce-gadolinium_T1w.nii.gz")
    assert found(tmp_path, layout="bids") == {
        "sub-1": {"t1": "sub-1/anat/sub-1_T1w.nii.gz", "t1c": "sub-1/anat/sub-1_ce-gadolinium_T1w.nii.gz"}
    }


def test_of_several_bids_runs_the_first_is_taken_by_number_and_noted(tmp_path):
    touch(tmp_path, *(f"sub-1/anat/sub-1_run-{number}_T1w.nii.gz" for number in (10, 2)))
    (item,) = find_layout(tmp_path, layout="bids")
    assert item.files["t1"].name == "sub-1_run-2_T1w.nii.gz"
    assert item.notes == ("t1: took 'sub-1_run-2_T1w.nii.gz', the first of 2; not 'sub-1_run-10_T1w.nii.gz'",)


def test_bids_spellings_may_ask_for_entities(tmp_path):
    touch(tmp_path, *(f"sub-1/anat/sub-1_acq-{name}_T1w.nii.gz" for name in ("fast", "mprage3D")))
    names = {"t1": "acq-mprage*_T1w"}
    assert found(tmp_path, layout="bids", modalities=["t1"], names=names) == {
        "sub-1": {"t1": "sub-1/anat/sub-1_acq-mprage3D_T1w.nii.gz"}
    }


def series(folder, words, uid):
    return {"folder": folder, "tags": {"SeriesDescription": words, "ProtocolName": words, "SeriesInstanceUID": uid}}


def test_a_dicom_subject_is_a_folder_whose_series_are_chosen_by_modality(tmp_path, dicom_series):
    dicom_series(3, **series(tmp_path / "anna" / "study" / "3", "AX T1 SE", "1.2.1"))
    dicom_series(3, **series(tmp_path / "anna" / "study" / "4", "AX FLAIR", "1.2.2"))
    dicom_series(3, **series(tmp_path / "bert" / "1", "AX T1 SE", "1.2.3"))
    dicom_series(3, **series(tmp_path / "bert" / "2", "AX T1 SE", "1.2.4"))
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").touch()
    assert found(tmp_path, layout="dicom", modalities=["t1", "flair"]) == {
        "anna": {"t1": "anna::1.2.1", "flair": "anna::1.2.2"},
        "bert": {"t1": "bert"},  # two series fit: reading the folder raises an error
    }


def test_a_damaged_dicom_file_is_left_to_the_reader(tmp_path, dicom_series):
    folder = dicom_series(3, **series(tmp_path / "anna", "AX T1 SE", "1.2.1"))
    file = next(folder.iterdir())
    file.write_bytes(file.read_bytes()[:300])
    assert found(tmp_path, layout="dicom", modalities=["t1"]) == {"anna": {"t1": "anna"}}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layout": "adni"}, "layout is 'adni'.*ixi, brats, bids, dicom"),
        ({"layout": "ixi", "modalities": ["flair"]}, "layout ixi .*'flair'.* t1, t2, pd.*--names.*flair=FLAIR"),
        ({"layout": "bids", "modalities": ["T1w"]}, "T1w.*lower-case"),
        ({"layout": "bids", "modalities": ["t1", "pd"]}, r"layout bids for pd, .*PDw.*\['t1'\]"),
        ({"layout": "brats"}, r"layout brats.*0 subjects.*\['sub-1'\].*--pattern"),
        ({"layout": "dicom"}, "needs --modalities"),
        ({"layout": "dicom", "modalities": ["t1"], "names": {"t1": "x"}}, "layout dicom.* no --names"),
    ],
)
def test_wrong_layouts_are_errors_that_name_what_was_wanted_and_found(tmp_path, options, message):
    touch(tmp_path, "sub-1/anat/sub-1_T1w.nii.gz")
    with pytest.raises(ValueError, match=message):
        find_layout(tmp_path, **options)


def test_a_folder_that_does_not_exist_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="none' does not exist"):
        find_layout(tmp_path / "none", layout="ixi")
