import ast
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from unicoal_components import interruption

ROOT = Path(__file__).parents[1]


@pytest.fixture
def signals(monkeypatch):
    """Handle signals as a command does, and leave the handlers of pytest behind."""
    for name in ("process", "requested", "since", "is_deferred", "is_importing", "advice"):
        monkeypatch.setattr(interruption._State, name, getattr(interruption._State, name))
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    interruption.handle_signals()
    yield interruption
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_stops_at_once_with_its_status(signals, number, status, capsys):
    with pytest.raises(signals.Stopped, match=number.name):
        signal.raise_signal(number)
    assert signals.requested() == number
    with pytest.raises(SystemExit) as stopped, signals.exit_when_stopped():
        signal.raise_signal(number)
    assert stopped.value.code == status
    assert number.name in capsys.readouterr().err


def test_what_a_library_makes_of_a_signal_is_reported_as_the_signal_but_errors_of_users_are_not(signals):
    def run(error):
        with signals.exit_when_stopped():
            try:
                signal.raise_signal(signal.SIGTERM)
            except KeyboardInterrupt:
                raise error from None

    with pytest.raises(SystemExit) as stopped:
        run(ImportError("cannot load a library"))
    assert stopped.value.code == 143
    with pytest.raises(OSError, match="full"):
        run(OSError("the disk is full"))


STARTING = """
import os, signal, sys
if __name__ == "__main__":
    from unicoal_components import interruption
    interruption.start()
try:
    os.kill(os.getpid(), int(sys.argv[1]))
    import json.tool
except BaseException:  # as libraries do
    pass
print("goes on")
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_command_that_imports_its_libraries_ends_with_one_line(number, tmp_path):
    (tmp_path / "command.py").write_text(STARTING)
    words = [sys.executable, str(tmp_path / "command.py"), str(int(number))]
    done = subprocess.run(words, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": str(ROOT)})
    assert (done.returncode, done.stdout) == (128 + number, "")
    assert done.stderr.count(number.name) == 1 and len(done.stderr.splitlines()) == 2


def test_importing_ends_the_process_only_where_signals_are_handled(signals):
    with signals.exit_when_stopped(), signals.importing():
        assert signals._State.is_importing
    assert not signals._State.is_importing
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with pytest.raises(KeyboardInterrupt), signals.importing():  # such as a server's own
        signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize("path", sorted((ROOT / "scripts").glob("*.py")), ids=lambda path: path.name)
def test_scripts_handle_signals_before_they_import_anything(path):
    first = next(node for node in ast.parse(path.read_text()).body if not isinstance(node, ast.Expr))
    assert isinstance(first, ast.If) and ast.unparse(first.body[-1]) == "interruption.start()"


def test_a_deferred_signal_waits_for_a_check_and_is_said(signals, capfd):
    saved = []
    with pytest.raises(signals.Stopped), signals.saving(lambda: saved.append(1)):
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGINT)  # torchrun repeats what the terminal sends to all
        assert not saved
        signals.check()
        saved.append("not reached")
    assert saved == [1]
    assert capfd.readouterr().err.count("Once more") == 1


def test_the_second_signal_stops_at_once(signals, monkeypatch):
    monkeypatch.setattr(signals, "AGAIN", -1.0)
    signals.defer(True)
    with pytest.raises(signals.Stopped):
        signal.raise_signal(signal.SIGTERM)


def test_nothing_is_saved_without_a_signal(signals):
    with pytest.raises(ValueError, match="other"), signals.saving(lambda: pytest.fail("saved")):
        raise ValueError("other")
    with signals.saving(lambda: pytest.fail("saved")):
        pass


def wait(ready):
    interruption.ignore_in_worker()
    ready.set()
    time.sleep(60)


def test_a_worker_ends_only_with_its_parent():
    context = multiprocessing.get_context("fork")
    ready = context.Event()
    worker = context.Process(target=wait, args=(ready,), daemon=True)
    worker.start()
    assert ready.wait(20)
    for number in (signal.SIGINT, signal.SIGTERM):
        subprocess.run([sys.executable, "-c", f"import os; os.kill({worker.pid}, {int(number)})"], check=True)
    worker.join(0.2)
    assert worker.is_alive()
    worker.terminate()
    worker.join(20)
    assert worker.exitcode == 0


def test_a_forked_process_without_a_task_of_its_own_ends_by_sigterm(signals):
    ready, tell = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(tell, b"1")
        time.sleep(60)
        os._exit(0)
    os.read(ready, 1)  # signals that come right after the fork are lost
    os.kill(child, signal.SIGINT)
    os.kill(child, signal.SIGTERM)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGTERM


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stopped_block_ends_in_one_line_with_the_advice_and_the_handlers_are_given_back(capsys, number, status):
    before = signal.getsignal(number)
    with pytest.raises(SystemExit) as stop, interruption.exit_when_stopped():
        interruption.advise("Half is saved.")
        signal.raise_signal(number)
    assert stop.value.code == status
    assert capsys.readouterr().err.split("\n") == ["", f"stopped by {number.name}: Half is saved.", ""]
    assert signal.getsignal(number) is before and not interruption.requested()


def test_other_errors_leave_the_block_as_they_are():
    with pytest.raises(KeyError), interruption.exit_when_stopped():
        raise KeyError
