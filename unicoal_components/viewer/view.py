"""Show a result of inference beside its input, in a browser on this machine or in one file."""

from __future__ import annotations

import logging
import os
import sys
import webbrowser
from pathlib import Path

from ..files.atomic import atomic_path
from .page import viewer_page, viewer_part
from .results import Result, find_results, open_result
from .scene import Scene
from .server import ViewerServer

LARGEST = 150_000_000
"""Bytes of a page in one file; browsers take long to open more."""

logger = logging.getLogger(__name__)


def view(
    result: str | os.PathLike,
    *,
    input: str | os.PathLike | None = None,
    save: str | os.PathLike | None = None,
    port: int | None = None,
    open_browser: bool = True,
) -> Path | None:
    """Show input, result and error map in linked axial, coronal and sagittal slices.

    Without `save` a server on 127.0.0.1 shows the page until Ctrl-C; its address, which nobody can guess, is written to
    the standard output. With `save` the page is one file, which opens without a network and asks nothing of one.

    Args:
        result: output of inference (a file, a folder of a DICOM series, or the .json record), or a folder of outputs,
            among which the page lets choose.
        input: scan to show beside one result; by default the one that its record names.
        save: path of a page to write, .html; replaced if it exists.
        port: TCP port of the server; `None` takes a free one.
        open_browser: whether to open the served page in the user's browser.

    Returns:
        Path of the page if it was saved; `None` when the server has ended.

    Raises:
        FileNotFoundError: the result, its image, or `input` does not exist.
        ValueError: an option is invalid, there is no result in the folder, a file is not one volume, or the page would
            be larger than `LARGEST`.
        OSError: a file is damaged, the page cannot be written, or the port is in use.
    """
    if save is not None and Path(save).suffix.lower() not in (".html", ".htm"):
        raise ValueError(f"save is '{save}'; it must end in .html.")
    if port is not None and (isinstance(port, bool) or not isinstance(port, int) or not 0 < port < 65536):
        raise ValueError(f"port is {port!r}; it must be an integer from 1 to 65535, or left out to take a free one.")
    results = find_results(result)
    if input is not None and len(results) > 1:
        raise ValueError(f"input is '{input}', but '{result}' holds {len(results)} results; give one of them.")
    if save is not None:
        return _save(results, Path(save), input)
    serve(results, input=input, port=port, open_browser=open_browser)
    return None


def _save(results: list[Result], path: Path, input: str | os.PathLike | None) -> Path:
    scenes: list[Scene] = []
    size = 0
    for number, each in enumerate(results):
        scenes.append(open_result(each, input=input))
        size += sum(-(-len(content) // 3) * 4 for content in scenes[-1].volumes(number).values())
        if size > LARGEST:
            raise ValueError(
                f"the page would have more than {size / 1e6:.0f} MB with {number + 1} of {len(results)} results, and "
                f"may have {LARGEST / 1e6:.0f}. Leave save out, as the server has no such limit, or give fewer results."
            )
    page = _page(results, scenes)
    with atomic_path(path) as partial:
        partial.write_text(page, encoding="utf-8")
    logger.info("wrote %s, %.1f MB", path, path.stat().st_size / 1e6)
    return path


def viewer_server(
    results: list[Result], *, input: str | os.PathLike | None = None, port: int | None = None
) -> ViewerServer:
    """Return a server of results, which reads each when it is looked at; its `serve_forever` runs it."""
    return ViewerServer(
        _page(results, None), lambda number: open_result(results[number], input=input), len(results), port=port
    )


def serve(
    results: list[Result],
    *,
    input: str | os.PathLike | None = None,
    port: int | None = None,
    open_browser: bool = True,
) -> None:
    """Serve results until Ctrl-C; see `view`."""
    if len(results) == 1:
        open_result(results[0], input=input)  # an unusable file is an error here, and not only in the page
    with viewer_server(results, input=input, port=port) as server:
        sys.stdout.write(f"{server.url}\nCtrl-C ends it.\n")
        sys.stdout.flush()
        if open_browser:
            webbrowser.open(server.url)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            logger.info("the server has ended")


def _page(results: list[Result], scenes: list[Scene] | None) -> str:
    names = [each.image.name for each in results]
    part = viewer_part(names, scenes or (), label="Result", wipe="Input over the result, from the left", grid="result")
    title = names[0] if len(names) == 1 else f"{len(names)} results"
    return viewer_page(title, part, served=scenes is None)
