import signal
import threading

import pytest

from unicoal_components.runtime.stopping import exit_when_stopped


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_in_one_line_and_its_status(capsys, number, status):
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as stop, exit_when_stopped("Run it again."):
        signal.raise_signal(number)
    assert stop.value.code == status
    assert capsys.readouterr().err.split("\n") == ["", f"stopped by {number.name}. Run it again.", ""]
    assert signal.getsignal(signal.SIGTERM) is before


def test_other_errors_and_threads_are_left_alone():
    with pytest.raises(KeyError), exit_when_stopped(""):
        raise KeyError
    done = []

    def work():
        with exit_when_stopped(""):
            done.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done
