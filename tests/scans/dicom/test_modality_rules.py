import pytest

from unicoal_components.scans.dicom.modality_rules import guess_modality, modality_of_header, modality_of_name

DESCRIPTIONS = {
    "anat-T1w": "t1",
    "t1_mprage_sag_p2_iso": "t1",
    "MP-RAGE": "t1",
    "AX FSPGR BRAVO": "t1",
    "T1W_3D_TFE": "t1",
    "AxT1 SE": "t1",
    "AX T1 FLAIR": "t1",
    "T1 without contrast": "t1",
    "t1_se_tra nativ": "t1",
    "T1 w/o GD": "t1",
    "T1 post-op": "t1",
    "AX T1 +C": "t1c",
    "t1_mprage_sag_KM": "t1c",
    "T1 POST": "t1c",
    "T1wCE": "t1c",
    "t1c": "t1c",
    "SAG T1 SE POST GAD": "t1c",
    "FSPGR +C": "t1c",
    "AX T2 FSE": "t2",
    "t2_tse_tra_512": "t2",
    "T2W_TSE": "t2",
    "SAG CUBE T2": "t2",
    "T2 FLAIR": "flair",
    "t2_tirm_tra_dark-fluid": "flair",
    "3D FLAIR": "flair",
    "T2FLAIR post gad": "flair",
    "t2_spc_da-fl_sag_darkfluid": "flair",
    "PD FSE": "pd",
    "Proton Density": "pd",
    "T2 synthesized from T1 (Uni-COAL) NOT FOR DIAGNOSIS": "t2",
    "PD/T2 dual echo": None,
    "T1 pre and post": None,
    "T1 T2 overview": None,
    "AX DWI b1000": None,
    "ADC (10^-6 mm2/s)": None,
    "ep2d_diff_3scan_trace": None,
    "3-plane localizer": None,
    "T2 localizer": None,
    "t2*_fl2d": None,
    "T2_FFE": None,
    "t2_fl2d_tra_hemo": None,
    "T1 map": None,
    "T1rho": None,
    "SWI_Images": None,
    "TOF_3D_multi-slab": None,
    "STIR COR": None,
    "T1-T12 spine": None,
    "adjust": None,
    "spd_test": None,
    "": None,
}


@pytest.mark.parametrize("text", DESCRIPTIONS)
def test_descriptions_as_scanners_write_them_are_understood(text):
    assert guess_modality(description=text) == DESCRIPTIONS[text]


@pytest.mark.parametrize(
    ("sequence", "tr", "te", "ti", "want"),
    [
        (["SE"], 500, 12, None, "t1"),
        (["SE"], 4000, 100, 0, "t2"),
        (["SE"], 3000, 15, None, "pd"),
        (["SE", "IR"], 9000, 120, 2500, "flair"),
        (["GR", "IR"], 2300, 2.98, 900, "t1"),
        (["SE", "IR"], 4000, 60, 150, None),  # STIR
        (["EP"], 5000, 90, None, None),
        (["GR"], 25, 4, None, None),  # could be a time of flight angiography
        (["GR"], 700, 20, None, None),  # T2*
        (["SE"], 1500, 50, None, None),
        ([], 4000, 100, None, None),
    ],
)
def test_times_decide_if_words_do_not(sequence, tr, te, ti, want):
    facts = {"scanning_sequence": sequence, "repetition_time": tr, "echo_time": te, "inversion_time": ti}
    assert guess_modality(**facts) == want


def test_words_take_precedence_over_times():
    facts = {"scanning_sequence": ["SE"], "repetition_time": 4000, "echo_time": 100}
    assert guess_modality(description="T1 SE", **facts) == "t1"
    assert guess_modality(description="ADC", **facts) is None


def test_times_decide_between_two_named_modalities():
    facts = {"description": "PD/T2 dual echo", "scanning_sequence": ["SE"], "repetition_time": 3000}
    assert [guess_modality(echo_time=time, **facts) for time in (15, 50, 90)] == ["pd", None, "t2"]
    facts = {"scanning_sequence": ["SE"], "repetition_time": 500, "echo_time": 12}
    assert guess_modality(description="T1 pre and post", **facts) is None


def test_the_image_type_rules_maps_out():
    assert guess_modality(description="T2 TSE", image_type=["DERIVED", "PRIMARY", "DIFFUSION", "ADC"]) is None
    assert guess_modality(description="T2 TSE", image_type=["DERIVED", "SECONDARY"]) == "t2"


@pytest.mark.parametrize(
    ("text", "agent", "want"),
    [
        ("T1", "Gadovist", "t1c"),
        ("T1", "NONE", "t1"),
        ("T1", "", "t1"),
        ("T1 pre", "Gadovist", "t1"),
        ("T2", "Gadovist", "t2"),
    ],
)
def test_a_contrast_agent_makes_a_t1_a_t1c(text, agent, want):
    assert guess_modality(description=text, contrast_agent=agent) == want


def test_headers_give_their_texts_in_order_and_sidecars_their_times_in_seconds():
    assert modality_of_header({"SeriesDescription": "brain", "ProtocolName": "T2 TSE"}) == "t2"
    assert modality_of_header({"SeriesDescription": "AX T1", "ProtocolName": "T2 TSE"}) == "t1"
    assert modality_of_header({"SeriesDescription": "brain", "SequenceName": "*ep_b1000"}) is None
    sidecar = {"RepetitionTime": 9.0, "EchoTime": 0.12, "InversionTime": 2.5, "ScanningSequence": "SE_IR"}
    assert modality_of_header(sidecar, seconds=True) == "flair"
    assert modality_of_header({"RepetitionTime": "", "EchoTime": None}) is None
    assert modality_of_header({"ScanningSequence": "SE", "RepetitionTime": "500", "EchoTime": "10"}) == "t1"


NAMES = {
    "sub-01_T2w.nii.gz": "t2",
    "sub-01/anat/sub-01_acq-T2_PDw.nii.gz": "pd",
    "sub-01_ce-gadolinium_T1w.nii.gz": "t1c",
    "sub-01_FLAIR.nii": "flair",
    "IXI002-Guys-0828-T1.nii.gz": "t1",
    "p01.T1.nii.gz": "t1",
    "BraTS-GLI-00000-000-t1n.nii.gz": "t1",
    "BraTS-GLI-00000-000-t1c.nii.gz": "t1c",
    "BraTS-GLI-00000-000-t2f.nii.gz": "flair",
    "BraTS20_001_t1ce.nii.gz": "t1c",
    "case_t2w.mha": "t2",
    "notes.pdf": None,
    "T1/brain.nii.gz": None,
    "patient1.nii.gz": None,
    "sub-01_T1map.nii.gz": None,
    "t1_seg.nii.gz": None,
    "t1_to_t2.nii.gz": None,
    "spd.nii": None,
}


@pytest.mark.parametrize("name", NAMES)
def test_file_names_are_read_by_whole_words(name):
    assert modality_of_name(name) == NAMES[name]
