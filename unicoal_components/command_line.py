"""Command line of functions: options by cyclopts from type hints and docstrings, errors of the user as one line."""

import ast
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, NoReturn

from cyclopts import App, CycloptsError, Parameter, Token, UnusedCliTokensError

from .errors import user_error
from .interruption import exit_when_stopped

DEBUG = "--debug"
OPTIONS = "Options"
SOME_FAILED = 3
"""Exit status if a part of the inputs failed and the others are done."""

EPILOGUE = f"`{DEBUG}` shows where an error comes from. Lists are separated by commas."


def run_command(command: Callable[..., Any], arguments: Sequence[str] | None = None) -> None:
    """Call a function with the options of the command line.

    Args:
        command: the function, with keyword-only parameters; its docstring becomes the help.
        arguments: command line; `None` for that of the process.

    Raises:
        SystemExit: 2 for wrong usage; 1 for an error of the user; 130 if it was stopped by Ctrl-C, 143 by SIGTERM.

    Example:
        >>> def double(*, number: int = 1) -> None:
        ...     raise ValueError(f"number {number} is too large.")
        >>> run_command(double, ["--numbre=2"])
        Traceback (most recent call last):
        SystemExit: 2
    """
    app = new_app(name=sys.argv[0].rpartition("/")[2], version_flags=())
    app.default(command)
    run_app(app, arguments)


def new_app(**options: Any) -> App:
    """Return a cyclopts app with the style of this package: `--option_name value`, help in Markdown.

    Args:
        options: further options of `cyclopts.App`.
    """
    style = Parameter(name_transform=str, negative_iterable=(), negative_bool=(), show_default=_default)
    given: dict[str, Any] = {"default_parameter": style, "help_format": "markdown", "help_epilogue": EPILOGUE} | options
    app = App(result_action="return_value", suppress_keyboard_interrupt=False, group_parameters=OPTIONS, **given)
    app["--help"].group = OPTIONS
    return app


def run_app(app: App, arguments: Sequence[str] | None = None) -> None:
    """Run an app; see `run_command` for arguments, errors and exit status.

    A whole number that the command returns is the exit status.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = DEBUG in words
    words = [word for word in words if word != DEBUG]
    try:
        command, given, _ = app.parse_args(words, exit_on_error=False, print_error=False)  # imports the command
        with exit_when_stopped():
            status = command(*given.args, **given.kwargs)
    except CycloptsError as error:
        _exit(f"{_told(error)} See --help.", 2)
    except KeyboardInterrupt:
        _exit("stopped.", 130)
    except Exception as error:
        message = user_error(error)
        if message is None or debug:
            raise
        raise SystemExit(f"error: {message}") from error
    if isinstance(status, int) and status:
        raise SystemExit(status)


def _told(error: CycloptsError) -> str:
    """Return what is wrong with the usage."""
    if isinstance(error, UnusedCliTokensError):
        word = (error.unused_tokens or [""])[0]
        return f"'{word}' does not follow an option; write --name {word} with the name of the option."
    return " ".join(str(error).split())


def _exit(message: str, status: int) -> NoReturn:
    sys.stderr.write(f"error: {message}\n")
    raise SystemExit(status)


def _default(value: Any) -> str | None:
    """Return how the help shows a default: lists as they are typed, and none where it is only "off"."""
    if value is None or value is False or value == "" or value == ():
        return None
    return ",".join(map(str, value)) if isinstance(value, tuple | list) else str(value)


def _words(_: type, tokens: Sequence[Token]) -> list[str]:
    return [word for token in tokens for word in _listed(token.value, ",")]


def _numbers(_: type, tokens: Sequence[Token]) -> list[float]:
    return [_number(word) for token in tokens for word in _listed(token.value, ",")]


def _files(_: type, tokens: Sequence[Token]) -> list[str]:
    return [word for token in tokens for word in _listed(token.value, None)]


def _mapping(_: type, tokens: Sequence[Token]) -> dict[str, Any]:
    return {name: value for token in tokens for name, value in _pairs(token.value)}


def _listed(text: str, separator: str | None) -> list[str]:
    """Split a list as Python writes it, `['a','b']`, or one with a separator."""
    if text.startswith(("[", "(")):
        return [str(item) for item in _literal(text, list | tuple)]
    return [word.strip() for word in text.split(separator)] if separator else [text]


def _pairs(text: str) -> list[tuple[str, Any]]:
    """Return the pairs of a dictionary as Python writes it, or of `name=value,name=value`."""
    if text.startswith("{"):
        return [(str(name), value) for name, value in _literal(text, dict).items()]
    pairs = [tuple(part.strip() for part in word.partition("=")[::2]) for word in text.split(",")]
    if not all(name and value for name, value in pairs):
        raise ValueError(f"'{text}' must be pairs such as t1=T1w,t2=T2w.")
    return [(name, value) for name, value in pairs]


def _literal(text: str, kind: Any) -> Any:
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError) as error:
        raise ValueError(f"'{text}' is not a list or dictionary as Python writes it.") from error
    if not isinstance(value, kind):
        raise ValueError(f"'{text}' is not a list or dictionary as Python writes it.")
    return value


def _number(word: str) -> float:
    number = float(word)
    return int(word) if number.is_integer() and word.lstrip("+-").isdigit() else number


def _option(converter: Callable[..., Any], metavar: str) -> Parameter:
    return Parameter(converter=converter, n_tokens=1, accepts_keys=False, metavar=metavar)


Switch = Annotated[bool, Parameter(negative_bool=("no-",))]
"""Option that is on, and off as `--no-name`; plain `bool` is for those that are off."""

Words = Annotated[str | Sequence[str], _option(_words, "WORD,WORD")]
"""Option with one or several words, separated by commas."""

Numbers = Annotated[Sequence[float], _option(_numbers, "NUMBER,NUMBER")]
"""Option with one or several numbers, separated by commas."""

Files = Annotated[str | Sequence[str], _option(_files, "FILE")]
"""Option with a file, or a list of them as Python writes it, `['a','b']`; it may be given several times."""

Pairs = Annotated[Mapping[str, Any], _option(_mapping, "NAME=VALUE,NAME=VALUE")]
"""Option with names and values, `a=b,c=d` or a dictionary as Python writes it."""
