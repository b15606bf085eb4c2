"""The HTTP face: who asks what of which mailbox, what goes wrong, and what is answered."""

from __future__ import annotations

import contextlib
import gzip
import re
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from tests.support.authority import server_context
from tests.support.fake_graph import (
    batch,
    calendars_api,
    control,
    delta,
    events_api,
    mail_api,
    teams_api,
)
from tests.support.fake_graph.call import METHODS, Call, Method
from tests.support.fake_graph.graph_errors import GraphError, denied, invalid, request_id
from tests.support.fake_graph.world import FakeGraph, User
from tests.support.faults import Fault
from tests.support.grants import Grant, Grants
from tests.support.wire import Answer, Request

_SMALL = 1400
_TEN_MINUTES = timedelta(minutes=10)
_IMMUTABLE = re.compile(r'(?i)idtype\s*=\s*"?immutableid"?')
_ROOT = "/v1.0"

MODULES = (calendars_api, delta, events_api, mail_api, teams_api)
"""Every file that serves methods; importing them fills the table."""

Found = tuple[Method, dict[str, str], str, str]
"""A method, its arguments, whose mailbox (empty: the token's own), and the path that says so."""


def dispatch(graph: FakeGraph, request: Request) -> Answer:
    """Answer one request, faults and all; batches come back here with each of theirs."""
    graph.requests.append(request)
    number = len(graph.requests)
    found = _find(request)
    request.route = _route(request, found)
    request.page = delta.page_number(graph, request)
    fault = next((each for each in graph.faults if each.strikes(request)), None)
    try:
        answer = _refused(graph, request, fault) or _work(graph, request, found)
    except GraphError as error:
        answer = error.answer(graph.now(), number)
    except Exception:  # noqa: BLE001 - a fault of the fake must fail the test, not hang its client
        graph.problems.append(f"{request.method} {request.path}\n{traceback.format_exc()}")
        answer = GraphError(500, "", graph.problems[-1]).answer(graph.now(), number)
    answer.headers |= {"request-id": request_id(number), "client-request-id": request_id(number)}
    if _IMMUTABLE.search(request.headers.get("prefer", "")) and answer.status < 300:
        answer.headers["Preference-Applied"] = 'IdType="ImmutableId"'
    if fault and fault.effect.spoil:
        answer = fault.effect.spoil(request, answer)
    request.status = answer.status
    return answer


def _find(request: Request) -> Found | None:
    below = request.path.removeprefix(_ROOT)
    parts = below.split("/")
    if not request.path.startswith(f"{_ROOT}/") or len(parts) < 2:
        return None
    if parts[1].lower() == "me":
        base, whose = "/me", ""
    elif parts[1].lower() == "users" and len(parts) > 2:
        base, whose = f"/users/{parts[2]}", unquote(parts[2])
    else:
        return None
    rest = below[len(base) :].rstrip("/")
    for method in METHODS:
        match = method.pattern.fullmatch(rest) if method.verb == request.method else None
        if match:
            args = {name: unquote(value) for name, value in match.groupdict().items()}
            return method, args, whose, base
    return None


def _route(request: Request, found: Found | None) -> str:
    if request.path == f"{_ROOT}/$batch":
        return "batch"
    return found[0].route if found else ""


def _refused(graph: FakeGraph, request: Request, fault: Fault | None) -> Answer | None:
    """What a fault answers instead of the work. Raises GraphError."""
    if fault and fault.effect.prepare:
        fault.effect.prepare(request)
    refused = fault.effect.refuse(request, graph.now()) if fault and fault.effect.refuse else None
    if isinstance(refused, Exception):
        raise refused
    return refused


def _work(graph: FakeGraph, request: Request, found: Found | None) -> Answer:
    if graph.by_hand and request.path.startswith("/_fake/"):
        return control.serve(graph, request)
    grant = _admitted(graph, request)
    if request.route == "batch":
        return batch.serve(graph, request, dispatch)
    if found is None:
        segment = request.path.rpartition("/")[2]
        raise invalid(f"Resource not found for the segment '{segment}'.", "BadRequest")
    method, args, whose, base = found
    user = _mailbox(graph, grant, whose)
    request.user = user.email
    _permit(method, grant, user)
    _hold_query(graph, method, request)
    if method.items and not graph.by_hand and not _IMMUTABLE.search(request.headers.get("prefer", "")):
        graph.problems.append(f"{request.method} {request.path} did not ask for immutable ids")
    _pace(graph, user)
    answer = method.handler(Call(graph, request, method, args, user, grant, base))
    assert isinstance(answer, Answer)
    return answer


def _admitted(graph: FakeGraph, request: Request) -> Grant:
    """Whose token it is. Raises GraphError."""
    header = request.headers.get("authorization")
    if not header:
        raise GraphError(401, "InvalidAuthenticationToken", "Access token is empty.")
    grant = graph.grants.whose(header)
    if grant is None:
        raise GraphError(401)
    return grant


def _mailbox(graph: FakeGraph, grant: Grant, whose: str) -> User:
    """Whose mailbox is asked. Raises GraphError."""
    if not whose:
        if grant.app:
            raise invalid("/me request is only valid with delegated authentication flow.", "BadRequest")
        whose = grant.user
    wanted = whose.lower()
    for user in graph.users.values():
        if wanted in (user.email.lower(), user.id):
            return user
    message = f"The requested user '{whose}' is invalid."
    raise GraphError(404, "ErrorInvalidUser", message)


def _permit(method: Method, grant: Grant, user: User) -> None:
    """Raises GraphError where the token does not allow it."""
    own = grant.app or grant.user.lower() in user.addresses
    if not own and not method.shared:
        raise denied()
    for scope in method.scopes:
        more = scope.replace(".Read", ".ReadWrite") if scope.endswith((".Read", ".Read.All")) else scope
        enough = {scope, more, f"{scope}.Shared", f"{more}.Shared"}
        if scope == "Mail.Read" and method.route != "messages.mime":
            enough |= {"Mail.ReadBasic"}
        if not own:
            enough = {f"{scope}.Shared", f"{more}.Shared"}
        if grant.app:
            enough |= {f"{each}.All" for each in enough}
        if not enough & grant.scopes:
            raise denied()


def _hold_query(graph: FakeGraph, method: Method, request: Request) -> None:
    """Raises GraphError for a system query option that nobody built."""
    for name in request.query:
        known = name.lower() in method.odata or not name.startswith("$")
        if not known and method.route != "calendarView.delta":
            graph.problems.append(f"the fake does not know {name} of {method.route}")
            raise invalid(graph.problems[-1], "BadRequest")


def _pace(graph: FakeGraph, user: User) -> None:
    """Raises GraphError for more requests in ten minutes than there may be."""
    now = graph.now()
    recent = graph.recent.setdefault(user.email, [])
    recent[:] = [at for at in recent if at > now - _TEN_MINUTES]
    recent.append(now)
    if len(recent) > graph.limits.per_ten_minutes:
        raise _throttled(graph, "Application is over its RequestCount limit.")


def _throttled(graph: FakeGraph, message: str = "") -> GraphError:
    return GraphError(429, "ApplicationThrottled", message, {"Retry-After": str(graph.limits.retry_after)})


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    graph: FakeGraph

    def serve(self) -> None:
        """One request."""
        length = int(self.headers.get("Content-Length") or 0)
        address = urlsplit(self.path)
        query = parse_qs(address.query, keep_blank_values=True)
        headers: dict[str, str] = {}
        for name, value in self.headers.items():
            before = headers.get(name.lower())
            headers[name.lower()] = value if before is None else f"{before}, {value}"
        body = self.rfile.read(length)
        if len(body) < length:  # it broke off before it was whole
            self.close_connection = True
            return
        request = Request(self.command, address.path, query, headers, body)
        with _under_way(self.graph, request) as crowded:
            if crowded:
                answer = self._crowded_out(request)
            else:
                with self.graph.lock:
                    answer = dispatch(self.graph, request)
            if answer.chunks is not None:
                self._reply(request, answer)
                return
        # Not before it is counted out does its client get to know, who may at once send the next one.
        self._reply(request, answer)

    def _crowded_out(self, request: Request) -> Answer:
        graph = self.graph
        with graph.gate:
            graph.requests.append(request)
            request.route, request.status = _route(request, _find(request)), 429
            return _throttled(graph).answer(graph.now(), len(graph.requests))

    def _reply(self, request: Request, answer: Answer) -> None:
        if answer.dropped:
            self.close_connection = True
            return
        with contextlib.suppress(OSError):
            self._write(request, answer)

    def _write(self, request: Request, answer: Answer) -> None:
        body = answer.body
        squeeze = self.graph.compress and not answer.coded and answer.promised is None
        if squeeze and len(body) > _SMALL and "gzip" in request.headers.get("accept-encoding", ""):
            body = gzip.compress(body, 1)
            answer.headers["Content-Encoding"] = "gzip"
        self.send_response_only(answer.status)
        self.send_header("Date", self.date_time_string(self.graph.now().timestamp()))
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
            if self.graph.stopping.is_set():
                return
            self.wfile.write(chunk)
            self.wfile.flush()

    def log_message(self, *args: Any) -> None:
        """Keep quiet."""


for _verb in ("GET", "POST", "PUT", "PATCH", "DELETE"):
    setattr(_Handler, f"do_{_verb}", _Handler.serve)


@contextlib.contextmanager
def _under_way(graph: FakeGraph, request: Request) -> Iterator[bool]:
    """Count a request among those of its mailbox; gives whether they are too many."""
    found = _find(request)
    grant = graph.grants.whose(request.headers.get("authorization"))
    whose = (found[2] if found else "") or (grant.user if grant else "")
    with graph.gate:
        crowded = bool(whose) and graph.under_way[whose] >= graph.limits.at_once
        graph.under_way[whose] += 1
        if whose:
            graph.most_at_once = max(graph.most_at_once, graph.under_way[whose])
    try:
        yield crowded
    finally:
        with graph.gate:
            graph.under_way[whose] -= 1


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    graph: FakeGraph

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away in the middle is no news; all else is a fault of the fake."""
        if not isinstance(sys.exception(), OSError):
            self.graph.problems.append(traceback.format_exc())


@contextlib.contextmanager
def fake_graph(
    now: Callable[[], datetime] | None = None,
    port: int = 0,
    grants: Grants | None = None,
    tls: bool = True,
) -> Iterator[FakeGraph]:
    """The server on the loopback, at ``graph.root``; what must never happen is raised at the end."""
    graph = FakeGraph(now, grants)
    handler = type("Handler", (_Handler,), {"graph": graph})
    server = _Server(("127.0.0.1", port), handler)
    server.graph = graph
    if tls:
        # The handshake is made by the thread of the connection, not by the one that accepts.
        server.socket = server_context().wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
    graph.root = f"{'https' if tls else 'http'}://127.0.0.1:{server.server_port}{_ROOT}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield graph
    finally:
        graph.stopping.set()
        for client in graph.clients:
            client.close()
        server.shutdown()
        server.server_close()
        thread.join(5)
    if graph.problems:
        raise AssertionError("\n".join(graph.problems))
