"""The HTTPS face: who asks what, what goes wrong, and what is answered."""

from __future__ import annotations

import contextlib
import re
import threading
import traceback
from collections.abc import Callable, Iterator
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.support.authority import server_context
from tests.support.fake_entra import signing
from tests.support.fake_entra.entra_errors import EntraError
from tests.support.fake_entra.world import FakeEntra
from tests.support.faults import Fault
from tests.support.grants import Grants
from tests.support.wire import Answer, Request

_ROUTES = {
    "configuration": re.compile(r"/([^/]+)/v2\.0/\.well-known/openid-configuration"),
    "authorize": re.compile(r"/([^/]+)/oauth2/v2\.0/authorize"),
    "token": re.compile(r"/([^/]+)/oauth2/v2\.0/token"),
    "devicecode": re.compile(r"/([^/]+)/oauth2/v2\.0/devicecode"),
    "discovery": re.compile(r"/(common)/discovery/instance"),
}


def dispatch(entra: FakeEntra, request: Request) -> Answer:
    """Answer one request, faults and all."""
    entra.requests.append(request)
    tenant = ""
    for route, pattern in _ROUTES.items():
        if match := pattern.fullmatch(request.path):
            request.route, tenant = route, match[1]
    fault = next((each for each in entra.faults if each.strikes(request)), None)
    try:
        answer = _refused(entra, request, fault) or _work(entra, request, tenant)
    except EntraError as error:
        answer = error.answer(entra.now())
        if request.route == "authorize":
            answer = Answer(200, str(error).encode(), {"Content-Type": "text/html"})
    except Exception:  # noqa: BLE001 - a fault of the fake must fail the test, not hang its client
        entra.problems.append(f"{request.method} {request.path}\n{traceback.format_exc()}")
        answer = Answer.of(500, {"error": "server_error"})
    if fault and fault.effect.spoil:
        answer = fault.effect.spoil(request, answer)
    request.status = answer.status
    return answer


def _refused(entra: FakeEntra, request: Request, fault: Fault | None) -> Answer | None:
    refused = fault.effect.refuse(request, entra.now()) if fault and fault.effect.refuse else None
    if isinstance(refused, EntraError) and request.route == "authorize":
        asked = {name: values[0] for name, values in request.query.items()}
        return refused.redirect(asked.get("redirect_uri", ""), asked.get("state", ""), entra.now())
    if isinstance(refused, Exception):
        raise refused
    return refused


def _work(entra: FakeEntra, request: Request, tenant: str) -> Answer:
    if request.route == "configuration":
        return Answer.of(200, signing.configuration(entra, tenant))
    if request.route == "authorize":
        return signing.authorize(entra, request, tenant)
    if request.route == "devicecode":
        return Answer.of(200, signing.device_code(entra, request, tenant))
    if request.route == "token":
        return Answer.of(200, signing.token(entra, request, tenant))
    if request.route == "discovery":
        host = urlsplit(entra.authority).hostname
        known = {"preferred_network": host, "preferred_cache": host, "aliases": [host]}
        return Answer.of(200, {"api-version": "1.1", "metadata": [known]})
    return Answer(404, b"<html>404</html>", {"Content-Type": "text/html"})


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    entra: FakeEntra

    def serve(self) -> None:
        """One request."""
        address = urlsplit(self.path)
        query = parse_qs(address.query, keep_blank_values=True)
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        request = Request(self.command, address.path, query, headers, body)
        with self.entra.lock:
            answer = dispatch(self.entra, request)
        with contextlib.suppress(OSError):
            self._reply(answer)

    def _reply(self, answer: Answer) -> None:
        self.close_connection = True
        if answer.dropped:
            return
        self.send_response_only(answer.status)
        self.send_header("Date", self.date_time_string(self.entra.now().timestamp()))
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Connection", "close")
        if answer.chunks is None:
            self.send_header("Content-Length", str(answer.promised or len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body)
        for chunk in answer.chunks or ():
            if self.entra.stopping.is_set():
                return
            self.wfile.write(chunk)
            self.wfile.flush()

    def log_message(self, *args: Any) -> None:
        """Keep quiet."""


for _verb in ("GET", "POST"):
    setattr(_Handler, f"do_{_verb}", _Handler.serve)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away in the middle is no news."""


@contextlib.contextmanager
def fake_entra(
    now: Callable[[], datetime] | None = None, grants: Grants | None = None, port: int = 0
) -> Iterator[FakeEntra]:
    """The server on the loopback, at ``entra.authority``; what must never happen is raised at the end."""
    entra = FakeEntra(now, grants)
    server = _Server(("127.0.0.1", port), type("Handler", (_Handler,), {"entra": entra}))
    # The handshake is made by the thread of the connection, not by the one that accepts.
    server.socket = server_context().wrap_socket(
        server.socket, server_side=True, do_handshake_on_connect=False
    )
    entra.authority = f"https://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield entra
    finally:
        entra.stopping.set()
        server.shutdown()
        server.server_close()
        thread.join(5)
    if entra.problems:
        raise AssertionError("\n".join(entra.problems))
