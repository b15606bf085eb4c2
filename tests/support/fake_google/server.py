"""The HTTP face: who asks what, what goes wrong, what is answered, and that it is what Google could say."""

from __future__ import annotations

import contextlib
import gzip
import threading
import traceback
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.support.fake_google import batch, calendars_api, control, events_api, events_list, gmail, meet
from tests.support.fake_google.call import HANDLERS, Call
from tests.support.fake_google.discovery import Method, find
from tests.support.fake_google.errors import GoogleError, OAuthError
from tests.support.fake_google.faults import Fault
from tests.support.fake_google.schema import mask, problems, select
from tests.support.fake_google.world import FakeGoogle
from tests.support.wire import Answer, Request

_MINUTE = timedelta(minutes=1)
_SMALL = 1400
_NOWHERE = (
    b"<!DOCTYPE html><html lang=en><title>Error 404 (Not Found)!!1</title><p>404. That is an error.</html>"
)

MODULES = (calendars_api, events_api, events_list, gmail, meet)
"""Every file that serves methods; importing them fills the table."""


def dispatch(google: FakeGoogle, request: Request) -> Answer:
    """Answer one request, faults and all; batches come back here with each of their parts."""
    google.requests.append(request)
    found = find(request.method, request.path)
    request.route = _route(request, found)
    request.page = events_list.page_number({n: v[0] for n, v in request.query.items()})
    fault = next((each for each in google.faults if each.strikes(request)), None)
    api = found[0].api if found else "calendar"
    try:
        answer = _refused(google, request, fault) or _work(google, request, found)
    except GoogleError as error:
        answer = Answer.of(error.status, error.body(api), error.headers)
        if request.route == "token":
            said = {"error": error.reason, "error_description": error.message}
            answer = Answer.of(error.status, said, error.headers)
    except OAuthError as error:
        answer = Answer.of(error.status, error.body)
    except Exception:  # noqa: BLE001 - a fault of the fake must fail the test, not hang its client
        google.problems.append(f"{request.method} {request.path}\n{traceback.format_exc()}")
        answer = Answer.of(500, {"error": {"code": 500, "message": google.problems[-1]}})
    if fault and fault.effect.spoil:
        answer = fault.effect.spoil(request, answer)
    request.status = answer.status
    return answer


def _refused(google: FakeGoogle, request: Request, fault: Fault | None) -> Answer | None:
    """What a fault answers instead of the work. Raises GoogleError."""
    if fault and fault.effect.prepare:
        fault.effect.prepare(request)
    refused = fault.effect.refuse(request, google.now()) if fault and fault.effect.refuse else None
    if isinstance(refused, Exception):
        raise refused
    return refused


def _route(request: Request, found: tuple[Method, dict[str, str]] | None) -> str:
    fixed = {"/o/oauth2/auth": "auth", "/auth": "auth", "/token": "token", "/revoke": "revoke"}
    if request.path in fixed:
        return fixed[request.path]
    if request.path == "/batch" or request.path.startswith("/batch/"):
        return "batch"
    return found[0].id if found else ""


def _work(google: FakeGoogle, request: Request, found: tuple[Method, dict[str, str]] | None) -> Answer:
    if google.by_hand and request.path.startswith("/_fake/"):
        return control.serve(google, request)
    if request.route == "auth":
        return google.oauth.authorize(request)
    if request.route == "token":
        return Answer.of(200, google.oauth.exchange(request))
    if request.route == "revoke":
        return google.oauth.revoked(request)
    if request.route == "batch":
        return batch.serve(google, request, dispatch)
    if found is None:
        return Answer(404, _NOWHERE, {"Content-Type": "text/html; charset=UTF-8"})
    method, path = found
    handler = HANDLERS.get(method.id)
    if handler is None:
        google.problems.append(f"{method.id} is not served by the fake")
        raise GoogleError(501, "notImplemented", f"{method.id} is not served by the fake")
    email = google.oauth.whose(request, method.scopes)
    request.user = email
    _pace(google, request)
    args = method.arguments(request.query, path)
    result = handler(Call(google, request, method, args, google.users[email]))
    return result if isinstance(result, Answer) else _whole(google, request, method, result)


def _pace(google: FakeGoogle, request: Request) -> None:
    if google.limit is None:
        return
    now = google.now()
    recent = google.recent.setdefault(request.user, [])
    recent[:] = [at for at in recent if at > now - _MINUTE]
    recent.append(now)
    if len(recent) > google.limit:
        raise GoogleError(403, "rateLimitExceeded")


def _whole(google: FakeGoogle, request: Request, method: Method, result: Any) -> Answer:
    """Hold a result to its schema, then leave of it what ``fields`` asks for."""
    wrong = problems(result, method.response, method.api) if method.response else []
    if wrong:
        google.problems.append(f"{method.id} answered against its schema: {'; '.join(wrong[:5])}")
        raise GoogleError(500, "backendError", google.problems[-1])
    headers = {"ETag": result["etag"]} if "etag" in result else {}
    wanted = request.one("fields")
    if wanted:
        result = select(result, mask(wanted), {"$ref": method.response}, method.api, wanted)
    return Answer.of(200, result, headers)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    google: FakeGoogle

    def setup(self) -> None:
        self.google.connections += 1
        super().setup()

    def serve(self) -> None:
        """One request."""
        length = int(self.headers.get("Content-Length") or 0)
        address = urlsplit(self.path)
        query = parse_qs(address.query, keep_blank_values=True)
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(self.command, address.path, query, headers, self.rfile.read(length))
        if headers.get("x-http-method-override") == "GET":
            request.method, request.query, request.body = "GET", parse_qs(request.body.decode()), b""
        with self.google.lock:
            answer = dispatch(self.google, request)
        with contextlib.suppress(OSError):
            self._reply(request, answer)

    def _reply(self, request: Request, answer: Answer) -> None:
        if answer.dropped:
            self.close_connection = True
            return
        body = answer.body
        squeeze = self.google.compress and not answer.coded and answer.promised is None
        if squeeze and len(body) > _SMALL and "gzip" in request.headers.get("accept-encoding", ""):
            body = gzip.compress(body, 1)
            answer.headers["Content-Encoding"] = "gzip"
        self.send_response_only(answer.status)
        self.send_header("Date", self.date_time_string(self.google.now().timestamp()))
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if answer.chunks is None:
            if answer.promised is not None:
                self.close_connection = True
            if answer.status not in (204, 304):
                self.send_header("Content-Length", str(answer.promised or len(body)))
            self.end_headers()
            self.wfile.write(body)
            return
        self.close_connection = True
        self.send_header("Connection", "close")
        self.end_headers()
        for chunk in answer.chunks:
            if self.google.stopping.is_set():
                return
            self.wfile.write(chunk)
            self.wfile.flush()

    def log_message(self, *args: Any) -> None:
        """Keep quiet."""


for _verb in ("GET", "POST", "PUT", "PATCH", "DELETE"):
    setattr(_Handler, f"do_{_verb}", _Handler.serve)


@contextlib.contextmanager
def fake_google(now: Callable[[], datetime] | None = None, port: int = 0) -> Iterator[FakeGoogle]:
    """The server on the loopback, at ``google.root``; what must never happen is raised at the end."""
    google = FakeGoogle(now)
    handler = type("Handler", (_Handler,), {"google": google})
    server = ThreadingHTTPServer(("127.0.0.1", port), handler)
    server.daemon_threads = True
    google.root = f"http://127.0.0.1:{server.server_port}/"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield google
    finally:
        google.stopping.set()
        for client in google.clients:
            client.close()
        server.shutdown()
        server.server_close()
        thread.join(5)
    if google.problems:
        raise AssertionError("\n".join(google.problems))
