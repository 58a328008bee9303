"""Start the MONAI Label server of the bundles.

    apps/monailabel/.venv/bin/python apps/monailabel/serve.py [--studies FOLDER] [--port 8000] [--bundles unified,sr]

There is no authentication, so it listens on this machine only; README.md beside this file tells how to switch it on.
"""

import json
import logging
import os
import signal
import socket
import sys
import tempfile
import types
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

APP = Path(__file__).resolve().parent
MONAI_LABEL = "0.8.5"
LOOPBACK = ("127.0.0.1", "::1", "localhost")


def check_environment() -> None:
    """Check that MONAI Label and this package are installed beside each other.

    Raises:
        SystemExit: they are not; the message has the command that installs them.
    """
    remedy = f"Run 'bash {APP / 'install.sh'}' once, then '{APP / '.venv' / 'bin' / 'python'} {APP / 'serve.py'}'."
    try:
        found = version("monailabel")
        import unicoal_components  # noqa: F401
    except (PackageNotFoundError, ModuleNotFoundError) as error:
        raise SystemExit(f"error: '{sys.executable}' lacks {error.name or 'a package'}. {remedy}") from error
    if found != MONAI_LABEL:
        raise SystemExit(f"error: '{sys.executable}' has MONAI Label {found}; it must be {MONAI_LABEL}. {remedy}")


def serve(
    *,
    studies: str | None = None,
    bundles: str = "unified,sr,cms,cmsr",
    weights: str | None = None,
    host: str = "127.0.0.1",
    port: int = 8000,
    device: str | None = None,
) -> None:
    """Serve the bundles to 3D Slicer, OHIF, curl and other clients of MONAI Label, until Ctrl-C.

    Args:
        studies: folder of NIfTI files, or URL of a DICOMweb server; without it, clients upload scans.
        bundles: names or folders of bundles, separated by commas.
        weights: file of weights for all bundles; by default their own.
        host: address to listen on; only 127.0.0.1 keeps others out.
        port: port to listen on.
        device: `cpu`, `cuda` or `cuda:1`; by default a GPU where there is one.

    Raises:
        ValueError: a bundle is unknown.
        OSError: the port is in use, there are no weights, or another server has these studies.
    """
    from unicoal_components.commands.bundles import bundle_folder, weights_of

    names = bundles.split(",") if isinstance(bundles, str) else list(bundles)
    for name in names:
        weights_of(bundle_folder(name), weights)
    conf = {"bundles": ",".join(names), "weights": weights, "device": device}
    with suppress(KeyboardInterrupt), ExitStack() as stack:
        before = signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends the server in order, as Ctrl-C does
        stack.callback(signal.signal, signal.SIGTERM, before)
        listening = stack.enter_context(listening_socket(host, port))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="unicoal_label_")))
        stack.callback(setattr, tempfile, "tempdir", tempfile.tempdir)
        tempfile.tempdir = str(folder)  # for uploads too, so that no scan is left when the server ends
        place = stack.enter_context(claimed_studies(studies, folder))
        settings = {
            "MONAI_LABEL_APP_DIR": str(APP),
            "MONAI_LABEL_STUDIES": place,
            "MONAI_LABEL_SERVER_PORT": str(port),
            "MONAI_LABEL_APP_CONF": json.dumps({name: value for name, value in conf.items() if value}),
            "MONAI_LABEL_TASKS_TRAIN": "false",
            "MONAI_LABEL_TASKS_SCORING": "false",
        }
        defaults = {
            "MONAI_LABEL_DATASTORE_FILE_EXT": json.dumps(["*.nii.gz", "*.nii", "*.nrrd", "*.mha"]),
            "MONAI_LABEL_DICOMWEB_SEARCH_FILTER": json.dumps({"Modality": "MR"}),
            "MONAI_LABEL_DICOMWEB_CACHE_PATH": str(folder / "dicom"),
            "MONAI_LABEL_SESSION_PATH": str(folder / "sessions"),
            "MONAI_LABEL_CORS_ORIGINS": json.dumps([f"http://{host}:{port}"]),
        }
        os.environ.update(settings)
        for name, value in defaults.items():
            os.environ.setdefault(name, value)
        _warn(host)
        _run(listening)


@contextmanager
def listening_socket(host: str, port: int) -> Iterator[socket.socket]:
    """Yield a socket that holds a port, so that a port in use is told before the server is loaded.

    Raises:
        OSError: the port is in use, or the address is not one of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((host, port))
            listening.listen()  # without it another socket could bind too
        except (OSError, OverflowError) as error:
            raise OSError(
                f"port {port} of {host} cannot be used ({error}); end the other server, or give another --port."
            ) from error
        yield listening


@contextmanager
def claimed_studies(studies: str | None, folder: Path) -> Iterator[str]:
    """Yield the studies for MONAI Label; it writes into their folder, which no second server may use meanwhile.

    Args:
        studies: folder or URL; `None` = none.
        folder: temporary folder, for an empty one.

    Raises:
        OSError: the folder does not exist, or another server uses it.
    """
    from unicoal_components.files.claim import claimed

    if studies is not None and studies.startswith(("http://", "https://")):
        yield studies
        return
    place = folder / "studies" if studies is None else Path(studies).absolute()
    if studies is not None and not place.is_dir():
        raise FileNotFoundError(f"the folder of studies '{studies}' does not exist; give a folder or a DICOMweb URL.")
    with claimed(place):
        yield str(place)


def _warn(host: str) -> None:
    """Tell who can reach the server."""
    if os.environ.get("MONAI_LABEL_AUTH_ENABLE", "").lower() in ("true", "1"):
        return
    who = "every program of this machine" if host in LOOPBACK else f"everyone who reaches {host}"
    logging.warning("no authentication: %s can read and change the studies; see %s", who, APP / "README.md")


def _run(listening: socket.socket) -> None:
    # MONAI Label imports it for segmentations, which are not made here; it does not work with pydicom 3.
    sys.modules.setdefault("pydicom_seg", types.ModuleType("pydicom_seg"))
    import uvicorn
    from fastapi.responses import JSONResponse
    from monailabel.app import app

    @app.exception_handler(json.JSONDecodeError)
    async def tell(request: object, error: json.JSONDecodeError) -> JSONResponse:
        return JSONResponse({"detail": f"the params are no JSON: {error}"}, status_code=422)

    uvicorn.Server(uvicorn.Config(app, log_level="info", access_log=False)).run(sockets=[listening])


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    check_environment()
    from unicoal_components.command_line import run_command

    run_command(serve, arguments)


if __name__ == "__main__":
    main()
