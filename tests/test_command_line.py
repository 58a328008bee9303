import pytest

from unicoal_components.command_line import Files, Numbers, Pairs, Switch, Words, run_command


@pytest.fixture
def calls():
    return []


@pytest.fixture
def command(calls):
    def greet(
        *,
        name: str,
        times: int = 1,
        shout: bool = False,
        polite: Switch = True,
        phase: float | str = 0.0,
        limit: float | None = 1.0,
        words: Words = (),
        numbers: Numbers = (),
        files: Files = (),
        pairs: Pairs | None = None,
        long_name: float | bool = False,
    ):
        """Greet people in `mm`.

        Args:
            name: whom to greet.
        """
        given = dict(locals())
        if times == 99:
            raise IndexError("a fault of ours")
        if times < 1:
            raise ValueError(f"times {times} must be at least 1.")
        if name == "nobody":
            raise FileNotFoundError("'nobody' does not exist.")
        if name == "wrapped":
            raise RuntimeError("applying transform") from ValueError("factor is 0.5.")
        if name == "interrupt":
            raise KeyboardInterrupt
        calls.append({key: value for key, value in given.items() if key in defaults and value != defaults[key]})
        return 3 if name == "partly" else None

    defaults = greet.__kwdefaults__ | {"name": None}
    return greet


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--name", "a", "--times", "2"], {"times": 2}),
        (["--name=a", "--shout"], {"shout": True}),
        (["--no-polite", "--name", "a", "--times=2"], {"times": 2, "polite": False}),
        (["--name", "a", "--phase", "-1.5"], {"phase": -1.5}),
        (["--name", "a", "--phase=random"], {"phase": "random"}),
        (["--name", "a", "--limit", "null"], {"limit": None}),
        (["--name", "a", "--words", "t1,t2"], {"words": ["t1", "t2"]}),
        (["--name", "a", "--words", "['t1', 't2']"], {"words": ["t1", "t2"]}),
        (["--name", "a", "--words", "100307,2023_01"], {"words": ["100307", "2023_01"]}),
        (["--name", "a", "--numbers", "0.5,2,-1e-3"], {"numbers": [0.5, 2, -1e-3]}),
        (["--name", "a", "--files", "a,b.json", "--files", "c.json"], {"files": ["a,b.json", "c.json"]}),
        (["--name", "a", "--files", "['a.json','b.json']"], {"files": ["a.json", "b.json"]}),
        (["--name", "a", "--pairs", "t1=T1w,t2=T2w"], {"pairs": {"t1": "T1w", "t2": "T2w"}}),
        (["--name", "a", "--pairs", "{'factors': [1, 4]}"], {"pairs": {"factors": [1, 4]}}),
        (["--name", "a", "--long_name", "0.5"], {"long_name": 0.5}),
        (["--name", "a", "--long-name"], {"long_name": True}),
    ],
)
def test_options_reach_the_function(command, calls, arguments, expected):
    run_command(command, arguments)
    assert calls == [{"name": "a"} | expected]


@pytest.mark.parametrize(
    "value", ["100307", "2023_01", "out#1", "$x", "@a", "%b", "1e5", "None", "a,b", "[x", "'a'", " "]
)
def test_words_are_taken_literally(command, calls, value):
    run_command(command, ["--name", value])
    assert calls == [{"name": value}]


@pytest.mark.parametrize(
    ("arguments", "facts"),
    [
        (["--name", "a", "--time", "2"], ["--time", "--times"]),
        (["--name", "a", "b"], ["'b'", "--name"]),
        (["a"], ["--name"]),
        (["--name", "a", "--times", "two"], ["--times", "two"]),
        (["--name", "a", "--numbers", "1,two"], ["--numbers", "two"]),
        (["--name", "a", "--pairs", "t1"], ["--pairs", "t1"]),
        (["--name", "a", "--words", "[t1"], ["--words", "[t1"]),
        (["--name", "a", "--pairs", "{1"], ["--pairs", "{1"]),
    ],
)
def test_wrong_usage_is_one_line_with_status_2_before_the_function_runs(command, calls, capsys, arguments, facts):
    with pytest.raises(SystemExit) as stop:
        run_command(command, arguments)
    said = capsys.readouterr()
    assert stop.value.code == 2
    assert said.out == "" and said.err.count("\n") == 1 and said.err.startswith("error: ")
    assert all(fact in said.err for fact in facts)
    assert calls == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--name", "a", "--times", "-1"], "error: times -1 must be at least 1."),
        (["--name", "nobody"], "error: 'nobody' does not exist."),
        (["--name", "wrapped"], "error: factor is 0.5."),
    ],
)
def test_a_users_error_ends_in_one_line_with_status_1(command, arguments, message):
    with pytest.raises(SystemExit) as stop:
        run_command(command, arguments)
    assert stop.value.code == message  # Python prints it and exits with 1


def test_debug_shows_where_a_users_error_comes_from(command):
    with pytest.raises(FileNotFoundError):
        run_command(command, ["--debug", "--name", "nobody"])


def test_a_fault_of_the_program_is_not_hidden(command):
    with pytest.raises(IndexError):
        run_command(command, ["--name", "a", "--times", "99"])


@pytest.mark.parametrize(("name", "status"), [("partly", 3), ("interrupt", 130)])
def test_a_returned_status_and_an_interruption_are_the_exit_status(command, name, status):
    with pytest.raises(SystemExit) as stop:
        run_command(command, ["--name", name])
    assert stop.value.code == status


def test_the_help_has_the_docstring_types_and_defaults(command, calls, capsys):
    run_command(command, ["--help"])
    said = " ".join(capsys.readouterr().out.split())
    assert "Greet people in mm." in said
    assert "whom to greet." in said and "--times INT" in said and "[default: 1]" in said and "--debug" in said
    assert calls == []


def test_the_arguments_of_the_process_are_the_default(command, calls, monkeypatch):
    monkeypatch.setattr("sys.argv", ["greet.py", "--name", "a"])
    run_command(command)
    assert calls == [{"name": "a"}]
