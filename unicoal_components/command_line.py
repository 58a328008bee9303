"""Command line of a function: options by fire, user errors as one line."""

import inspect
import re
import sys
from collections.abc import Callable, Sequence

import fire


def run_command(command: Callable, arguments: Sequence[str] | None = None) -> None:
    """Call `command`, whose parameters are keyword-only, with the options of the command line.

    fire alone calls the function first and reports an unknown option afterwards, when the work is done without it;
    here unknown options and extra words are rejected before. `ValueError` and `OSError`, which are user errors, end in
    `error: ...` and exit status 1, without a traceback.

    Args:
        command: the function; its docstring becomes the help.
        arguments: command line; `None` for that of the process.

    Raises:
        SystemExit: 2 for invalid options; 1 for an error of the command.

    Example:
        >>> def double(*, number=1):
        ...     raise ValueError(f"number {number} is too large.")
        >>> run_command(double, ["--numbre=2"])
        Traceback (most recent call last):
        SystemExit: 2
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    problem = _unusable(arguments, list(inspect.signature(command).parameters))
    if problem:
        sys.stderr.write(f"error: {problem} See --help.\n")
        raise SystemExit(2)
    try:
        fire.Fire(command, command=arguments)
    except (ValueError, OSError) as error:
        raise SystemExit(f"error: {error}") from error


def _unusable(arguments: Sequence[str], names: Sequence[str]) -> str | None:
    """Return the problem of the arguments, or `None`; a word after an option is its value, as in fire."""
    initials = [name[0] for name in names]
    letters = [letter for letter in initials if initials.count(letter) == 1]  # fire's short forms
    known = {"help", "h", *names, *letters, *(f"no{name}" for name in names)}
    value_may_follow = False
    for argument in arguments:
        if argument == "--":
            return None
        if re.match(r"--|-[A-Za-z]", argument):
            name = argument.lstrip("-").partition("=")[0].replace("-", "_")
            if name not in known:
                return f"unknown option '{argument}'; options are {', '.join('--' + name for name in names)}."
            value_may_follow = "=" not in argument
        elif value_may_follow:
            value_may_follow = False
        else:
            return f"'{argument}' does not follow an option; write --name {argument} with the name of the option."
    return None
