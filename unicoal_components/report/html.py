"""Elements of a page, in which text can never become markup."""

from __future__ import annotations

import json
from collections.abc import Iterable
from html import escape
from typing import Any

VOID = ("br", "img", "input", "link", "meta")
"""Elements without content and end tag."""


class Html(str):
    """Markup; any other text is escaped before it enters a page."""


def element(name: str, /, *content: object, **attributes: object) -> Html:
    """Make an element; whatever is no `Html` becomes escaped text.

    Args:
        name: of the element.
        content: elements, text, or numbers; `None` is left out, and iterables of these are joined.
        attributes: value by name; a trailing underscore is dropped and others become hyphens. `None` and `False` leave
            an attribute out, `True` gives it no value.

    >>> element("p", "a < b ", element("b", "c"), class_="note")
    '<p class="note">a &lt; b <b>c</b></p>'
    >>> element("img", src="data:,", alt='"')
    '<img src="data:," alt="&quot;">'
    """
    start = "".join(_attribute(key.rstrip("_").replace("_", "-"), value) for key, value in attributes.items())
    end = "" if name in VOID else f"</{name}>"
    return Html(f"<{name}{start}>{joined(content)}{end}")


def joined(content: Iterable[object]) -> Html:
    """Join elements and texts.

    >>> joined(["<", None, [element("br"), 3]])
    '&lt;<br>3'
    """
    return Html("".join(_markup(part) for part in content if part is not None))


def table(head: Iterable[object], rows: Iterable[Any], *, class_: str | None = None) -> Html:
    """Make a table that scrolls within itself where it is wider than the page.

    Args:
        head: what the cells of the first row hold; an `Html` that is a cell itself stays as it is.
        rows: cells of each row, or a `<tr>` that is made already.
        class_: of the table.
    """
    first = element("tr", [_cell("th", part) for part in head])
    body = [row if isinstance(row, Html) else element("tr", [_cell("td", part) for part in row]) for row in rows]
    return element(
        "div", element("table", element("thead", first), element("tbody", body), class_=class_), class_="wide"
    )


def details(summary: object, *content: object, is_open: bool = False) -> Html:
    """Make a part that opens by a click on its summary."""
    return element("details", element("summary", summary), *content, open=is_open)


def section(title: str, name: str, *content: object) -> Html:
    """Make a part of the page under a heading, to which `#name` leads."""
    return element("section", element("h2", title), *content, id=name)


def data_script(name: str, value: object) -> Html:
    r"""Hold a JSON value that scripts of the page read by its id; nothing in it can end the element.

    >>> data_script("x", {"a": "</script>"})
    '<script type="application/json" id="x">{"a": "\\u003c/script>"}</script>'
    """
    return element("script", Html(json.dumps(value).replace("<", "\\u003c")), type="application/json", id=name)


def _markup(part: object) -> str:
    if isinstance(part, Html):
        return part
    if isinstance(part, Iterable) and not isinstance(part, str):
        return joined(part)
    return escape(str(part))


def _cell(name: str, part: object) -> Html:
    made = isinstance(part, Html) and part.startswith(("<td", "<th"))
    return Html(str(part)) if made else element(name, part)


def _attribute(name: str, value: object) -> str:
    if value is None or value is False:
        return ""
    return f" {name}" if value is True else f' {name}="{escape(str(value))}"'
