"""HTTP server of one page, for this machine only."""

from __future__ import annotations

import errno
import json
import os
import secrets
from collections.abc import Callable
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock

from .scene import Scene

HOST = "127.0.0.1"


class ViewerServer(ThreadingHTTPServer):
    """Serves a page and the scenes that it asks for, below a random path that nobody can guess.

    Args:
        page: the page, with `viewer_part` of as many scenes.
        open_scene: reads the scene of a number, when it is asked for; two are kept.
        count: number of scenes.
        port: TCP port; `None` takes a free one.

    Raises:
        OSError: the port is in use, or not allowed.
    """

    daemon_threads = True
    allow_reuse_address = os.name == "posix"  # elsewhere it would let two servers share a port

    def __init__(self, page: str, open_scene: Callable[[int], Scene], count: int, *, port: int | None = None) -> None:
        self.page = page.encode()
        self.count = count
        self.token = secrets.token_urlsafe(24)
        self._open = lru_cache(maxsize=2)(open_scene)
        self._lock = Lock()
        try:
            super().__init__((HOST, port or 0), _Handler)
        except OSError as error:
            reason = "is in use" if error.errno == errno.EADDRINUSE else f"cannot be used ({error.strerror})"
            raise OSError(f"port {port} {reason}. Choose another port, or leave it out to take a free one.") from error

    @property
    def url(self) -> str:
        """Address of the page."""
        return f"http://{HOST}:{self.server_port}/{self.token}/"

    def content(self, name: str) -> tuple[str, bytes] | None:
        """Return the type and the content of a name below the page's path; `None` if there is none.

        Raises:
            OSError: a file of the scene cannot be read.
            ValueError: a file of the scene is not usable.
        """
        if name == "":
            return "text/html; charset=utf-8", self.page
        kind, _, rest = name.partition("-")
        number = rest.partition("-")[0]
        if not number.isdecimal() or int(number) >= self.count:
            return None
        with self._lock:  # a volume is asked for while another is read
            scene = self._open(int(number))
            if name == f"scene-{int(number)}":
                return "application/json", json.dumps(scene.content(int(number)), allow_nan=False).encode()
            volume = scene.volumes(int(number)).get(name)
        return None if volume is None else ("application/octet-stream", volume)


class _Handler(BaseHTTPRequestHandler):
    server: ViewerServer

    def do_GET(self) -> None:
        token, slash, name = self.path[1:].partition("/")
        own = self.headers.get("Host") == f"{HOST}:{self.server.server_port}"  # no other site's name for this address
        if not own or not slash or not secrets.compare_digest(token.encode(), self.server.token.encode()):
            self._answer(404, "text/plain", b"not found")
            return
        try:
            found = self.server.content(name)
        except (OSError, ValueError) as error:
            self._answer(500, "text/plain; charset=utf-8", str(error).encode())
            return
        if found is None:
            self._answer(404, "text/plain", b"not found")
        else:
            self._answer(200, *found)

    def _answer(self, status: int, kind: str, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: the path holds the secret."""
