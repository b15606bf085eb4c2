"""An HTTP relay on loopback that counts what passes, and can answer again what it saw without the server."""

from __future__ import annotations

import contextlib
import http.client
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "date", "server"}


@dataclass(frozen=True, slots=True)
class Answer:
    """A response as the server gave it."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


@dataclass(slots=True)
class Relay:
    """Where clients connect instead; ``requests`` and ``octets`` count since :meth:`reset`, both ways."""

    url: str
    upstream: str
    replaying: bool = False
    requests: int = 0
    octets: int = 0
    _seen: dict[tuple[str, ...], Answer] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def reset(self) -> None:
        """Count from nothing again."""
        self.requests = self.octets = 0

    def answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
        """What the server says, or said. Raises KeyError for a request never seen, when replaying."""
        key = (method, path, headers.get("Depth", ""), body.decode())
        if self.replaying:
            return self._seen[key]
        connection = http.client.HTTPConnection(urlsplit(self.upstream).netloc, timeout=120)
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        kept = tuple((name, value) for name, value in response.getheaders() if name.lower() not in _HOP)
        found = Answer(response.status, kept, response.read())
        connection.close()
        self._seen[key] = found
        return found

    def count(self, octets: int) -> None:
        """One more request, with its answer so large."""
        with self._lock:
            self.requests += 1
            self.octets += octets


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: _Server

    def _pass_on(self) -> None:
        relay = self.server.relay
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {name: value for name, value in self.headers.items() if name.lower() != "connection"}
        answer = relay.answer(self.command, self.path, headers, body)
        lines = [f"HTTP/1.1 {answer.status} {http.client.responses.get(answer.status, '')}"]
        lines += [f"{name}: {value}" for name, value in answer.headers]
        lines += [f"Content-Length: {len(answer.body)}", "", ""]
        head = "\r\n".join(lines).encode("latin-1")
        # counted before it leaves: the client may look at the numbers as soon as it has its answer
        asked = len(self.requestline) + 2 + len(bytes(self.headers)) + len(body)
        relay.count(asked + len(head) + len(answer.body))
        self.wfile.write(head + answer.body)

    do_GET = do_PUT = do_OPTIONS = do_PROPFIND = do_REPORT = _pass_on

    def log_message(self, *_: object) -> None:
        """Say nothing of each request."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    relay: Relay


@contextlib.contextmanager
def relay(upstream: str) -> Iterator[Relay]:
    """A relay to the server at ``upstream``."""
    with _Server(("127.0.0.1", 0), _Handler) as server:
        server.relay = Relay(f"http://127.0.0.1:{server.server_port}/", upstream)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield server.relay
        finally:
            server.shutdown()
            thread.join()
