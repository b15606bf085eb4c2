"""A stand-in for Google: as much of Calendar v3 and Meet v2 as one account of the demo asks for."""

from __future__ import annotations

import contextlib
import json
import re
import secrets
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from daemon.demo.meeting import LISBON, Meeting, Presence
from daemon.demo.servers import LOOPBACK

Json = dict[str, Any]

_ANSWERS = {"ACCEPTED": "accepted", "DECLINED": "declined", "NEEDS-ACTION": "needsAction"}
_CALENDARS = "/calendar/v3/"


@dataclass
class GoogleServer:
    """One person's calendar and calls. ``key`` is a service account's that may act for them."""

    address: str
    calendar: str
    url: str = ""
    key: str = ""
    token: str = field(default_factory=lambda: secrets.token_urlsafe(12))
    _events: dict[str, Json] = field(default_factory=dict)
    _changed: dict[str, int] = field(default_factory=dict)
    _calls: list[tuple[str, list[Presence]]] = field(default_factory=list)
    _version: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def save(self, meeting: Meeting) -> None:
        """Write a meeting as it now is."""
        with self._lock:
            self._version += 1
            name = meeting.uid.encode().hex()
            self._changed[name] = self._version
            self._events[name] = self._event(name, meeting)

    def record(self, meeting: Meeting, presences: list[Presence]) -> None:
        """Keep the record of a meeting's call, which is over."""
        with self._lock:
            self._calls.append((meeting.code, presences))

    def answer(self, method: str, path: str, query: Json) -> Json | None:
        """What Google says to a request with this query or body; None for what it does not know."""
        with self._lock:
            for pattern, say in self._routes():
                match = re.fullmatch(pattern, f"{method} {path}")
                if match:
                    return say(query, *map(unquote, match.groups()))
        return None

    def _routes(self) -> tuple[tuple[str, Callable[..., Json | None]], ...]:
        record = r"GET /v2/conferenceRecords/(\d+)"
        return (
            (r"POST /token", self._sign_in),
            (rf"GET {_CALENDARS}users/me/calendarList", self._list),
            (rf"GET {_CALENDARS}calendars/[^/]+/events", self._events_since),
            (rf"GET {_CALENDARS}calendars/[^/]+/events/([^/]+)", self._one_event),
            (rf"POST {_CALENDARS}freeBusy", self._free_busy),
            (r"GET /v2/conferenceRecords", self._records),
            (rf"{record}/participants", self._participants),
            (rf"{record}/participants/(\d+)/participantSessions", self._sessions),
        )

    def _sign_in(self, _query: Json) -> Json:
        return {"access_token": self.token, "expires_in": 86400, "token_type": "Bearer"}

    def _list(self, _query: Json) -> Json:
        entry = {"kind": "calendar#calendarListEntry", "id": self.address, "primary": True, **self._seen()}
        return {"kind": "calendar#calendarList", "etag": '"1"', "items": [entry]}

    def _events_since(self, query: Json) -> Json:
        since = int(query.get("syncToken", 0))
        items = [event for name, event in self._events.items() if self._changed[name] > since]
        told = {"kind": "calendar#events", "items": items, "nextSyncToken": str(self._version)}
        return told | self._seen() | {"updated": max(one["updated"] for one in self._events.values())}

    def _seen(self) -> Json:
        """What is told of the calendar with everything in it."""
        named = {"summary": self.calendar, "timeZone": LISBON.key, "accessRole": "owner"}
        return named | {"etag": f'"{self._version}"'}

    def _one_event(self, _query: Json, name: str) -> Json | None:
        return self._events.get(name)

    def _free_busy(self, query: Json) -> Json:
        """Nobody shows this account when they are busy."""
        hidden = {"errors": [{"domain": "global", "reason": "notFound"}], "busy": []}
        told = {"kind": "calendar#freeBusy", "timeMin": query["timeMin"], "timeMax": query["timeMax"]}
        return told | {"calendars": {one["id"]: hidden for one in query["items"]}}

    def _records(self, query: Json) -> Json:
        wanted = re.search(r'space.meeting_code = "([^"]*)"', query.get("filter", ""))
        return {
            "conferenceRecords": [
                {
                    "name": f"conferenceRecords/{number}",
                    "space": f"spaces/{code.replace('-', '')}",
                    "startTime": _stamp(min(one.joined for one in presences)),
                    "endTime": _stamp(max(one.left for one in presences)),
                }
                for number, (code, presences) in enumerate(self._calls)
                if wanted and wanted[1] == code
            ]
        }

    def _participants(self, _query: Json, record: str) -> Json:
        return {
            "participants": [
                {
                    "name": f"conferenceRecords/{record}/participants/{number}",
                    "earliestStartTime": _stamp(one.joined),
                    "latestEndTime": _stamp(one.left),
                    "signedinUser": {
                        "user": f"users/{one.who.address.encode().hex()}",
                        "displayName": one.who.name,
                    },
                }
                for number, one in enumerate(self._calls[int(record)][1])
            ]
        }

    def _sessions(self, _query: Json, record: str, participant: str) -> Json:
        one = self._calls[int(record)][1][int(participant)]
        name = f"conferenceRecords/{record}/participants/{participant}/participantSessions/1"
        session = {"name": name, "startTime": _stamp(one.joined), "endTime": _stamp(one.left)}
        return {"participantSessions": [session]}

    def _event(self, name: str, meeting: Meeting) -> Json:
        made = _stamp(meeting.created)
        event: Json = {
            "kind": "calendar#event",
            "etag": f'"{self._version}"',
            "id": name,
            "status": "confirmed",
            "iCalUID": meeting.uid,
            "summary": meeting.title,
            "created": made,
            "updated": made,
            "eventType": "default",
            "start": _when(meeting.start),
            "end": _when(meeting.start + timedelta(minutes=meeting.minutes)),
            "organizer": {
                "email": meeting.organizer.address,
                "displayName": meeting.organizer.name,
                "self": meeting.organizer.address == self.address,
            },
            "attendees": [
                {"email": who.address, "displayName": who.name, "responseStatus": _ANSWERS[answer]}
                for who, answer in meeting.answers
            ],
        }
        if meeting.code:
            event["conferenceData"] = {
                "conferenceId": meeting.code,
                "conferenceSolution": {"key": {"type": "hangoutsMeet"}},
            }
        return event


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    google: GoogleServer

    def do_GET(self) -> None:
        """One request."""
        address = urlsplit(self.path)
        query: Json = {name: values[0] for name, values in parse_qs(address.query).items()}
        given = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("Content-Type", "").startswith("application/json"):
            query |= json.loads(given)
        known = self.headers.get("Authorization") == f"Bearer {self.google.token}"
        told = None
        if known or address.path == "/token":
            told = self.google.answer(self.command, address.path, query)
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
def google_server(address: str, calendar: str) -> Iterator[GoogleServer]:
    """The stand-in, listening, for one person with one calendar."""
    google = GoogleServer(address, calendar)
    server = ThreadingHTTPServer((LOOPBACK, 0), type("Handler", (_Handler,), {"google": google}))
    server.daemon_threads = True
    google.url = f"http://{LOOPBACK}:{server.server_port}/"
    google.key = json.dumps(_service_account(google.url))
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), name="google", daemon=True)
    thread.start()
    try:
        yield google
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _service_account(url: str) -> Json:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return {
        "type": "service_account",
        "private_key": pem.decode(),
        "client_email": "rebookd@project.example",
        "token_uri": f"{url}token",
    }


def _when(at: datetime) -> Json:
    return {"dateTime": at.astimezone(LISBON).isoformat(), "timeZone": LISBON.key}


def _stamp(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
