"""The last step of a sign-in in a browser: the address it ends at, caught on this machine or pasted.

RFC 8252 section 7.3: the browser is sent back to a port of the loopback. Where the browser runs on another
machine it finds nothing there, and its owner pastes the address instead.
"""

from __future__ import annotations

import io
import select
import time
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TextIO

from connectors.base import ConnectorError

PATIENCE = 600.0
"""Seconds a sign-in may take."""

_LONGEST = 16 * 1024
_REQUEST_SECONDS = 5
_PAGE = (
    b"<!doctype html><html lang=en><meta charset=utf-8><title>rebookd</title>"
    b"<p>rebookd has heard from your browser. Go back to its terminal; you can close this window.</html>"
)


class Loopback:
    """Listens on a free port of this machine until it is closed."""

    def __init__(self) -> None:
        self._server = _Server(("127.0.0.1", 0), _Handler)

    @property
    def address(self) -> str:
        """Where the browser is to be sent back to."""
        return f"http://127.0.0.1:{self._server.server_port}/"

    def wait(
        self, is_answer: Callable[[str], bool], pasted: TextIO | None = None, patience: float = PATIENCE
    ) -> str:
        """The first address that the browser asks for, or that is pasted as a line, and ``is_answer``.

        Raises ConnectorError after ``patience`` seconds.
        """
        until = time.monotonic() + patience
        while (left := until - time.monotonic()) > 0:
            ready = _ready(self._server, pasted, left)
            if self._server in ready:
                self._server.handle_request()
                found = self._server.asked
            elif pasted is not None and pasted in ready:
                found = _line(pasted)
                if not found:
                    pasted = None
            else:
                continue
            if is_answer(found.strip()):
                return found.strip()
        raise ConnectorError(f"Nobody signed in within {patience / 60:g} minutes; run it again.")

    def close(self) -> None:
        """Listen no more."""
        self._server.server_close()


def _ready(server: HTTPServer, pasted: TextIO | None, seconds: float) -> list[HTTPServer | TextIO]:
    """Which of the two has something for us."""
    if pasted is None:
        return [*select.select([server], [], [], seconds)[0]]
    try:
        pasted.fileno()
    except (io.UnsupportedOperation, ValueError):
        return [pasted]
    both: list[HTTPServer | TextIO] = [server, pasted]
    return select.select(both, [], [], seconds)[0]


def _line(pasted: TextIO) -> str:
    """The next line; empty at the end, and where it is no text."""
    try:
        return pasted.readline(_LONGEST)
    except ValueError:
        return ""


class _Server(HTTPServer):
    asked = ""

    def handle_error(self, request: object, client_address: object) -> None:
        """A visitor that went away is no news."""


class _Handler(BaseHTTPRequestHandler):
    timeout = _REQUEST_SECONDS
    server: _Server

    def handle(self) -> None:
        self.server.asked = ""
        with suppress(OSError):
            super().handle()

    def do_GET(self) -> None:
        address = self.path
        self.server.asked = f"http://127.0.0.1:{self.server.server_port}{address}"
        found = address.startswith("/?")
        self.send_response_only(HTTPStatus.OK if found else HTTPStatus.NOT_FOUND)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(_PAGE) if found else 0))
        self.send_header("Cache-Control", "no-store")
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("Connection", "close")
        self.end_headers()
        if found:
            self.wfile.write(_PAGE)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
        """Addresses with codes in them are written nowhere."""


__all__ = ["Loopback"]
