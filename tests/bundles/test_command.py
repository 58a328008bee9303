"""The command `unicoal` as its page documents it, with a tiny network; and MONAI's command that it stands for."""

import importlib.util
import json
import runpy
import shlex
import shutil
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from unicoal_components.command_line import run_app
from unicoal_components.commands.app import make_app

ROOT = Path(__file__).parents[2]
SPEC = importlib.util.spec_from_file_location("readme_commands", ROOT / "tests" / "readme_commands.py")
readme_commands = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(readme_commands)
PAGE = (ROOT / "docs" / "command.md").read_text(encoding="utf-8")
INFERENCE = ("thin", "synthesize")

pytestmark = pytest.mark.filterwarnings("ignore:parsing config_file")


@pytest.fixture
def sizes(bundle_class, tmp_path):
    """Overlays with the tiny network, by command."""
    training = {"max_epochs": 1, "images_per_epoch": 4, "evaluation_panels": 0, "evaluation_slice_step": 7}
    contents = {"inference": bundle_class.network, "train": bundle_class.network | bundle_class.training | training}
    for name, content in contents.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    return {**dict.fromkeys(INFERENCE, "inference"), "export": "inference", "train": "train", "evaluate": "train"}


@pytest.fixture
def unicoal(bundle, sizes, weights, tmp_path, monkeypatch):
    """Run the command in this process and in a folder of its own, with the tiny network; give its exit status."""
    monkeypatch.setattr(sys, "path", list(sys.path))

    def run(*words):
        extra = []
        if words[0] in sizes:
            extra += ["--config", str(tmp_path / f"{sizes[words[0]]}.json")]
            extra += [] if words[0] == "export" else ["--device", "cpu"]
            option = "--pretrained" if words[0] == "train" else "--weights"
            extra += [] if option in words else [option, str(weights)]
        try:
            run_app(make_app(), [*words, *extra])
        except SystemExit as stop:
            return stop.code
        return 0

    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    run.folder = folder
    return run


@pytest.fixture
def inputs(unicoal, save_scan, cohort, dicom_series):
    """What the page names: scans, a folder, a list, a study, BIDS, scans of subjects, subject files."""
    for name in ("thick_t1", "other_T2w", "scan", "FOLDER/a_t1", "FOLDER/b_flair"):
        (unicoal.folder / name).parent.mkdir(exist_ok=True)
        save_scan(unicoal.folder / f"{name}.nii.gz")
    (unicoal.folder / "scans.txt").write_text("FOLDER/a_t1.nii.gz\nother_T2w.nii.gz\n")
    dicom_series(4, folder=unicoal.folder / "STUDY")
    bids(unicoal.folder / "DATASET", save_scan)
    for seed, scan in enumerate(f"p{number}/{modality}" for number in (1, 2, 3) for modality in ("t1", "t2")):
        path = unicoal.folder / "SCANS" / f"{scan}.nii.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        save_scan(path, seed)
    shutil.copytree(cohort, unicoal.folder / "DATA")
    return unicoal.folder


def bids(dataset, save_scan):
    for name in (
        "sub-01/anat/sub-01_T1w",
        "sub-02/ses-a/anat/sub-02_ses-a_T1w",
        "sub-02/ses-a/anat/sub-02_ses-a_FLAIR",
    ):
        (dataset / name).parent.mkdir(parents=True, exist_ok=True)
        save_scan(dataset / f"{name}.nii.gz")
    (dataset / "dataset_description.json").write_text('{"Name": "Two heads", "BIDSVersion": "1.8.0"}')


def files(folder):
    """What a command left; the claim of a folder is kept until this process ends."""
    found = (path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".unicoal"))
    return {path.relative_to(folder).as_posix() for path in found}


def test_every_command_of_the_page_runs_in_its_order(unicoal, inputs, monkeypatch, capsys):
    monkeypatch.setenv("HOME", str(inputs / "home"))
    monkeypatch.setenv("SHELL", "/bin/bash")
    commands = [shlex.split(line)[1:] for line in readme_commands.blocks(PAGE)]
    assert {words[0] for words in commands} >= {*INFERENCE, "prepare", "simulate", "train", "evaluate", "report"}
    assert {words[0] for words in commands} >= {"export", "bundle", "--install-completion"}
    for words in commands:
        assert (words, unicoal(*words)) == (words, 0)
    made = files(inputs)
    assert made >= {
        "unicoal_output/thick_t1_t1.nii.gz",
        "unicoal_output/thick_t1_flair.nii.gz",
        "unicoal_output/other_T2w_t2.nii.gz",
        "unicoal_output/scan_t2.nii.gz",
        "OUT/thick_t1_t1_error.nii.gz",
        "OUT/b_flair_t2.json",
        "PREPARED/datalist.json",
        "SIMULATED/datalist.json",
        "TRAINED/model.pt",
        "TRAINED/evaluation/report.html",
        "model.pt2",
        "DATASET/derivatives/unicoal/dataset_description.json",
        "DERIVATIVES/sub-02/ses-a/anat/sub-02_ses-a_desc-fromT1w_T2w.nii.gz",
    }
    slices = [path for path in made if path.startswith("unicoal_output/anonymous_") and path.endswith(".dcm")]
    assert len(slices) == 2 * 4
    assert [path for path in made if path.startswith("DIST/unicoal_unified_v") and path.endswith(".zip")]
    assert nib.load(inputs / "unicoal_output" / "thick_t1_t1.nii.gz").header.get_zooms() == (2, 2, 1)
    assert "python -m monai.bundle run --config_file" in capsys.readouterr().out


def test_bids_data_sets_give_bids_derivatives(unicoal, save_scan):
    bids(unicoal.folder / "DATASET", save_scan)
    assert unicoal("thin", "DATASET", "--factor", "2", "--error_map") == 0
    root = unicoal.folder / "DATASET" / "derivatives" / "unicoal"
    names = ("sub-01/anat/sub-01_{}_T1w", "sub-02/ses-a/anat/sub-02_ses-a_{}_T1w")
    names += ("sub-02/ses-a/anat/sub-02_ses-a_{}_FLAIR",)
    expected = {f"{name.format('desc-thin')}{end}" for name in names for end in (".nii.gz", ".json")}
    expected |= {f"{name.format('desc-thin_stat-error')}.nii.gz" for name in names}
    assert files(root) == expected | {"dataset_description.json"}
    record = json.loads((root / "sub-01/anat/sub-01_desc-thin_T1w.json").read_text())
    assert record["Sources"] == ["bids:raw:sub-01/anat/sub-01_T1w.nii.gz"]
    assert set(record["outputs"].values()) == {path.name for path in (root / "sub-01" / "anat").glob("*.nii.gz")}
    description = json.loads((root / "dataset_description.json").read_text())
    assert description["DatasetType"] == "derivative" and description["GeneratedBy"][0]["Name"] == "unicoal"
    raw = root / description["DatasetLinks"]["raw"]
    assert raw.resolve() == unicoal.folder / "DATASET"


@pytest.mark.parametrize("name", ["thick_t1", "$x#1,@a_t1", "100307"])
def test_the_shown_command_of_monai_does_the_same_voxel_for_voxel(unicoal, save_scan, capsys, monkeypatch, name):
    save_scan(unicoal.folder / f"{name}.nii.gz")
    words = ("synthesize", f"{name}.nii.gz", "--from", "t1", "--to", "t2", "--spacing", "1.6", "--error_map")
    assert unicoal(*words, "--output", "OUT") == 0
    assert unicoal(*words, "--output", "100", "--show") == 0
    (shown,) = capsys.readouterr().out.splitlines()
    python, _, module, *arguments = shlex.split(shown)
    assert (python, module) == ("python", "monai.bundle") and not Path("100").exists()
    monkeypatch.setattr(sys, "argv", [module, *arguments])
    runpy.run_module(module, run_name="__main__", alter_sys=True)
    ends = ("_t2.nii.gz", "_t2_error.nii.gz")
    for one, other in ((Path("OUT") / f"{name}{end}", Path("100") / f"{name}{end}") for end in ends):
        assert np.array_equal(nib.load(one).get_fdata(), nib.load(other).get_fdata())
        assert np.array_equal(nib.load(one).affine, nib.load(other).affine)


def test_the_results_of_this_run_are_opened_on_request(unicoal, save_scan, monkeypatch):
    save_scan(unicoal.folder / "t1.nii.gz")
    Path("unicoal_output").mkdir()
    Path("unicoal_output", "other.json").write_text("{}")
    served = []
    monkeypatch.setattr("unicoal_components.viewer.view.serve", lambda results: served.append(results))
    for targets in ("t2,flair", "pd"):
        assert unicoal("synthesize", "t1.nii.gz", "--to", targets, "--view") == 0
    names = [[result.image.name for result in results] for results in served]
    assert names == [["t1_flair.nii.gz", "t1_t2.nii.gz"], ["t1_pd.nii.gz"]]


def test_scans_that_fail_do_not_stop_the_others_and_have_their_own_status(unicoal, save_scan, caplog):
    save_scan(unicoal.folder / "good_t1.nii.gz")
    save_scan(unicoal.folder / "unknown.nii.gz")
    (unicoal.folder / "broken_t1.nii.gz").write_bytes(b"no scan")
    assert unicoal("thin", ".", "--factor", "2") == 3
    assert files(unicoal.folder / "unicoal_output") == {"good_t1_t1.nii.gz", "good_t1_t1.json"}
    failed = [record.getMessage() for record in caplog.records if "FAILED" in record.getMessage()]
    assert len(failed) == 2 and "--from" in next(line for line in failed if "unknown" in line)


@pytest.mark.parametrize(
    ("words", "facts"),
    [
        (("thin", "t1.nii.gz"), ["--spacing", "--factor"]),
        (("thin", "t1.nii.gz", "--spacing", "1", "--factor", "2"), ["--spacing", "--factor"]),
        (("thin", "t1.nii.gz", "--spacing", "0"), ["--spacing is 0"]),
        (("thin", "t1.nii.gz", "--spacing", "9"), ["9 mm", "t1.nii.gz", "4 mm"]),
        (("thin", "t1.nii.gz", "--factor", "0.5"), ["--factor is 0.5"]),
        (("thin", "none.nii.gz", "--factor", "2"), ["none.nii.gz"]),
        (("thin", "--factor", "2"), ["at least one scan"]),
        (("synthesize", "t1.nii.gz", "--to", "t3"), ["--to", "t3", "t1, t2, pd, flair"]),
        (("synthesize", "t1.nii.gz", "--to", "t2", "--from", "x"), ["--from", "'x'", "t1, t2, pd, flair"]),
        (("synthesize", "t1.nii.gz", "--to", "t1"), ["t1 already", "--to"]),
        (("synthesize", "scan.nii.gz", "--to", "t2"), ["scan.nii.gz", "--from", "t1, t2, pd, flair"]),
        (("thin", "t1.nii.gz", "--factor", "2", "--weights", "none.pt"), ["none.pt", "unicoal train"]),
        (("thin", "t1.nii.gz", "--factor", "2", "--bundle", "srr"), ["srr", "unified, sr, cms, cmsr"]),
        (("thin", "t1.nii.gz", "--factor", "2", "--set", "sed=1"), ["sed", "seed"]),
        (("thin", "t1.nii.gz", "--factor", "2", "--set", "seed"), ["--set", "seed=1"]),
        (("thin", "t1.nii.gz", "--factor", "2", "--config", "no.json"), ["no.json"]),
        (("thin", "t1.nii.gz", "--factor", "2", "--config", "t1.nii.gz"), ["t1.nii.gz"]),
        (("train", "--data", "none", "--output", "O", "--pretrained", "x.pt"), ["x.pt"]),
        (("train", "--data", "none", "--output", "O"), ["none/datalist.json"]),
        (("evaluate", "--data", "none", "--output", "O", "--from", "t1"), ["--from", "--to", "--factor"]),
        (("export", "--output", "model.pth"), [".pth", ".onnx", ".pt2", ".ts"]),
    ],
)
def test_errors_of_the_user_are_one_line_with_the_way_out(unicoal, save_scan, words, facts):
    for name in ("t1", "scan"):
        save_scan(unicoal.folder / f"{name}.nii.gz")
    before = files(unicoal.folder)
    said = unicoal(*words)
    assert isinstance(said, str) and said.startswith("error: ") and "\n" not in said
    assert [fact for fact in facts if fact not in said] == [], said
    assert files(unicoal.folder) == before
