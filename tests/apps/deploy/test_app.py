"""The app as a command: without the SDK its options, with it the same result as `python -m monai.bundle run`."""

import importlib.util
import re
import shlex
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest

ROOT = Path(__file__).parents[3]
HAS_SDK = importlib.util.find_spec("holoscan") is not None  # the SDK stands on it
needs_sdk = pytest.mark.skipif(
    not HAS_SDK, reason="the MONAI Deploy App SDK is not installed; see apps/deploy/README.md"
)
pytestmark = pytest.mark.filterwarnings("ignore:Current stack size")  # of Holoscan, when monai is imported
DCIODVFY = shutil.which("dciodvfy")
OF_A_RUN = {"SOPInstanceUID", "SeriesInstanceUID", "InstanceCreationTime", "SeriesTime", "ContentTime"}
OF_A_RUN |= {"InstanceCreationDate", "SeriesDate", "ContentDate", "ContributionDateTime"}
"""Elements that differ between two runs."""


@pytest.fixture
def app(deploy, monkeypatch):
    for name in ("INPUT", "OUTPUT", "MODEL", "CONFIG"):
        monkeypatch.delenv(f"HOLOSCAN_{name}_PATH", raising=False)
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)  # `main` sets it
    return deploy("app")


def test_the_shipped_bundle_and_options_are_the_default(app):
    options = app.arguments([])
    assert Path(options.model) == ROOT / "bundles" / "unified" and Path(options.config).name == "app.yaml"
    assert Path(options.config).is_file()


def test_a_platform_gives_folders_by_environment_variables_and_the_command_line_overrides_them(app, monkeypatch):
    for name in ("INPUT", "OUTPUT", "MODEL", "CONFIG"):
        monkeypatch.setenv(f"HOLOSCAN_{name}_PATH", f"/{name}")
    options = app.arguments(["--output", "OUT", "--set", "factor=4", "-s", "seed=1"])
    assert (options.input, options.output, options.model, options.config) == ("/INPUT", "OUT", "/MODEL", "/CONFIG")
    assert options.set == ["factor=4", "seed=1"]


def test_wrong_usage_has_status_2(app, capsys):
    with pytest.raises(SystemExit) as stop:
        app.main(["--inputt", "STUDY"])
    assert stop.value.code == 2 and "--inputt" in capsys.readouterr().err


def test_an_environment_without_the_sdk_is_told_in_one_line_with_the_command_that_makes_one(app, monkeypatch):
    monkeypatch.setitem(sys.modules, "monai.deploy", None)
    with pytest.raises(SystemExit) as stop:
        app.main(["--input", "STUDY"])
    said = str(stop.value.code)  # Python prints it and exits with status 1
    assert said.startswith("error: ") and "\n" not in said
    assert "monai.deploy" in said and "apps/deploy/requirements.txt" in said


@pytest.fixture
def thick(dicom_series):
    """A study with one thick T1 of an ellipsoid."""
    x, y, z = np.meshgrid(*(np.linspace(-1, 1, count) for count in (48, 40, 4)), indexing="ij")
    voxels = (1000 * np.clip(1.2 - x**2 - y**2 - z**2 / 4, 0, 1) * (1 + 0.2 * np.sin(9 * x))).astype(np.int16)
    return dicom_series(4, voxels=voxels, pixel_spacing=(1.0, 1.0), spacing=4.0, thickness=4.0)


@pytest.fixture
def written(app, thick, tmp_path, monkeypatch):
    """The series that the app writes, and that of `monai.bundle`."""
    from monai.bundle import create_workflow

    monkeypatch.setattr(sys, "path", [*sys.path])
    app.main(["-i", str(thick), "-o", str(tmp_path / "app"), "-s", "target_modality=t2", "-s", "output_spacing=2.0"])
    bundle = ROOT / "bundles" / "unified"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        workflow = create_workflow(
            config_file=str(bundle / "configs" / "inference.json"),
            workflow_type="inference",
            bundle_root=str(bundle),
            input=str(thick),
            source_modality="t1",
            target_modality="t2",
            output_spacing=2.0,
            output_dir=str(tmp_path / "bundle"),
        )
        workflow.run()
        workflow.finalize()
    return [tmp_path / name / f"{thick.name}_t2" for name in ("app", "bundle")]


@needs_sdk
def test_the_derived_series_is_that_of_the_bundle(written, thick, dcm2niix, tmp_path):
    ours, theirs = ([pydicom.dcmread(path) for path in sorted(folder.iterdir())] for folder in written)
    assert len(ours) == len(theirs) == 8
    for one, other in zip(ours, theirs, strict=True):
        assert one.PixelData == other.PixelData and np.ptp(one.pixel_array) > 0
        for dataset in (one, other):
            dataset.walk(_without_run)
        assert one == other
    source = pydicom.dcmread(next(thick.iterdir()))
    assert ours[0].StudyInstanceUID == source.StudyInstanceUID and ours[0].PatientID == source.PatientID
    assert ours[0].SyntheticData == "YES" and ours[0].ImageType[0] == "DERIVED"
    subprocess.run([dcm2niix, "-b", "n", "-f", "out", "-o", str(tmp_path), str(written[0])], check=True)
    image = nib.load(tmp_path / "out.nii")
    assert image.shape == (48, 40, 8)
    np.testing.assert_allclose(image.header.get_zooms(), (1, 1, 2), atol=1e-4)
    if DCIODVFY:
        check = subprocess.run([DCIODVFY, str(next(written[0].iterdir()))], capture_output=True, text=True, check=False)
        errors = [line for line in check.stderr.splitlines() if line.startswith("Error")]
        assert [line for line in errors if "(0x0008,0x001c)" not in line] == []  # some releases do not know it yet


@needs_sdk
def test_the_commands_of_the_readme_write_a_series(app, thick, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path])
    text = (ROOT / "apps" / "deploy" / "README.md").read_text(encoding="utf-8")
    commands = [
        shlex.split(line) for line in text.splitlines() if re.match(r"    \S+/python apps/deploy/app\.py", line)
    ]
    folders = {"STUDY": str(thick), "OUT": str(tmp_path / "OUT")}
    for _, _, *words in commands:
        app.main([folders.get(word, word) for word in words])
    written = [folder for folder in (tmp_path / "OUT").iterdir() if folder.is_dir()]
    slices = {folder.name.rpartition("_")[2]: len(list(folder.iterdir())) for folder in written}
    assert slices == {"t1": 16, "t2": 16}


def _without_run(dataset, element):
    if element.keyword in OF_A_RUN:
        del dataset[element.tag]


@needs_sdk
@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["-s", "source_modality=t9"], "t9"),
        (["-s", "ckpt_path=none.pt"], "none.pt"),
        (["-s", "facto=2"], "factor"),
        (["-s", "output_spacing=9.0"], "output_spacing"),
        (["-c", "none.yaml"], "none.yaml"),
        (["-m", "."], "bundle"),
    ],
)
def test_errors_of_the_operators_reach_the_command(app, thick, tmp_path, monkeypatch, words, named):
    from unicoal_components.errors import cause_of, is_user_error

    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Exception) as error:  # noqa: B017 - MONAI wraps user errors
        app.main(["-i", str(thick), "-o", "OUT", *words])
    assert is_user_error(error.value) and named in cause_of(error.value)
    assert list(Path("OUT").rglob("*.dcm")) == []
