"""Values of the command line as they were typed, before fire and MONAI change them.

`python -m monai.bundle run` gives every value to fire, which takes it for Python where it can: 100307 becomes a number,
2023_01 the number 202301, and "out#1" ends at its "#". MONAI then replaces "#" by "::", evaluates what starts with "$"
and looks up what starts with "@" or "%". None of this is meant by somebody who types the name of a file or a modality.
"""

import itertools
import json
import os
from collections.abc import Callable, Sequence
from typing import Any

PATHS = (
    "bundle_root",
    "claimed_dir",
    "ckpt_path",
    "datalist",
    "dataset_dir",
    "evaluation_dir",
    "evaluation_weights",
    "input",
    "lpips_backbone",
    "output_dir",
    "pretrained",
    "sam_checkpoint",
    "segmenter",
    "unet",
)
"""Values of the configurations that are paths, or a list of them."""
WORDS = {"null": None, "None": None, "true": True, "True": True, "false": False, "False": False}
"""As in JSON and in Python; fire knows those of Python only."""
SPECIAL = "#$%@"
"""Characters that mean something to MONAI."""


def typed_options(arguments: Sequence[str]) -> dict[str, str]:
    """Return the options of a command line as typed, by name; as in fire, a word after an option is its value.

    Example:
        >>> typed_options(["run", "--input", "2023_01", "--output_dir=out#1", "--resume", "--seed", "3"])
        {'input': '2023_01', 'output_dir': 'out#1', 'seed': '3'}
    """
    found = {}
    for argument, following in itertools.pairwise([*arguments, "--"]):
        if argument == "--":
            break
        if not _is_option(argument):
            continue
        name, equals, value = argument.lstrip("-").partition("=")
        if equals or not _is_option(following):
            found[name.replace("-", "_")] = value if equals else following
    return found


def meant(name: str, text: str, *, default: Any, parse: Callable[[str], Any]) -> Any:
    """Return the value that a text on the command line stands for, in a spelling that MONAI leaves as it is.

    Args:
        name: name of the option.
        text: what was typed.
        default: value in the bundle's configuration.
        parse: function that parses values other than text, as fire does.

    Returns:
        Text for a path or where the default is text; for a path also a list of texts; else what `parse` returns, with
        the words of JSON for true, false and nothing.

    Raises:
        ValueError: a list of paths contains other things than text.
    """
    is_path = name in PATHS
    is_file = is_path and os.path.exists(text)
    if text in WORDS and not is_file:
        return WORDS[text]
    if is_path and text[:1] in ("[", "(") and not is_file:
        return literal(_list_of_paths(name, text, parse))
    return literal(text) if is_path or (is_plain(default) and is_plain(text)) else parse(text)


def literal(value: str | list[str]) -> str | list[str]:
    r"""Return a text, or a list of texts, in a spelling that MONAI's parser leaves as it is.

    Those with special characters become expressions, with these characters escaped.

    Example:
        >>> literal("out"), literal("out#1")
        ('out', "$'out\\x231'")
    """
    texts = [value] if isinstance(value, str) else value
    if not any(character in text for text in texts for character in SPECIAL):
        return value
    escaped = ascii(value)
    for character in SPECIAL:
        escaped = escaped.replace(character, f"\\x{ord(character):02x}")
    return f"${escaped}"


def is_plain(value: Any) -> bool:
    """Return whether a value of a configuration file or from Python is text, and no expression or reference."""
    return isinstance(value, str) and value[:1] not in ("$", "@", "%")


def check_kind(name: str, value: Any, *, default: Any) -> None:
    """Raise ValueError if a value is of another kind than the default of the bundle: no number, not true or false.

    Expressions, references and nothing are left to the components.
    """
    if value is None or (isinstance(value, str) and value[:1] in ("$", "@")):
        return
    if isinstance(default, bool):
        wanted, fits = "true or false", isinstance(value, bool)
    elif isinstance(default, int | float):
        wanted, fits = "a number", isinstance(value, int | float) and not isinstance(value, bool)
    elif isinstance(default, list):
        wanted, fits = "a list", not isinstance(value, str | bool)
    else:
        return
    if not fits:
        raise ValueError(f"{name} is {value!r}; it must be {wanted}. The bundle has {json.dumps(default)}.")


def _list_of_paths(name: str, text: str, parse: Callable[[str], Any]) -> list[str]:
    paths = parse(text)
    if not isinstance(paths, list | tuple) or not all(isinstance(path, str) for path in paths):
        raise ValueError(
            f"{name} is {text}; there is no such file, and it is no list of paths. Put each of them into quotes: "
            f"--{name} \"['first', 'second']\". If it is one name, write --{name} ./{text}"
        )
    return list(paths)


def _is_option(argument: str) -> bool:
    return argument.startswith("--") or (argument[:1] == "-" and argument[1:2].isalpha())
