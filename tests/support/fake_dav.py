"""A CalDAV server on the wire that speaks any dialect and misbehaves on request."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

D, C, S = "{DAV:}", "{urn:ietf:params:xml:ns:caldav}", "{http://calendarserver.org/ns/}"
HOME = "/dav/dana/"
CALENDAR = "/dav/dana/work/"


@dataclass
class Answer:
    """What goes back; ``headers`` may replace the usual ones, ``chunks`` is written piece by piece."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    chunks: Iterator[bytes] | None = None


@dataclass
class Request:
    """What came in."""

    method: str
    path: str
    body: str
    headers: dict[str, str]


class FakeDav:
    """State and dialect. ``before`` may answer any request instead of the server.

    ``hidden`` takes the calendar away.
    """

    def __init__(self) -> None:
        self.url = ""
        self.objects: dict[str, tuple[str, str]] = {}
        self.history: list[str] = []
        self.mark = "t"
        self.requests: list[Request] = []
        self.connections = 0
        self.before: Callable[[Request], Answer | None] = lambda request: None
        self.bad_token: Answer = Answer(403, b'<error xmlns="DAV:"><valid-sync-token/></error>')
        self.sync = True
        self.ctag = True
        self.page = 0
        self.passed_over: set[str] = set()
        self.absolute_hrefs = False
        self.hidden = False
        self.digest = False
        self.credentials: tuple[str, str] | None = None
        self.bearer = ""
        self.dav = "1, 2, 3, calendar-access"

    def put(self, name: str, text: str) -> None:
        """Store an object under the calendar."""
        self.history.append(name)
        self.objects[CALENDAR + name] = (f'"{len(self.history)}"', text)

    def remove(self, name: str) -> None:
        """Delete one."""
        self.history.append(name)
        del self.objects[CALENDAR + name]

    def count(self, method: str, containing: str = "") -> int:
        """How many requests of a kind came in."""
        return sum(1 for each in self.requests if each.method == method and containing in each.body)

    def answer(self, request: Request) -> Answer:
        """The server's own mind."""
        special = self.before(request)
        if special is not None:
            return special
        refused = self._unauthorised(request)
        if refused is not None:
            return refused
        if request.path == "/.well-known/caldav":
            return Answer(301, headers={"Location": "/dav/"})
        if self.hidden and request.path.startswith(CALENDAR):
            return Answer(404)
        handler = getattr(self, f"_{request.method.lower()}", None)
        return handler(request) if handler else Answer(405)

    def _unauthorised(self, request: Request) -> Answer | None:
        given = request.headers.get("authorization", "")
        if self.bearer:
            return (
                None
                if given == f"Bearer {self.bearer}"
                else Answer(401, headers={"WWW-Authenticate": "Bearer"})
            )
        if self.credentials is None:
            return None
        user, password = self.credentials
        if self.digest:
            return (
                None
                if self._digest_matches(given, request.method)
                else Answer(
                    401,
                    headers={"WWW-Authenticate": 'Digest realm="r", nonce="abc", qop="auth", algorithm=MD5'},
                )
            )
        token = base64.b64encode(f"{user}:{password}".encode()).decode()
        return (
            None
            if given == f"Basic {token}"
            else Answer(401, headers={"WWW-Authenticate": 'Basic realm="r"'})
        )

    def _digest_matches(self, given: str, method: str) -> bool:
        if not given.startswith("Digest "):
            return False
        parts = dict(part.strip().split("=", 1) for part in given[7:].split(","))
        value = {key: text.strip('"') for key, text in parts.items()}
        user, password = self.credentials or ("", "")

        def md5(text: str) -> str:
            return hashlib.md5(text.encode()).hexdigest()

        one, two = md5(f"{user}:r:{password}"), md5(f"{method}:{value['uri']}")
        return value["response"] == md5(f"{one}:abc:{value['nc']}:{value['cnonce']}:auth:{two}")

    def _options(self, request: Request) -> Answer:
        return Answer(200, headers={"DAV": self.dav})

    def _get(self, request: Request) -> Answer:
        if request.path not in self.objects:
            return Answer(404)
        etag, text = self.objects[request.path]
        return Answer(200, text.encode(), {"ETag": etag, "Content-Type": "text/calendar"})

    def _put(self, request: Request) -> Answer:
        etag = self.objects.get(request.path, ("", ""))[0]
        if "if-match" in request.headers and request.headers["if-match"] != etag:
            return Answer(412)
        self.put(request.path.removeprefix(CALENDAR), request.body)
        return Answer(204)

    def _propfind(self, request: Request) -> Answer:
        wanted = {element.tag for element in ET.fromstring(request.body).find(D + "prop") or []}
        if request.path == CALENDAR and request.headers["depth"] == "1":
            rows = [self._row(CALENDAR, "")] + [
                self._row(path, f"<d:getetag>{escape(etag)}</d:getetag>")
                for path, (etag, _) in self.objects.items()
            ]
            return _multistatus(rows)
        paths = [request.path] + ([CALENDAR] if request.headers["depth"] == "1" and not self.hidden else [])
        return _multistatus([self._row(path, self._props(path, wanted)) for path in paths])

    def _props(self, path: str, wanted: set[str]) -> str:
        found = ""
        if D + "current-user-principal" in wanted:
            found += "<d:current-user-principal><d:href>/dav/p/dana/</d:href></d:current-user-principal>"
        if C + "calendar-home-set" in wanted:
            found += f"<c:calendar-home-set><d:href>{HOME}</d:href></c:calendar-home-set>"
        if path == CALENDAR and D + "resourcetype" in wanted:
            found += (
                "<d:resourcetype><d:collection/><c:calendar/></d:resourcetype>"
                "<d:displayname>Work</d:displayname>"
            )
        if path == CALENDAR and S + "getctag" in wanted and self.ctag:
            found += f"<s:getctag>{len(self.history)}</s:getctag>"
        if path == CALENDAR and D + "sync-token" in wanted and self.sync:
            found += f"<d:sync-token>{self.mark}{len(self.history)}</d:sync-token>"
        return found

    def _report(self, request: Request) -> Answer:
        root = ET.fromstring(request.body)
        if root.tag == C + "calendar-multiget":
            return self._multiget([element.text or "" for element in root.iter(D + "href")])
        if not self.sync:
            return Answer(415)
        return self._sync_collection(root.findtext(D + "sync-token") or "")

    def _multiget(self, hrefs: list[str]) -> Answer:
        rows = []
        for href in hrefs:
            path = href.removeprefix(self.url.rstrip("/"))
            if path in self.passed_over:
                continue
            if path not in self.objects:
                rows.append(_status(href, "404 Not Found"))
                continue
            etag, text = self.objects[path]
            data = f"<d:getetag>{escape(etag)}</d:getetag><c:calendar-data>{escape(text)}</c:calendar-data>"
            rows.append(self._row(path, data))
        return _multistatus(rows)

    def _sync_collection(self, token: str) -> Answer:
        if token and not (
            token.startswith(self.mark) and token[1:].isdigit() and int(token[1:]) <= len(self.history)
        ):
            return self.bad_token
        since = int(token[1:]) if token else 0
        until = min(len(self.history), since + self.page) if self.page else len(self.history)
        rows = []
        for name in dict.fromkeys(self.history[since:until]):
            path = CALENDAR + name
            if path in self.objects:
                rows.append(self._row(path, f"<d:getetag>{escape(self.objects[path][0])}</d:getetag>"))
            elif token:
                rows.append(_status(path, "404 Not Found"))
        if until < len(self.history):
            rows.append(_status(CALENDAR, "507 Insufficient Storage"))
        return _multistatus(rows, f"<d:sync-token>{self.mark}{until}</d:sync-token>")

    def _row(self, path: str, props: str) -> str:
        href = self.url.rstrip("/") + path if self.absolute_hrefs else path
        return (
            f"<d:response><d:href>{escape(href)}</d:href><d:propstat><d:prop>{props}</d:prop>"
            "<d:status>HTTP/1.1 200 OK</d:status></d:propstat></d:response>"
        )


def _status(href: str, status: str) -> str:
    return f"<d:response><d:href>{href}</d:href><d:status>HTTP/1.1 {status}</d:status></d:response>"


def _multistatus(rows: list[str], extra: str = "") -> Answer:
    spaces = 'xmlns:d="DAV:" xmlns:c="urn:ietf:params:xml:ns:caldav" xmlns:s="http://calendarserver.org/ns/"'
    body = f'<?xml version="1.0"?><d:multistatus {spaces}>{"".join(rows)}{extra}</d:multistatus>'
    return Answer(207, body.encode(), {"Content-Type": "application/xml; charset=utf-8"})


@contextlib.contextmanager
def fake_dav() -> Iterator[FakeDav]:
    """The server, listening on a free port of the loopback."""
    dav = FakeDav()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def setup(self) -> None:
            dav.connections += 1
            super().setup()

        def _serve(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            headers = {name.lower(): value for name, value in self.headers.items()}
            request = Request(self.command, self.path, self.rfile.read(length).decode(), headers)
            dav.requests.append(request)
            answer = dav.answer(request)
            self.send_response_only(answer.status)
            if "Date" not in answer.headers:
                self.send_header("Date", self.date_time_string())
            for name, value in answer.headers.items():
                self.send_header(name, value)
            with contextlib.suppress(OSError):
                if answer.chunks is None:
                    self.send_header("Content-Length", str(len(answer.body)))
                    self.end_headers()
                    self.wfile.write(answer.body)
                    return
                self.close_connection = True
                self.send_header("Connection", "close")
                self.end_headers()
                for chunk in answer.chunks:
                    self.wfile.write(chunk)
                    self.wfile.flush()

        def log_message(self, *args: Any) -> None:
            """Keep quiet."""

    for method in ("GET", "PUT", "OPTIONS", "PROPFIND", "REPORT"):
        setattr(Handler, f"do_{method}", Handler._serve)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    dav.url = f"http://127.0.0.1:{server.server_port}/"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield dav
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
