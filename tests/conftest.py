"""Fixtures that several folders of tests share."""

import errno
import os
import re
import shutil
import subprocess
import warnings
import zipfile
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid

SERIES_UID = "1.2.840.99999.7.1.2"
TILT = np.deg2rad(20)
OBLIQUE = (1.0, 0.0, 0.0, 0.0, np.cos(TILT), np.sin(TILT))
"""Axial, tilted by 20 degrees about the left-right axis: row and column direction in LPS."""

TAGS = {
    "Modality": "MR",
    "Manufacturer": "Imaginary Works",
    "ManufacturerModelName": "Model 3",
    "DeviceSerialNumber": "SN-4711",
    "InstitutionName": "Hospital of Secrets",
    "StationName": "ROOM9",
    "OperatorsName": "Doe^Operator",
    "ReferringPhysicianName": "Roe^Referrer",
    "PatientName": "Müller^Jürgen",
    "PatientID": "PID-123456",
    "OtherPatientIDs": "OTHER-99",
    "PatientBirthDate": "19600203",
    "PatientSex": "M",
    "PatientAge": "061Y",
    "PatientWeight": "81",
    "PatientAddress": "1 Private Road",
    "PatientComments": "afraid of the dark",
    "StudyInstanceUID": "1.2.840.99999.7.1",
    "SeriesInstanceUID": SERIES_UID,
    "FrameOfReferenceUID": "1.2.840.99999.7.9",
    "StudyDate": "20210304",
    "StudyTime": "101112",
    "SeriesDate": "20210304",
    "AcquisitionDate": "20210304",
    "AcquisitionTime": "101213",
    "ContentDate": "20210304",
    "ContentTime": "101213",
    "AccessionNumber": "ACC-77",
    "StudyID": "STUDY-8",
    "StudyDescription": "Brain for Dr Roe",
    "SeriesDescription": "AX T1 SE",
    "ProtocolName": "T1 private protocol",
    "SeriesNumber": 4,
    "BodyPartExamined": "BRAIN",
    "PatientPosition": "HFS",
    "PositionReferenceIndicator": "",
    "ImageType": ["ORIGINAL", "PRIMARY", "M", "ND"],
    "ScanningSequence": "SE",
    "SequenceVariant": "SK",
    "ScanOptions": "",
    "MRAcquisitionType": "2D",
    "RepetitionTime": "500",
    "EchoTime": "12",
    "EchoTrainLength": 1,
    "FlipAngle": "90",
    "MagneticFieldStrength": "1.5",
    "WindowCenter": "500",
    "WindowWidth": "900",
    "SmallestImagePixelValue": 0,
    "LargestImagePixelValue": 1000,
}
"""Elements of every slice; `None` in `tags` takes one away."""


class FakeSeries:
    """Writes series of single-frame MR slices; called by tests as `dicom_series(...)`, which returns the folder."""

    uid = SERIES_UID

    def __init__(self, root: Path):
        self.root = root
        self.count = 0

    def __call__(
        self,
        count=6,
        *,
        folder=None,
        shape=(12, 10),
        pixel_spacing=(0.9, 0.7),
        spacing=4.0,
        thickness=3.6,
        orientation=OBLIQUE,
        origin=(-40.5, -30.25, 10.125),
        voxels=None,
        tags=None,
        each=None,
        prefix="IM",
        first=1,
    ) -> Path:
        """Write `count` slices and return their folder.

        `shape` is (columns, rows); `voxels` int `(x, y, z)` stored as they are; `pixel_spacing` as in DICOM (between
        rows, between columns); `tags` replace elements of all slices; `each(index, dataset)` changes one slice's.
        """
        self.count += 1
        folder = Path(folder or self.root / f"dicom_{self.count}")
        folder.mkdir(parents=True, exist_ok=True)
        if voxels is None:
            voxels = np.random.default_rng(self.count).integers(0, 1000, (*shape, count)).astype(np.int16)
        normal = np.cross(orientation[:3], orientation[3:])
        for index in range(count):
            dataset = self.slice(voxels[:, :, index].T, tags or {})
            position = np.asarray(origin) + index * spacing * normal
            dataset.ImagePositionPatient = [f"{value:.6f}" for value in position]
            dataset.ImageOrientationPatient = [f"{value:.10f}" for value in orientation]
            dataset.PixelSpacing = [str(value) for value in pixel_spacing]
            dataset.SliceThickness, dataset.SpacingBetweenSlices = str(thickness), f"{spacing:.6f}"
            dataset.InstanceNumber = index + first
            if each is not None:
                each(index, dataset)
            name = f"{prefix}{(index * 7 + 3) % 1000:03d}_{index + first}"  # neither a suffix nor in order
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                dataset.save_as(folder / name, enforce_file_format=True)
        return folder

    @staticmethod
    def slice(pixels, tags) -> pydicom.Dataset:
        """Return one MR data set without geometry; `pixels` int16 `(rows, columns)`."""
        dataset = pydicom.Dataset()
        dataset.SpecificCharacterSet = "ISO_IR 100"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for keyword, value in {**TAGS, **tags}.items():
                if value is not None:
                    setattr(dataset, keyword, value)
        block = dataset.private_block(0x0029, "PHANTOM PRIVATE", create=True)
        block.add_new(0x01, "LO", "Secret private text")
        dataset.SOPClassUID, dataset.SOPInstanceUID = MRImageStorage, generate_uid()
        dataset.Rows, dataset.Columns = pixels.shape[:2]
        dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
        dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 16, 15, 1
        dataset.PixelData = np.ascontiguousarray(pixels).astype("<i2").tobytes()
        dataset.file_meta = pydicom.dataset.FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        return dataset


@pytest.fixture
def dicom_series(tmp_path) -> FakeSeries:
    """A writer of small oblique MR series: `folder = dicom_series(6, spacing=4.0, tags={...})`."""
    return FakeSeries(tmp_path)


@pytest.fixture
def full_disk(monkeypatch):
    """A context in which files of the given names cannot be written for lack of space: `with full_disk("p1.h5"):`."""

    @contextmanager
    def fill(*names):
        def replace(source, target):
            if Path(target).name in names:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return replace_file(source, target)

        replace_file = os.replace
        with monkeypatch.context() as patch:
            patch.setattr(os, "replace", replace)
            yield

    return fill


@pytest.fixture
def unicoal(monkeypatch, caplog):
    """Run the command in this process, `unicoal("prepare", "--input", folder)`: its exit status and all it said."""
    from unicoal_components.commands.app import main

    def call(*words):
        monkeypatch.setattr("sys.argv", ["unicoal", *map(str, words)])
        caplog.set_level("INFO")
        try:
            main()
        except SystemExit as stop:
            return (1, stop.code) if isinstance(stop.code, str) else (stop.code, caplog.text)
        return 0, caplog.text

    return call


@pytest.fixture(scope="session")
def dcm2niix() -> str:
    """The program of this name, from its Python package or the system."""
    try:
        from dcm2niix import bin as program
    except ImportError:
        program = shutil.which("dcm2niix") or pytest.skip("dcm2niix is not installed")
    return program


@pytest.fixture(scope="session")
def real_dicom(tmp_path_factory) -> Path:
    """The folder of 40 slices of a real T1, where the shared data are."""
    archive = Path(__file__).parents[1] / ".." / "shared" / "data" / "dicom" / "datalad_T1_40slices.zip"
    if not archive.is_file():
        pytest.skip(f"the real series is not there: {archive}")
    folder = tmp_path_factory.mktemp("real_dicom")
    with zipfile.ZipFile(archive) as content:
        content.extractall(folder)
    return folder


class Browser:
    """Opens pages in a headless browser."""

    OPTIONS = (
        *("--headless=new", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--hide-scrollbars"),
        *("--window-size=1300,1000", "--timeout=60000"),
    )

    def __init__(self, program, home):
        self.program, self.home = program, home
        self.console = []

    def visit(self, address, *options):
        """Return the `data-` attributes of the root element after the page's scripts ran."""
        run = subprocess.run(
            [self.program, *self.OPTIONS, f"--user-data-dir={self.home}", "--dump-dom", *options, address],
            capture_output=True,
            text=True,
            timeout=240,
            env=os.environ | {"HOME": str(self.home)},
        )
        self.console = [line for line in run.stderr.splitlines() if "CONSOLE" in line]
        root = re.search("<html[^>]*>", run.stdout)
        return dict(re.findall(r'data-([a-z]+)="([^"]*)"', root[0])) if root else {}


@pytest.fixture(scope="session")
def browser(tmp_path_factory) -> Browser:
    """A browser, where one is installed."""
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    program = next((found for name in names if (found := shutil.which(name))), None)
    return Browser(program or pytest.skip("no browser is installed"), tmp_path_factory.mktemp("browser"))


@pytest.fixture
def acting():
    """Maker of a page with a script at its end, which runs when the viewer is ready.

    `note(name, value)` leaves a `data-` attribute; `set(id, value, type="input")` is what a user does to a control.
    """

    def with_script(page: str, script: str) -> str:
        tools = """
const find = (id) => document.getElementById(id);
const note = (name, value) => document.documentElement.setAttribute("data-" + name, value);
const set = (id, value, type = "input") => { find(id).value = value; find(id).dispatchEvent(new Event(type)); };
const ready = async () => {
  while (!document.documentElement.dataset.ready) await new Promise((done) => setTimeout(done, 20));
};
const drawn = () => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
"""
        before, end, after = page.rpartition("</body>")
        # the page counts as loaded, and the browser ends, when the open document of a frame is closed
        script = f"""<iframe id="waiting" hidden></iframe><script>(async () => {{ {tools}
find("waiting").contentDocument.open();
try {{ await ready(); {script} note("done", "yes"); }} finally {{ find("waiting").contentDocument.close(); }}
}})();</script>"""
        return before + script + end + after

    return with_script
