"""Elements of DICOM headers: coded terms, decimal strings and short texts."""

from collections.abc import Iterable
from typing import Any

from pydicom import Dataset
from pydicom.sr.coding import Code
from pydicom.valuerep import format_number_as_ds

MAX_DECIMAL = 16


def code_item(code: Code) -> Dataset:
    """Return a coded term as an item of a code sequence."""
    item = Dataset()
    item.CodeValue = code.value
    item.CodingSchemeDesignator = code.scheme_designator
    item.CodeMeaning = code.meaning
    return item


def decimal_strings(values: Iterable[Any]) -> list[str]:
    """Return numbers as decimal strings (DS) of at most 16 characters: unchanged if short enough, or else rounded.

    Example:
        >>> decimal_strings([0.1, -28.86712797358014, 1e-20])
        ['0.1', '-28.867127973580', '1e-20']
    """
    texts = [str(getattr(value, "original_string", value)).strip() for value in values]
    return [text if len(text) <= MAX_DECIMAL else format_number_as_ds(float(text)) for text in texts]


def fit_text(text: str, length: int, *, keep: str = "") -> str:
    r"""Return a single line without backslashes, cut to `length` characters; if cut, it ends with `keep`.

    Example:
        >>> fit_text("T2 of a\\b and much more", 20, keep="NOT TRUE")
        'T2 of a/b a NOT TRUE'
        >>> fit_text("short NOT TRUE", 20, keep="NOT TRUE")
        'short NOT TRUE'
    """
    line = " ".join(text.replace("\\", "/").split())
    line = "".join(character for character in line if character.isprintable())
    if len(line) <= length and (not keep or keep in line):
        return line
    front = line.replace(keep, "").strip() if keep else line
    return f"{front[: max(length - len(keep) - 1, 0)].rstrip()} {keep}".strip() if keep else front[:length].rstrip()
