import gc
import json
import logging
import os
import socket
import subprocess
import sys
import warnings

import pytest
from filelock import FileLock

from unicoal_components import error_report, interruption
from unicoal_components.error_report import RaiseErrors, report, report_errors
from unicoal_components.files.claim import HOLDER, LOCK, claimed


@pytest.fixture(autouse=True)
def restored(monkeypatch):
    for name in ("folder", "debug", "hidden"):
        monkeypatch.setattr(error_report._Report, name, getattr(error_report._Report, name))
    monkeypatch.setattr(interruption._State, "requested", 0)
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    handlers = {handler: list(handler.filters) for handler in logging.getLogger().handlers}
    with warnings.catch_warnings():
        yield
    gc.unfreeze()
    logging.captureWarnings(False)
    for handler, filters in handlers.items():
        handler.filters = filters


def raised(error, cause=None):
    try:
        raise error from cause
    except BaseException as caught:
        return type(caught), caught, caught.__traceback__


def test_a_users_mistake_is_one_paragraph_and_its_traceback_is_in_the_folder(tmp_path, capsys):
    report_errors(folder=tmp_path)
    assert sys.excepthook is report
    report(*raised(RuntimeError("applying transform"), ValueError("factor is 0.5.")))
    log = tmp_path / "error.log"
    assert capsys.readouterr().err == f"\nerror: factor is 0.5. (Traceback: {log})\n"
    assert "RuntimeError: applying transform" in log.read_text()


def test_a_users_mistake_does_not_create_the_folder(tmp_path, capsys):
    report_errors(folder=tmp_path / "out")
    report(*raised(ValueError("factor is 0.5.")))
    assert capsys.readouterr().err == "\nerror: factor is 0.5.\n"
    assert not (tmp_path / "out").exists()


def test_a_defect_leaves_its_traceback_in_a_new_folder_or_on_the_terminal(tmp_path, capsys):
    report_errors(folder=tmp_path / "out")
    report(*raised(ZeroDivisionError("by zero")))
    assert "Traceback (most" not in capsys.readouterr().err
    assert "ZeroDivisionError" in (tmp_path / "out" / "error.log").read_text()
    (tmp_path / "file").touch()
    report_errors(folder=tmp_path / "file" / "out")
    report(*raised(ZeroDivisionError("by zero")))
    assert "Traceback (most recent call last)" in capsys.readouterr().err


@pytest.fixture
def holder():
    """Another process that runs."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield {"pid": process.pid, "host": socket.gethostname(), "since": "today"}


@pytest.mark.parametrize("error", [ValueError("factor is 0.5."), ZeroDivisionError("by zero")])
def test_nothing_is_written_into_a_folder_that_another_process_has_claimed(error, holder, tmp_path, capsys):
    (tmp_path / HOLDER).write_text(json.dumps(holder))
    report_errors(folder=tmp_path)
    report(*raised(error))
    assert [path.name for path in tmp_path.iterdir()] == [HOLDER]
    (tmp_path / HOLDER).write_text(json.dumps(holder | {"pid": os.getpid()}))
    report(*raised(error))
    assert f"(Traceback: {tmp_path / 'error.log'})" in capsys.readouterr().err


def test_a_run_that_is_refused_writes_nothing(holder, tmp_path, capsys):
    (tmp_path / "evaluation").mkdir()
    (tmp_path / "evaluation" / HOLDER).write_text(json.dumps(holder))
    report_errors(folder=tmp_path)
    with FileLock(tmp_path / "evaluation" / LOCK, thread_local=False):
        try:
            with claimed(tmp_path / "evaluation"):
                pass
        except OSError as error:
            report(*raised(RuntimeError("run failed"), error))
    assert f"process {holder['pid']} on " in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["evaluation"]


def test_debug_prints_the_traceback(tmp_path, capsys):
    report_errors(folder=tmp_path, debug=True)
    report(*raised(ValueError("factor is 0.5.")))
    said = capsys.readouterr().err
    assert "Traceback (most recent call last)" in said and said.endswith("\nerror: factor is 0.5.\n")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("error", [interruption.Stopped(15), RuntimeError("Connection closed by peer")])
def test_a_signal_is_one_line_and_its_status_whatever_it_tears_down(error, capsys):
    report_errors()
    interruption.request(15)
    interruption.advise("epoch 3 is saved.")
    with pytest.raises(SystemExit) as stop:
        report(*raised(error))
    assert stop.value.code == 143
    assert capsys.readouterr().err == "\nstopped by SIGTERM: epoch 3 is saved.\n"


def test_a_full_disk_is_reported_though_a_signal_came(capsys):
    report_errors()
    interruption.request(15)
    report(*raised(OSError("cannot write 'checkpoint.pt'")))
    assert "error: cannot write 'checkpoint.pt'" in capsys.readouterr().err


def test_hidden_paths_are_neither_logged_nor_reported(tmp_path, capsys, caplog):
    folder = "/scans/Mustermann Max"
    report_errors(folder=tmp_path, hidden=[folder, f"{folder}/t1"])
    logging.getLogger().warning("scan '%s/t1/IM01.dcm': a gap.", folder)
    logging.getLogger("py.warnings").warning("%s", f"{folder}/t1/IM01.dcm has no UID")
    report(*raised(ValueError(f"scan '{folder}/t1/IM01.dcm' is empty.")))
    for said in (caplog.text, capsys.readouterr().err, (tmp_path / "error.log").read_text()):
        assert "Mustermann" not in said
        assert "(input)" in said


def test_a_short_name_of_the_input_hides_no_other_words(caplog):
    report_errors(hidden=[".", "p1", "p1/t1.nii"])
    logging.getLogger().warning("'p1/t1.nii' and p1/t2.nii of p1 in map1. p10: step 1.")
    assert caplog.messages == ["'(input)' and (input) of (input) in map1. p10: step 1."]


def test_what_ignite_logs_of_an_error_is_dropped(caplog):
    report_errors()
    logging.getLogger("ignite").error("Engine run is terminating due to exception: x")
    logging.getLogger("ignite").error("other")
    assert [record.getMessage() for record in caplog.records] == ["other"]


def test_an_error_of_an_engine_is_raised_as_it_is():
    with pytest.raises(ValueError, match="mine"):
        RaiseErrors()(None, ValueError("mine"))
