"""Reader of text files that people and programs of any system write."""

import codecs
import os
from pathlib import Path

MARKS = {
    "utf-32": (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE),  # before UTF-16, whose mark they begin with
    "utf-16": (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE),
}
"""Byte order marks by encoding."""


def read_text(path: str | os.PathLike, *, name: str) -> str:
    """Return the text of a file in UTF-8, or in UTF-16 or UTF-32 with a byte order mark, as Windows writes it.

    Args:
        path: the file.
        name: what it is, for the message.

    Raises:
        OSError: the file cannot be opened.
        ValueError: the file has another encoding; the message names it.
    """
    content = Path(path).read_bytes()
    encoding = next((known for known, marks in MARKS.items() if content.startswith(marks)), "utf-8-sig")
    try:
        text = content.decode(encoding)
        if "\0" in text:
            raise ValueError("it holds zeros, as UTF-16 without a byte order mark does")
    except ValueError as error:
        raise ValueError(f"the {name} '{path}' is neither UTF-8 nor UTF-16 ({error}). Save it as UTF-8.") from error
    return text
