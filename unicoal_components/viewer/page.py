"""The viewer as HTML: a part of a page, or a page."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib import colormaps

from ..files.page import page_templates
from .scene import Scene

TEMPLATES = Path(__file__).with_name("templates")
SCRIPTS = ("volumes.js", "pictures.js", "viewer.js")
"""Parts of one function, in this order."""


def viewer_style() -> Markup:
    """Return the viewer's style sheet."""
    return Markup((TEMPLATES / "viewer.css").read_text(encoding="utf-8"))


def viewer_script() -> Markup:
    """Return the viewer's script, to run after its part of the page; without that part it only counts faults."""
    parts = [(TEMPLATES / name).read_text(encoding="utf-8") for name in SCRIPTS]
    return Markup("\n".join(["(() => {", '"use strict";', *parts, "})();"]))


def viewer_part(titles: Sequence[str], scenes: Sequence[Scene] = (), *, label: str, wipe: str, grid: str) -> Markup:
    """Return the viewer's part of a page.

    Args:
        titles: title of each scene.
        scenes: scenes that the page holds; the script fetches others by the names `scene-0`, `volume-0-0-0` and so on
            from the place of the page.
        label: label of the choice among several scenes.
        wipe: label of the slider that puts the first column over the second.
        grid: name of the volume on whose grid slices are shown.
    """
    index = {
        "scenes": [{"name": f"scene-{number}", "title": title} for number, title in enumerate(titles)],
        "palettes": {"error": _palette("inferno")},
    }
    return Markup(
        page_templates(TEMPLATES)
        .get_template("viewer.html.j2")
        .render(
            index=index,
            label=label,
            wipe=wipe,
            grid=grid,
            scenes={f"scene-{number}": scene.content(number) for number, scene in enumerate(scenes)},
            volumes={
                name: base64.b64encode(content).decode("ascii")
                for number, scene in enumerate(scenes)
                for name, content in scene.volumes(number).items()
            },
        )
    )


def viewer_page(title: str, part: Markup, *, served: bool) -> str:
    """Return a page that holds the viewer and nothing else.

    Args:
        title: title and heading.
        part: from `viewer_part`.
        served: whether the page may fetch from the server that it came from; otherwise it fetches nothing at all.
    """
    content: dict[str, Any] = {"title": title, "part": part, "served": served}
    return (
        page_templates(TEMPLATES)
        .get_template("page.html.j2")
        .render(style=viewer_style(), script=viewer_script(), **content)
    )


def _palette(name: str) -> str:
    """Return 256 colors of matplotlib as one string of hexadecimal numbers."""
    colors = colormaps[name](np.arange(256), bytes=True)
    return bytes(np.asarray(colors, dtype=np.uint8)[:, :3]).hex()
