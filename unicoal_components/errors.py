"""User errors: find the cause among the layers of an exception."""

import builtins
import re
from typing import Any


def cause_of(error: BaseException) -> str:
    """Return the message of the user error among the layers that MONAI and torch add to it.

    The package reports user errors as `ValueError` and `OSError`, possibly caused by a library's error;
    MONAI wraps them in `RuntimeError`, and a data loader's worker sends text. So the outermost of the two kinds is the
    user error, or else the innermost error.

    Example:
        >>> try:
        ...     try:
        ...         raise ValueError("factor is 0.5; it must be at least 1.")
        ...     except ValueError as user_error:
        ...         raise RuntimeError("applying transform") from user_error
        ... except RuntimeError as wrapper:
        ...     cause_of(wrapper)
        'factor is 0.5; it must be at least 1.'
    """
    chain = layers(error)
    cause = next((layer for layer in chain if _is_user_error(type(layer))), chain[-1])
    if _is_unknown_argument(cause):
        return f"{cause}. Correct or remove that entry of the configuration."
    return _last_user_error(str(cause)) or (str(cause) if _is_user_error(type(cause)) else repr(cause))


def is_user_error(error: BaseException) -> bool:
    """Return whether a user error is among the layers of an exception, see `cause_of`."""
    chain = layers(error)
    return _is_unknown_argument(chain[-1]) or any(
        _is_user_error(type(layer)) or _last_user_error(str(layer)) is not None for layer in chain
    )


def _is_unknown_argument(error: BaseException) -> bool:
    return isinstance(error, TypeError) and "argument" in str(error)


def layers(error: BaseException) -> list[BaseException]:
    """Return an exception and its causes, outermost first."""
    chain = [error]
    while (cause := chain[-1].__cause__) is not None:
        chain.append(cause)
    return chain


def user_error(error: BaseException) -> str | None:
    """Return the message of the user error among the layers of an exception; `None` if there is only a fault of ours.

    Example:
        >>> user_error(ValueError("factor is 0.5.")), user_error(IndexError(3))
        ('factor is 0.5.', None)
    """
    return cause_of(error) if is_user_error(error) else None


def _last_user_error(text: str) -> str | None:
    """Return the message of the last `ValueError` or `OSError` in a worker's printed traceback, if it is one."""
    if "Traceback (most recent call last)" not in text:
        return None
    found = re.findall(r"^(\w+): (.+)$", text, flags=re.MULTILINE)
    return next((words for name, words in reversed(found) if _is_user_error(getattr(builtins, name, None))), None)


def _is_user_error(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, ValueError | OSError)
