"""The words that matter to the user, out of the layers of an error."""

import builtins
import re
from typing import Any


def cause_of(error: BaseException) -> str:
    """Return what the user did wrong, out of the layers that MONAI and torch put around it.

    The package reports the user's mistakes as `ValueError` and `OSError`, possibly with a library's error behind them;
    MONAI wraps them in `RuntimeError`, and a data loader's worker sends text. So the outermost of the two kinds counts,
    or else the innermost error.

    >>> try:
    ...     try:
    ...         raise ValueError("factor is 0.5; it must be at least 1.")
    ...     except ValueError as mistake:
    ...         raise RuntimeError("applying transform") from mistake
    ... except RuntimeError as wrapper:
    ...     cause_of(wrapper)
    'factor is 0.5; it must be at least 1.'
    """
    chain = [error]
    while (cause := chain[-1].__cause__) is not None:
        chain.append(cause)
    mistake = next((layer for layer in chain if _is_mistake(type(layer))), chain[-1])
    if isinstance(mistake, TypeError) and "argument" in str(mistake):
        return f"{mistake}. Correct or remove that entry of the configuration."
    return _last_mistake(str(mistake)) or (str(mistake) if _is_mistake(type(mistake)) else repr(mistake))


def _last_mistake(text: str) -> str | None:
    """Return the message of the last `ValueError` or `OSError` in the printed traceback of a worker, if it is one."""
    if "Traceback (most recent call last)" not in text:
        return None
    found = re.findall(r"^(\w+): (.+)$", text, flags=re.MULTILINE)
    return next((words for name, words in reversed(found) if _is_mistake(getattr(builtins, name, None))), None)


def _is_mistake(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, ValueError | OSError)
