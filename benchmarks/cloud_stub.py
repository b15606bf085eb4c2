"""A server on loopback that says what it is given, as fast as bytes leave, and counts what passes."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

COUNTED = "/_counted"
"""Asked for this, it says how many requests and octets passed, both ways, since it was last asked."""

Query = dict[str, list[str]]
Answers = Callable[[str, Query, Message], bytes]
"""The JSON for a path, a query and the headers."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: _Server

    def do_GET(self) -> None:
        """Whatever the stub has there."""
        parts = urlsplit(self.path)
        if parts.path == COUNTED:
            self.wfile.write(self._whole(json.dumps(self.server.counted()).encode()))
            return
        answer = self._whole(self.server.answers(parts.path, parse_qs(parts.query), self.headers))
        # Counted before it leaves: the client may ask for the numbers as soon as it has its answer.
        self.server.count(len(self.requestline) + 2 + len(bytes(self.headers)) + len(answer))
        self.wfile.write(answer)

    def _whole(self, body: bytes) -> bytes:
        """An answer with its head."""
        lines = (
            "HTTP/1.1 200 OK",
            f"Date: {self.date_time_string()}",
            "Content-Type: application/json; charset=UTF-8",
            f"Content-Length: {len(body)}",
        )
        return "".join(f"{line}\r\n" for line in (*lines, "")).encode() + body

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, answers: Answers) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers = answers
        self._lock = threading.Lock()
        self._requests = self._octets = 0

    def count(self, octets: int) -> None:
        with self._lock:
            self._requests += 1
            self._octets += octets

    def counted(self) -> dict[str, int]:
        with self._lock:
            found = {"requests": self._requests, "octets": self._octets}
            self._requests = self._octets = 0
            return found


def serve(answers: Answers) -> None:
    """Tell the port on standard output and serve until it is ended."""
    server = _Server(answers)
    print(server.server_port, flush=True)
    server.serve_forever()
