"""What is wrong before a server starts is told in one line, in milliseconds."""

import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

APP = Path(__file__).parents[3] / "apps" / "monailabel"


@pytest.fixture
def serve(part):
    return part("serve")


@pytest.fixture
def busy():
    """A port of this machine that another server has."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield other.getsockname()[1]


def test_a_port_in_use_is_told_before_anything_is_loaded(serve, busy):
    with pytest.raises(OSError, match=f"port {busy} of 127.0.0.1.*--port"):
        serve.serve(port=busy)
    assert "uvicorn" not in sys.modules or "monailabel.app" not in sys.modules


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"bundles": "unified,srr"}, "'srr'.*unified, sr, cms, cmsr"),
        ({"weights": "gone.pt"}, r"gone\.pt"),
        ({"studies": "gone"}, "'gone'.*DICOMweb"),
        ({"port": 70000}, "port 70000"),
    ],
)
def test_a_wrong_option_is_named(serve, options, words):
    before = (signal.getsignal(signal.SIGTERM), tempfile.gettempdir())
    with pytest.raises((ValueError, OSError), match=words):
        serve.serve(**{"port": 0} | options)
    assert (signal.getsignal(signal.SIGTERM), tempfile.gettempdir()) == before


def test_a_port_is_held_while_the_server_is_loaded(serve):
    with serve.listening_socket("127.0.0.1", 0) as one:
        port = one.getsockname()[1]
        with pytest.raises(OSError, match=f"port {port}"), serve.listening_socket("127.0.0.1", port):
            pass


def test_two_servers_do_not_share_a_folder_of_studies(serve, tmp_path):
    with (
        serve.claimed_studies(str(tmp_path), tmp_path) as first,
        pytest.raises(OSError, match=str(tmp_path)),
        serve.claimed_studies(str(tmp_path), tmp_path),
    ):
        pass
    assert first == str(tmp_path)
    with serve.claimed_studies(None, tmp_path) as own, serve.claimed_studies("http://127.0.0.1:1/x", tmp_path) as url:
        assert Path(own).parent == tmp_path and url == "http://127.0.0.1:1/x"


def test_a_server_without_authentication_says_so(serve, caplog, monkeypatch):
    monkeypatch.delenv("MONAI_LABEL_AUTH_ENABLE", raising=False)
    serve._warn("0.0.0.0")
    assert "no authentication" in caplog.text and "0.0.0.0" in caplog.text and "README.md" in caplog.text
    caplog.clear()
    monkeypatch.setenv("MONAI_LABEL_AUTH_ENABLE", "true")
    serve._warn("0.0.0.0")
    assert not caplog.text


def test_another_environment_is_told_with_the_command_that_makes_the_right_one(serve, monkeypatch):
    monkeypatch.setattr(serve, "version", lambda name: "0.9.0")
    with pytest.raises(SystemExit, match=r"0\.9\.0.*install\.sh"):
        serve.check_environment()
    without = [sys.executable, "-S", "-E", str(APP / "serve.py")]  # -S: no installed packages
    run = subprocess.run(without, capture_output=True, text=True, cwd=APP.parents[1], check=False)
    assert run.returncode == 1
    assert run.stderr.startswith("error:") and "install.sh" in run.stderr and len(run.stderr.splitlines()) == 1
