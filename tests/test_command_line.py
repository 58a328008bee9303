import pytest

from unicoal_components.command_line import run_command


@pytest.fixture
def calls():
    return []


@pytest.fixture
def command(calls):
    def greet(*, name, times=1, shout=False):
        """Greet."""
        if times < 1:
            raise ValueError(f"times {times} must be at least 1.")
        if name == "nobody":
            raise FileNotFoundError("'nobody' does not exist.")
        calls.append((name, times, shout))

    return greet


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--name", "a", "--times", "2"], ("a", 2, False)),
        (["-n", "a", "-t=2"], ("a", 2, False)),
        (["--name=a", "--shout"], ("a", 1, True)),
        (["--noshout", "--name", "a", "--times", "2"], ("a", 2, False)),
        (["--name", "1,2"], ((1, 2), 1, False)),
    ],
)
def test_options_reach_the_function(command, calls, arguments, expected):
    run_command(command, arguments)
    assert calls == [expected]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--name", "a", "--time", "2"], "unknown option '--time'; options are --name, --times, --shout."),
        (["--name", "a", "b"], "'b' does not follow an option"),
        (["a"], "'a' does not follow an option"),
    ],
)
def test_invalid_options_are_reported_before_the_function_runs(command, calls, capsys, arguments, message):
    with pytest.raises(SystemExit) as stop:
        run_command(command, arguments)
    assert stop.value.code == 2
    assert message in capsys.readouterr().err
    assert calls == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--name", "a", "--times", "-1"], "error: times -1 must be at least 1."),
        (["--name", "nobody"], "error: 'nobody' does not exist."),
    ],
)
def test_a_users_mistake_ends_in_one_line(command, arguments, message):
    with pytest.raises(SystemExit) as stop:
        run_command(command, arguments)
    assert stop.value.code == message


def test_the_arguments_of_the_process_are_the_default(command, calls, monkeypatch):
    monkeypatch.setattr("sys.argv", ["greet.py", "--name", "a"])
    run_command(command)
    assert calls == [("a", 1, False)]
