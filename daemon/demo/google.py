"""A stand-in for Google: as much of Calendar v3 and Meet v2 as one account of the demo asks for."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from daemon.demo.meeting import LISBON, Meeting, Presence
from daemon.demo.stand_in import Json, Routes, StandIn, served

_ANSWERS = {"ACCEPTED": "accepted", "DECLINED": "declined", "NEEDS-ACTION": "needsAction"}
_CALENDARS = "/calendar/v3/"


@dataclass
class GoogleServer(StandIn):
    """One person's calendar and calls. ``key`` is a service account's that may act for them."""

    key: str = ""
    open_to_all: str = "/token"
    _calls: list[tuple[str, list[Presence]]] = field(default_factory=list)

    def record(self, meeting: Meeting, presences: list[Presence]) -> None:
        """Keep the record of a meeting's call, which is over."""
        with self.lock:
            self._calls.append((meeting.code, presences))

    def routes(self) -> Routes:
        """The methods of three APIs."""
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
        return {"access_token": self.token, "expires_in": 86400, "token_type": "Bearer"}  # no password  # nosec B105

    def _list(self, _query: Json) -> Json:
        entry = {"kind": "calendar#calendarListEntry", "id": self.address, "primary": True, **self._seen()}
        return {"kind": "calendar#calendarList", "etag": '"1"', "items": [entry]}

    def _events_since(self, query: Json) -> Json:
        items = self.since(int(query.get("syncToken", 0)))
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

    def event(self, name: str, meeting: Meeting) -> Json:
        """A meeting of Calendar v3."""
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


@contextlib.contextmanager
def google_server(address: str, calendar: str) -> Iterator[GoogleServer]:
    """The stand-in, listening, for one person with one calendar."""
    google = GoogleServer(address, calendar)
    with served(google):
        google.key = json.dumps(_service_account(google.url))
        yield google


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
