"""The code of NiiVue, a viewer of volumes that the page carries along where it is installed."""

from __future__ import annotations

import re
from pathlib import Path

from .html import Html, details, element, joined

VERSION = "0.69.0"
PLACE = Path("node_modules/@niivue/niivue/dist/niivue.umd.js")
"""Under the working directory, where `INSTALL` puts it."""

INSTALL = f"npm install --no-save @niivue/niivue@{VERSION}"

LICENSE = """BSD 2-Clause License

Copyright (c) 2021, Niivue
All rights reserved.

Redistribution and use in source and binary forms, with or without modification, are permitted provided that the
following conditions are met:

1. Redistributions of source code must retain the above copyright notice, this list of conditions and the following
   disclaimer.

2. Redistributions in binary form must reproduce the above copyright notice, this list of conditions and the following
   disclaimer in the documentation and/or other materials provided with the distribution.

THIS SOFTWARE IS PROVIDED BY THE COPYRIGHT HOLDERS AND CONTRIBUTORS "AS IS" AND ANY EXPRESS OR IMPLIED WARRANTIES,
INCLUDING, BUT NOT LIMITED TO, THE IMPLIED WARRANTIES OF MERCHANTABILITY AND FITNESS FOR A PARTICULAR PURPOSE ARE
DISCLAIMED. IN NO EVENT SHALL THE COPYRIGHT HOLDER OR CONTRIBUTORS BE LIABLE FOR ANY DIRECT, INDIRECT, INCIDENTAL,
SPECIAL, EXEMPLARY, OR CONSEQUENTIAL DAMAGES (INCLUDING, BUT NOT LIMITED TO, PROCUREMENT OF SUBSTITUTE GOODS OR
SERVICES; LOSS OF USE, DATA, OR PROFITS; OR BUSINESS INTERRUPTION) HOWEVER CAUSED AND ON ANY THEORY OF LIABILITY,
WHETHER IN CONTRACT, STRICT LIABILITY, OR TORT (INCLUDING NEGLIGENCE OR OTHERWISE) ARISING IN ANY WAY OUT OF THE USE OF
THIS SOFTWARE, EVEN IF ADVISED OF THE POSSIBILITY OF SUCH DAMAGE.
"""
"""Of NiiVue. Its npm package comes without this text, which must go with every copy of the code."""


def code_script(path: Path) -> Html:
    """Hold the code as text that the page's script runs when a volume is to be seen, not before.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is no text.
    """
    try:
        code = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"viewer '{path}' is no JavaScript. Give niivue.umd.js, from: {INSTALL}") from error
    return element("script", Html(escaped_code(code)), type="text/plain", id="niivue-code")


def escaped_code(code: str) -> str:
    r"""Take from code what could end its element; in its strings and patterns a backslash before / or ! says nothing.

    >>> print(escaped_code("write('<script></script><!--')"))
    write('<script><\/script><\!--')
    """
    return re.sub("</(script)", r"<\\/\1", code, flags=re.IGNORECASE).replace("<!--", "<\\!--")


def license_note(path: Path) -> Html:
    """Show the license of the code beside it, or `LICENSE`."""
    found = next((file for file in path.parents[1].glob("LICENSE*") if file.is_file()), None)
    text = LICENSE if found is None else found.read_text(encoding="utf-8", errors="replace")
    return details("The viewer is NiiVue (BSD 2-Clause License)", element("pre", text))


def how_to_get(path: Path) -> Html:
    """Say how the viewer comes into the page, for its place in a page without it."""
    return element(
        "p",
        joined(["Volumes can be viewed here with NiiVue, which is not at ", element("code", path), ". Get it with "]),
        element("code", INSTALL),
        " and make the page again from the same folder: ",
        element("code", "python scripts/make_report.py --evaluation DIR"),
        class_="hint",
    )
