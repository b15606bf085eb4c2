"""What the stand-ins for calendar services share: a server on the loopback, and a token that it believes."""

from __future__ import annotations

import contextlib
import json
import re
import secrets
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from daemon.demo.meeting import Meeting, Presence
from daemon.demo.servers import LOOPBACK

Json = dict[str, Any]
Routes = tuple[tuple[str, Callable[..., Json | None]], ...]


@dataclass
class StandIn:
    """One person's calendar at a service, which counts its changes.

    A route is a method with a path, as a pattern whose groups are handed on; those in ``open_to_all`` need no
    token.
    """

    address: str
    calendar: str
    url: str = ""
    token: str = field(default_factory=lambda: secrets.token_urlsafe(12))
    open_to_all: str = ""
    lock: threading.Lock = field(default_factory=threading.Lock)
    _events: dict[str, Json] = field(default_factory=dict)
    _changed: dict[str, int] = field(default_factory=dict)
    _version: int = 0

    def save(self, meeting: Meeting) -> None:
        """Write a meeting as it now is."""
        with self.lock:
            self._version += 1
            name = meeting.uid.encode().hex()
            self._changed[name] = self._version
            self._events[name] = self.event(name, meeting)

    def answer(self, method: str, path: str, query: Json) -> Json | None:
        """What the service says to a request with this query or body; None for what it does not know."""
        with self.lock:
            for pattern, say in self.routes():
                match = re.fullmatch(pattern, f"{method} {path}")
                if match:
                    return say(query, *map(unquote, match.groups()))
        return None

    def record(self, meeting: Meeting, presences: list[Presence]) -> None:
        """Keep the record of a meeting's call, which is over."""
        raise NotImplementedError

    def routes(self) -> Routes:
        """Everything it knows."""
        raise NotImplementedError

    def event(self, name: str, meeting: Meeting) -> Json:
        """A meeting as the service shows it."""
        raise NotImplementedError

    def since(self, version: int) -> list[Json]:
        """What changed after that."""
        return [event for name, event in self._events.items() if self._changed[name] > version]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    service: StandIn

    def do_GET(self) -> None:
        """One request."""
        address = urlsplit(self.path)
        query: Json = {name: values[0] for name, values in parse_qs(address.query).items()}
        given = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("Content-Type", "").startswith("application/json"):
            query |= json.loads(given)
        open_ = re.fullmatch(self.service.open_to_all, address.path) is not None
        known = open_ or self.headers.get("Authorization") == f"Bearer {self.service.token}"
        told = self.service.answer(self.command, address.path, query) if known else None
        status = 200 if told is not None else 404 if known else 401
        body = json.dumps(told if told is not None else {"error": {"code": status}}).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json; charset=UTF-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET  # noqa: N815 - http.server's name

    def log_message(self, *_: object) -> None:
        """Say nothing of each request."""


@contextlib.contextmanager
def served(service: StandIn, tls: ssl.SSLContext | None = None) -> Iterator[None]:
    """The stand-in, listening at its ``url``."""
    server = ThreadingHTTPServer((LOOPBACK, 0), type("Handler", (_Handler,), {"service": service}))
    server.daemon_threads = True
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    service.url = f"http{'s' if tls is not None else ''}://{LOOPBACK}:{server.server_port}/"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), name="stand-in", daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
