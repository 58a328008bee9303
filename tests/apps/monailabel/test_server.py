"""The running server: every client gets what `python -m monai.bundle run` writes, voxel for voxel."""

import gzip
import io
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import warnings
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode
from urllib.request import Request, urlopen
from zipfile import ZipFile

import itk
import monai.bundle
import nibabel as nib
import numpy as np
import pydicom
import pytest
import torch

ROOT = Path(__file__).parents[3]
SERVE = ROOT / "apps" / "monailabel" / "serve.py"
ORTHANC = shutil.which("Orthanc", path=f"{os.environ['PATH']}:/usr/sbin")
DICOMWEB = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": str(ROOT)}

CLIENT = """
import json, sys
from monailabel.client import MONAILabelClient
server, scan = sys.argv[1:]
client = MONAILabelClient(server)
session = client.create_session(scan)["session_id"]
params = {"target_modality": "flair", "result_extension": ".nrrd", "result_dtype": "uint8"}
path, record = client.infer("cms", "scan", params, session_id=session)
client.remove_session(session)
print(json.dumps([path, record["task"]]))
"""
"""What the module of 3D Slicer does, which has the same client."""


class Server:
    """A process on a free port of this machine."""

    def __init__(self, *command, log, path, limit=400):
        self.log = log
        with log.open("w") as file:
            self.process = subprocess.Popen(command, stdout=file, stderr=file, env=ENVIRONMENT)
        end = time.monotonic() + limit
        while self.process.poll() is None and time.monotonic() < end:
            try:
                urlopen(path, timeout=5).close()
                return
            except (URLError, ConnectionError, TimeoutError):
                time.sleep(0.2)
        self.stop()
        raise AssertionError(log.read_text())

    def stop(self):
        self.process.terminate()
        self.process.wait(60)


class Label:
    """Requests to a MONAI Label server."""

    def __init__(self, address):
        self.address = address

    def get(self, path):
        return json.load(urlopen(f"{self.address}{path}"))

    def infer(self, model, params, **query):
        """Return status, type and content of the answer."""
        body = urlencode({"params": json.dumps(params)}).encode()
        try:
            answer = urlopen(Request(f"{self.address}/infer/{model}?{urlencode(query)}", data=body), timeout=600)
        except HTTPError as error:
            return error.code, None, json.load(error)["detail"]
        return answer.status, answer.headers["content-type"], answer.read()

    def upload(self, files):
        """Open a session with files, and return its name."""
        edge = b"--edge--"
        parts = b"".join(
            b'--%s\r\nContent-Disposition: form-data; name="files"; filename="%s"\r\n\r\n%s\r\n'
            % (edge, file.name.encode(), file.read_bytes())
            for file in files
        )
        kind = {"Content-Type": f"multipart/form-data; boundary={edge.decode()}"}
        request = Request(f"{self.address}/session/", parts + b"--%s--\r\n" % edge, kind, method="PUT")
        return json.load(urlopen(request))["session_id"]


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def scan_voxels():
    x, y, z = np.meshgrid(*(np.linspace(-1, 1, size) for size in (40, 40, 12)), indexing="ij")
    inside = x**2 + y**2 + z**2 < 0.8
    return np.where(inside, 400 + 200 * np.sin(6 * x) * np.cos(5 * y) + 80 * z, 0).astype(np.int16)


@pytest.fixture(scope="module")
def studies(tmp_path_factory):
    """A folder with a small thick T1."""
    folder = tmp_path_factory.mktemp("studies")
    nib.save(nib.Nifti1Image(scan_voxels(), np.diag([4.0, 4.0, 8.0, 1.0])), folder / "thick_t1.nii.gz")
    return folder


@pytest.fixture(scope="module")
def label(server_python, studies, tmp_path_factory):
    """The server of that folder."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    command = [server_python, SERVE, "--studies", studies, "--port", str(port)]
    server = Server(*map(str, command), log=tmp_path_factory.mktemp("log") / "log", path=f"{address}/info/")
    yield Label(address)
    server.stop()


@pytest.fixture
def monai_bundle(monkeypatch):
    """Call what `python -m monai.bundle run` calls; give the folder of its outputs."""

    def call(bundle, output, **values):
        folder = ROOT / "bundles" / bundle
        monkeypatch.syspath_prepend(str(folder))
        options = {"bundle_root": folder, "output_dir": output, "device": "$torch.device('cpu')"} | values
        given = {name: str(value) if isinstance(value, Path) else value for name, value in options.items()}
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="parsing config_file")
            monai.bundle.run(config_file=str(folder / "configs" / "inference.json"), logging_file=False, **given)
        return output

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as in ENVIRONMENT
    yield call
    torch.set_num_threads(threads)
    for name in [name for name in sys.modules if name.partition(".")[0] == "scripts"]:
        del sys.modules[name]


def test_models_labels_and_options_are_shown(label):
    info = label.get("/info/")
    models = info["models"]
    assert list(models) == ["unified", "sr", "cms", "cmsr"] and info["labels"] == ["t1", "t2", "pd", "flair"]
    assert models["unified"]["config"]["target_modality"] == ["t2", "t1", "pd", "flair"]
    assert models["sr"]["config"]["factor"] == "4" and models["sr"]["config"]["output_spacing"] == ""
    assert info["datastore"]["total"] == 1


def test_an_image_of_the_studies_is_answered_with_the_file_of_monai_bundle(label, studies, monai_bundle, tmp_path):
    params = {"target_modality": "t2", "factor": "2", "result_dtype": "uint8"}
    status, _, content = label.infer("unified", params, image="thick_t1", output="image")
    path = studies / "thick_t1.nii.gz"
    out = monai_bundle("unified", tmp_path, input=path, source_modality="t1", target_modality="t2", factor=2)
    expected = (out / "thick_t1_t2.nii.gz").read_bytes()
    assert status == 200 and content == expected
    voxels = np.asanyarray(nib.Nifti1Image.from_bytes(gzip.decompress(content)).dataobj)
    assert voxels.dtype == np.float32 and voxels.shape == (40, 40, 24) and np.unique(voxels).size > 1000


def test_the_client_of_slicer_gets_the_voxels_of_monai_bundle_as_floats(
    label, server_python, studies, monai_bundle, tmp_path
):
    path = studies / "thick_t1.nii.gz"
    command = [str(server_python), "-c", CLIENT, label.address, str(path)]
    run = subprocess.run(command, env=ENVIRONMENT | {"TMPDIR": str(tmp_path)}, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    place, task = json.loads(run.stdout.splitlines()[-1])
    assert (task["source_modality"], task["target_modality"]) == ("t1", "flair") and place.endswith(".nrrd")
    out = monai_bundle("cms", tmp_path / "out", input=path, source_modality="t1", target_modality="flair")
    answer, expected = itk.imread(place), itk.imread(str(out / "thick_t1_flair.nii.gz"))
    assert itk.array_from_image(answer).dtype == np.float32
    assert np.array_equal(itk.array_from_image(answer), itk.array_from_image(expected))
    assert np.allclose(itk.spacing(answer), itk.spacing(expected)) and np.allclose(itk.origin(answer), (0, 0, 0))


def test_an_uploaded_dicom_series_comes_back_as_the_series_of_monai_bundle(label, dicom_series, monai_bundle, tmp_path):
    series = dicom_series(folder=tmp_path / "series")
    session = label.upload(sorted(series.iterdir()))
    status, kind, content = label.infer("sr", {"factor": 2}, session_id=session, output="image")
    assert (status, kind) == (200, "application/zip"), content
    values = {"input": series, "source_modality": "t1", "target_modality": "t1", "factor": 2}
    out = monai_bundle("sr", tmp_path / "out", **values)
    (folder,) = (path for path in out.iterdir() if path.is_dir())
    with ZipFile(io.BytesIO(content)) as answer:
        found = [pydicom.dcmread(io.BytesIO(answer.read(name))) for name in sorted(answer.namelist())]
    expected = [pydicom.dcmread(path) for path in sorted(folder.iterdir())]
    assert len(found) == len(expected) > 0
    for one, other in zip(found, expected, strict=True):
        assert np.array_equal(one.pixel_array, other.pixel_array)
        assert one.ImagePositionPatient == other.ImagePositionPatient and one.PatientName == other.PatientName
        assert one.SeriesDescription == other.SeriesDescription


def test_the_requests_of_the_readme_are_answered(label, studies, dicom_series, tmp_path):
    text = SERVE.with_name("README.md").read_text(encoding="utf-8")
    requests = [line for line in text.splitlines() if line.startswith("    curl ") and "SERIES_UID" not in line]
    shutil.copy(studies / "thick_t1.nii.gz", tmp_path / "scan.nii.gz")
    dicom_series(folder=tmp_path / "SERIES")
    session = ""
    for request in requests:
        here = request.replace("http://127.0.0.1:8000", label.address).replace("SESSION", session)
        run = subprocess.run(["bash", "-c", here], cwd=tmp_path, capture_output=True, check=True, timeout=600)
        session = json.loads(run.stdout)["session_id"] if "/session/" in here else session
    shapes = {name: nib.load(tmp_path / name).shape for name in ("t2.nii.gz", "thin.nii.gz")}
    assert shapes == {"t2.nii.gz": (40, 40, 96), "thin.nii.gz": (40, 40, 48)}
    assert len(ZipFile(tmp_path / "t2.zip").namelist()) == len(list((tmp_path / "SERIES").iterdir()))


@pytest.mark.parametrize(
    ("model", "image", "params", "status", "words"),
    [
        ("unified", "thick_t1", {"target_modality": "t9"}, 422, ["target_modality", "'t9'", "flair"]),
        ("unified", "thick_t1", {"output_spacing": -1}, 422, ["output_spacing", "-1"]),
        ("unified", "thick_t1", {"output_spacing": 30}, 422, ["output_spacing", "30", "8 mm"]),
        ("cms", "thick_t1", {"factor": 2}, 422, ["'factor'"]),
        ("sr", "thick_t1", {"output_format": "dicom"}, 422, ["output_format", "dicom"]),
        ("sr", "gone", {}, 404, ["'gone'"]),
        ("sr", "/etc/hostname", {}, 403, ["'/etc/hostname'"]),
        ("segmentation", "thick_t1", {}, 404, ["'segmentation'", "unified"]),
    ],
)
def test_a_wrong_request_is_told_in_one_line(label, model, image, params, status, words):
    answered, _, detail = label.infer(model, params, image=image)
    assert answered == status and all(word in detail for word in words) and "\n" not in detail


def test_a_second_server_does_not_take_the_same_studies(label, server_python, studies):
    command = [str(server_python), str(SERVE), "--studies", str(studies), "--port", str(free_port())]
    run = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert run.returncode == 1 and run.stderr.startswith("error:") and str(studies) in run.stderr
    assert len(run.stderr.splitlines()) == 1


@pytest.fixture
def orthanc(tmp_path):
    """The address of an empty DICOMweb server."""
    if ORTHANC is None or not DICOMWEB.is_file():
        pytest.skip("no Orthanc: apt-get install orthanc orthanc-dicomweb")
    port = free_port()
    folder = str(tmp_path / "orthanc")
    content = {"StorageDirectory": folder, "IndexDirectory": folder, "HttpPort": port, "DicomServerEnabled": False}
    content |= {"RemoteAccessAllowed": False, "Plugins": [str(DICOMWEB)], "DicomWeb": {"Enable": True}}
    (tmp_path / "orthanc.json").write_text(json.dumps(content))
    address = f"http://127.0.0.1:{port}"
    command = [ORTHANC, str(tmp_path / "orthanc.json")]
    server = Server(*command, log=tmp_path / "orthanc.log", path=f"{address}/system", limit=60)
    yield address
    server.stop()


def test_a_series_of_a_dicomweb_server_gets_its_result_beside_it(
    server_python, orthanc, dicom_series, monai_bundle, tmp_path
):
    source = dicom_series(folder=tmp_path / "series")
    for path in source.iterdir():
        urlopen(Request(f"{orthanc}/instances", data=path.read_bytes())).close()
    uid = pydicom.dcmread(next(source.iterdir())).SeriesInstanceUID
    port = free_port()
    command = [server_python, SERVE, "--studies", f"{orthanc}/dicom-web", "--port", str(port), "--bundles", "unified"]
    server = Server(*map(str, command), log=tmp_path / "log", path=f"http://127.0.0.1:{port}/info/")
    try:
        label = Label(f"http://127.0.0.1:{port}")
        assert label.get("/info/")["models"]["unified"]["config"]["store_result"] is False
        status, kind, content = label.infer("unified", {"store_result": True}, image=uid, output="image")
        unknown = label.infer("unified", {}, image="1.2.3")
    finally:
        server.stop()
    assert (status, kind) == (200, "application/zip"), content
    assert unknown[0] == 404 and "1.2.3" in unknown[2]
    with ZipFile(io.BytesIO(content)) as answer:
        made = [pydicom.dcmread(io.BytesIO(answer.read(name))) for name in answer.namelist()]
    (study,) = json.load(urlopen(f"{orthanc}/studies?expand"))
    stored = {one["MainDicomTags"]["SeriesInstanceUID"] for one in json.load(urlopen(f"{orthanc}/series?expand"))}
    assert len(study["Series"]) == 2 and stored == {uid, made[0].SeriesInstanceUID}
    values = {"input": source, "source_modality": "t1", "target_modality": "t2"}
    out = monai_bundle("unified", tmp_path / "out", **values)
    (folder,) = (path for path in out.iterdir() if path.is_dir())
    for one, path in zip(made, sorted(folder.iterdir()), strict=True):
        assert np.array_equal(one.pixel_array, pydicom.dcmread(path).pixel_array)
