"""A CalDAV server with many accounts of many events, in a process of its own, that makes changes when told.

``python -m tests.support.busy_dav PORT_FILE ACCOUNTS EVENTS [FROM OVER]``. Account ``u7`` has the home
``/u7/`` with one calendar in it, whose events begin ``FROM`` hours from now and are spread over ``OVER``
hours. It keeps a number for each event, not its text, so that it costs little. ``POST /_change?n=5`` changes
so many and names them; ``POST /_slow?user=u7&seconds=2`` has one account's requests take that long.
"""

from __future__ import annotations

import json
import random
import re
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.support.house import event

_SPACES = 'xmlns:d="DAV:" xmlns:c="urn:ietf:params:xml:ns:caldav" xmlns:s="http://calendarserver.org/ns/"'
_HREF = re.compile(r"<(?:\w+:)?href>([^<]*)</")
_TOKEN = re.compile(r"<(?:\w+:)?sync-token>t(\d+)</")


class BusyDav:
    """All accounts: the version of each event, and in which order they changed."""

    def __init__(self, accounts: int, events: int, since: float = -25 * 24, over: float = 140 * 24) -> None:
        self.events = events
        self.versions = {f"u{number}": [1] * events for number in range(accounts)}
        self.changed: dict[str, list[int]] = {name: [] for name in self.versions}
        self.slow: dict[str, float] = {}
        self.chance = random.Random(20260302)
        self.lock = threading.Lock()
        self.start = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(hours=since)
        self.apart = timedelta(hours=over) / events

    def change(self, count: int) -> list[list[str]]:
        """Change so many events, anybody's; their account, path and new etag."""
        told = []
        with self.lock:
            for _ in range(count):
                user = self.chance.choice(list(self.versions))
                number = self.chance.randrange(self.events)
                self.versions[user][number] += 1
                self.changed[user].append(number)
                told.append([user, f"/{user}/work/{number}.ics", f'"{self.versions[user][number]}"'])
        return told

    def answer(self, method: str, path: str, body: str) -> tuple[int, str]:
        """Status and body."""
        user = path.split("/")[1]
        if user not in self.versions:
            return 404, ""
        time.sleep(self.slow.get(user, 0))
        if method == "GET":
            number = int(path.rpartition("/")[2].removesuffix(".ics"))
            return 200, self._text(user, number)
        if method == "OPTIONS":
            return 200, ""
        if method == "PROPFIND":
            return 207, self._properties(user, path, body)
        if "calendar-multiget" in body:
            return 207, _multistatus(self._object(user, href) for href in _HREF.findall(body))
        return 207, self._since(user, body)

    def _properties(self, user: str, path: str, body: str) -> str:
        calendar = (
            "<d:resourcetype><d:collection/><c:calendar/></d:resourcetype><d:displayname>Work</d:displayname>"
            f"<s:getctag>{len(self.changed[user])}</s:getctag>"
        )
        own = "<d:resourcetype><d:collection/></d:resourcetype>"
        if "calendar-home-set" in body:
            own += f"<c:calendar-home-set><d:href>/{user}/</d:href></c:calendar-home-set>"
        if "current-user-principal" in body:
            own += f"<d:current-user-principal><d:href>/{user}/</d:href></d:current-user-principal>"
        rows = [_row(f"/{user}/", own), _row(f"/{user}/work/", calendar)]
        return _multistatus(rows[1:] if path.endswith("/work/") else rows)

    def _since(self, user: str, body: str) -> str:
        with self.lock:
            now = len(self.changed[user])
            token = _TOKEN.search(body)
            numbers = self.changed[user][int(token[1]) : now] if token else range(self.events)
            rows = [
                _row(f"/{user}/work/{one}.ics", f'<d:getetag>"{self.versions[user][one]}"</d:getetag>')
                for one in dict.fromkeys(numbers)
            ]
        return _multistatus(rows, f"<d:sync-token>t{now}</d:sync-token>")

    def _object(self, user: str, href: str) -> str:
        number = int(href.rpartition("/")[2].removesuffix(".ics"))
        etag = f'<d:getetag>"{self.versions[user][number]}"</d:getetag>'
        return _row(href, f"{etag}<c:calendar-data>{self._text(user, number)}</c:calendar-data>")

    def etag(self, path: str) -> str:
        """That of an object."""
        _, user, _, name = path.split("/")
        return f'"{self.versions[user][int(name.removesuffix(".ics"))]}"'

    def _text(self, user: str, number: int) -> str:
        start = self.start + number * self.apart + timedelta(minutes=self.versions[user][number])
        return event(f"{user}-{number}", start, {f"guest-{user}-{number}@acme.example": "NEEDS-ACTION"})


def _row(href: str, props: str) -> str:
    found = f"<d:propstat><d:prop>{props}</d:prop><d:status>HTTP/1.1 200 OK</d:status></d:propstat>"
    return f"<d:response><d:href>{href}</d:href>{found}</d:response>"


def _multistatus(rows: Any, extra: str = "") -> str:
    return f'<?xml version="1.0"?><d:multistatus {_SPACES}>{"".join(rows)}{extra}</d:multistatus>'


def _handler(dav: BusyDav) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            parts = urlsplit(self.path)
            asked = {name: values[0] for name, values in parse_qs(parts.query).items()}
            kind, etag = "application/xml; charset=utf-8", ""
            if parts.path == "/_change":
                status, text = 200, json.dumps(dav.change(int(asked["n"])))
            elif parts.path == "/_slow":
                dav.slow[asked["user"]] = float(asked["seconds"])
                status, text = 200, "{}"
            else:
                status, text = dav.answer(self.command, parts.path, body)
                if self.command == "GET" and status == 200:
                    kind, etag = "text/calendar; charset=utf-8", dav.etag(parts.path)
            data = text.encode()
            self.send_response_only(status)
            self.send_header("Content-Type", kind)
            self.send_header("DAV", "1, 2, 3, calendar-access")
            if etag:
                self.send_header("ETag", etag)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *args: Any) -> None:
            """Keep quiet."""

    for method in ("GET", "POST", "OPTIONS", "PROPFIND", "REPORT"):
        setattr(Handler, f"do_{method}", Handler._serve)
    return Handler


class _Server(ThreadingHTTPServer):
    request_queue_size = 256
    daemon_threads = True


def main(port_file: str, accounts: str, events: str, *when: str) -> None:
    """Serve until killed; the port is written into a file."""
    server = _Server(("127.0.0.1", 0), _handler(BusyDav(int(accounts), int(events), *map(float, when))))
    waiting = Path(port_file + ".new")
    waiting.write_text(str(server.server_port))
    waiting.rename(port_file)
    server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
