import gc
import logging
import sys
import warnings

import pytest

from unicoal_components import error_report, interruption
from unicoal_components.error_report import RaiseErrors, report, report_errors


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
